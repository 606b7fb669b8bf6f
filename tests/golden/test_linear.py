from __future__ import annotations

import numpy as np
import pytest
import torch

from vitreous.golden import GoldenError
from vitreous.golden.context import context
from vitreous.golden.linear import linear
from vitreous.golden.scores import scores


def random_int8(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8))


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (50, 64, 128), (2, 3000, 4)])
def test_linear_equals_exact_integers(shape: tuple[int, int, int]) -> None:
    tokens, k, out = shape
    x, w = random_int8(tokens, k), random_int8(out, k, seed=1)
    bias = torch.from_numpy(np.random.default_rng(2).integers(-(1 << 28), 1 << 28, out).astype(np.int32))
    acc = linear(x, w, bias, 17)
    expected = (x.numpy().astype(object) - 17) @ w.numpy().astype(object).T + bias.numpy().astype(object)
    assert acc.dtype == torch.int32
    assert (acc.numpy() == expected).all()


def test_linear_refuses_an_overflow() -> None:
    x, w = torch.full((1, 2), 127, dtype=torch.int8), torch.full((1, 2), 127, dtype=torch.int8)
    highest = (1 << 31) - 1 - 2 * 127 * 127
    assert linear(x, w, torch.tensor([highest], dtype=torch.int32), 0).item() == (1 << 31) - 1
    with pytest.raises(GoldenError, match="An accumulator overflows 32 bits"):
        linear(x, w, torch.tensor([highest + 1], dtype=torch.int32), 0)


def test_scores_and_context_head_by_head() -> None:
    heads, tokens, depth = 3, 6, 5
    q, k, v = (random_int8(2, tokens, heads * depth, seed=s) for s in range(3))
    p = random_int8(2, heads, tokens, tokens, seed=3) & 0x7F
    acc, mixed = scores(q, k, heads), context(p, v, heads)
    assert acc.shape == (2, heads, tokens, tokens)
    assert mixed.shape == (2, tokens, heads * depth)
    for n in range(2):
        for h in range(heads):
            part = slice(h * depth, (h + 1) * depth)
            assert torch.equal(acc[n, h], (q[n, :, part].int() @ k[n, :, part].int().T))
            assert torch.equal(mixed[n, :, part], p[n, h].int() @ v[n, :, part].int())
