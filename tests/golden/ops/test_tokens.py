"""Patches, padding, selection, mean, addition and ReLU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vitreous.golden import GoldenError
from vitreous.golden.ops.add import add
from vitreous.golden.ops.mean_tokens import mean_tokens
from vitreous.golden.ops.pad_tokens import pad_tokens
from vitreous.golden.ops.patches import patches
from vitreous.golden.ops.relu import relu
from vitreous.golden.ops.select_token import select_token
from vitreous.spec.numbers import quantize_multiplier


def random_int16(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(-(1 << 15), 1 << 15, shape).astype(np.int16))


@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_patches_equal_a_convolution_with_unit_kernels(leading: tuple[int, ...]) -> None:
    channels, patch = 3, 4
    image = torch.randint(-128, 128, (*leading, channels, 8, 12), dtype=torch.int8)
    k = channels * patch * patch
    unit = torch.eye(k).reshape(k, channels, patch, patch)
    flat = image.reshape(-1, channels, 8, 12)
    expected = torch.nn.functional.conv2d(flat.float(), unit, stride=patch).flatten(2).transpose(1, 2)
    assert torch.equal(patches(image, patch).reshape(-1, 6, k).float(), expected)


def test_patches_refuse_what_does_not_divide() -> None:
    with pytest.raises(GoldenError, match="8 x 10 does not divide into patches of 4"):
        patches(torch.zeros(1, 8, 10, dtype=torch.int8), 4)


def test_pad_and_select() -> None:
    x = random_int16(2, 5, 3)
    y = pad_tokens(x, 2)
    assert y.dtype == torch.int16
    assert not y[:, :2].any()
    assert torch.equal(y[:, 2:], x)
    assert torch.equal(select_token(y, 3, 1), x[:, 1:2])
    with pytest.raises(GoldenError, match="Token must be in 0..6, not 7"):
        select_token(y, 7, 1)
    assert torch.equal(select_token(y, 2, 5), x)
    with pytest.raises(GoldenError, match="Token must be in 0..6, not 7"):
        select_token(y, 3, 5)


@pytest.mark.parametrize("tokens", [1, 2, 49, 196, 4096])
def test_mean_against_float64(tokens: int) -> None:
    x = random_int16(tokens, 7)
    m, s = quantize_multiplier(1 / tokens)
    y = mean_tokens(x, m, s, first=0)
    assert y.shape == (1, 7)
    assert (y.double() - x.double().mean(dim=0)).abs().max() <= 0.5 + 2.0**15 * 2.0**-15
    total = x.to(torch.int64).sum(dim=0)
    expected = [max(-32768, min(32767, (int(v) * m + (1 << (s - 1))) >> s)) for v in total]
    assert y[0].tolist() == expected


def test_a_mean_may_leave_out_the_first_tokens() -> None:
    x = random_int16(9, 7)
    assert torch.equal(mean_tokens(x, 1 << 14, 17, first=2), mean_tokens(x[2:], 1 << 14, 17, first=0))
    with pytest.raises(GoldenError, match="first token of a mean must be in 0..8, not 9"):
        mean_tokens(x, 1 << 14, 17, first=9)


def test_mean_refuses_more_tokens_than_the_machine_can_add() -> None:
    with pytest.raises(GoldenError, match="at most 4096 tokens, not 4097"):
        mean_tokens(torch.zeros(4097, 1, dtype=torch.int16), 1 << 14, 26, first=0)


def test_add_saturates_on_both_sides() -> None:
    edges = torch.tensor([-32768, -32767, -1, 0, 1, 32766, 32767], dtype=torch.int16)
    a, b = edges[:, None].expand(7, 7), edges[None].expand(7, 7)
    assert torch.equal(add(a, b).long(), (a.long() + b.long()).clamp(-32768, 32767))
    assert add(a, b).dtype == torch.int16


def test_relu_of_every_value_and_zero_point() -> None:
    x = torch.arange(-128, 128).to(torch.int8)
    for zero_point in range(-128, 128):
        y = relu(x, zero_point)
        assert y.dtype == torch.int8
        assert y.tolist() == [max(v, zero_point) for v in range(-128, 128)]
