from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.golden import scalar
from vitreous.golden import GoldenError
from vitreous.golden.ops.context import context, planes
from vitreous.golden.ops.linear import linear
from vitreous.golden.ops.scores import scores

ONE = torch.zeros((), dtype=torch.int32)
"""The maximum of a row's only block, which no context depends on."""


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
    acc, mixed = scores(q, k, heads), context(p, v, ONE, heads, key_block=0)
    assert acc.shape == (2, heads, tokens, tokens)
    assert mixed.shape == (2, tokens, heads * depth)
    for n in range(2):
        for h in range(heads):
            part = slice(h * depth, (h + 1) * depth)
            assert torch.equal(acc[n, h], (q[n, :, part].int() @ k[n, :, part].int().T))
            assert torch.equal(mixed[n, :, part], p[n, h].int() @ v[n, :, part].int())


def test_planes_of_every_wide_probability() -> None:
    p = torch.arange(127 * 256 + 128)
    high, low = planes(p.to(torch.int16))
    assert (high.dtype, low.dtype) == (torch.int8, torch.int8)
    assert high.min() >= 0
    assert torch.equal(256 * high.int() + low.int(), p.int())


@pytest.mark.parametrize("tokens", [1, 2, 7, 50, 300])
def test_wide_context_against_the_definition(tokens: int) -> None:
    rng = np.random.default_rng(tokens)
    v = random_int8(tokens, 4, seed=tokens)
    p = torch.from_numpy(rng.integers(0, 127 * 256 + 128, (2, tokens, tokens)).astype(np.int16))
    p[0, 0] = 127 * 256 + 127
    mixed = context(p, v, ONE, 2, key_block=0)
    assert mixed.dtype == torch.int32
    for query in range(tokens):
        for channel in range(4):
            row, column = p[channel // 2, query].tolist(), v[:, channel].tolist()
            assert int(mixed[query, channel]) == scalar.weighted_sum(row, column, 16)
            exact = sum(a * b for a, b in zip(row, column, strict=True)) / 16
            assert abs(int(mixed[query, channel]) - exact) <= 0.5


def test_the_longest_rows_of_the_context_fit_their_accumulators() -> None:
    v = torch.full((4096, 1), -128, dtype=torch.int8)
    p = torch.full((1, 1, 4096), 127 * 256 + 127, dtype=torch.int16)
    assert int(context(p, v, ONE, 1, key_block=0)) == -4096 * 128 * (127 * 256 + 127) // 16
    narrow = torch.full((1, 1, 4096), 127, dtype=torch.int8)
    assert int(context(narrow, v, ONE, 1, key_block=0)) == -4096 * 128 * 127
    exact = torch.full((1, 1, 4096), 1 << 23 >> 12, dtype=torch.int32)  # a flat row of ``exact``
    assert int(context(exact, v, ONE, 1, key_block=0)) == -128 << 23
    with pytest.raises(GoldenError, match="An accumulator overflows 32 bits"):
        context(torch.full((1, 1, 4096), 4097, dtype=torch.int32), v, ONE, 1, key_block=0)
