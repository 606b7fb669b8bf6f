from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.golden.scalar import layernorm_row
from vitreous.golden import GoldenError
from vitreous.golden.layernorm import layernorm, reciprocal_root
from vitreous.spec.numbers import quantize_multiplier

STEP = 4 / 127
M, S = quantize_multiplier(1 / STEP)


@pytest.mark.parametrize("channels", [1, 2, 3, 16, 64, 192, 384, 4096])
@pytest.mark.parametrize("spread", [3, 50, 2000, 20000])
def test_error_against_float64(channels: int, spread: int) -> None:
    rng = np.random.default_rng(channels + spread)
    x = np.clip(np.rint(rng.normal(spread / 2, spread, (200, channels))), -32768, 32767).astype(np.int16)
    tensor = torch.from_numpy(x)
    wide = tensor.double()
    variance = wide.var(dim=-1, keepdim=True, unbiased=False) + 1 / channels**2
    real = ((wide - wide.mean(dim=-1, keepdim=True)) / variance.sqrt() / STEP).clamp(-128, 127)
    y = layernorm(tensor, M, S, 1, 0)
    # Half a step from rounding; 2e-4 relative from the root (test below), 6e-5 from each of the two 15-bit factors.
    assert ((y.double() - real).abs() <= 0.5 + 4e-4 * 128).all()


def test_root_over_its_whole_range() -> None:
    mantissas = np.arange(1 << 16, 1 << 18)
    for e in (0, 2, 14, 16, 18, 36, 52):
        values = mantissas << (e - 16) if e >= 16 else np.unique(mantissas >> (16 - e))
        values = values[values >= 1]
        root, exponent = reciprocal_root(torch.from_numpy(values))
        assert (exponent % 2 == 0).all()
        real = 1 / np.sqrt(values.astype(np.float64))
        found = root.double().numpy() / 2.0 ** (16 + exponent.numpy() / 2)
        assert np.abs(found / real - 1).max() < 2e-4


@pytest.mark.parametrize("channels", [1, 2, 5, 16, 100, 4096])
def test_rows_against_the_definition(channels: int) -> None:
    rng = np.random.default_rng(channels)
    rows = [
        np.zeros(channels), np.full(channels, 32767), np.full(channels, -32768),
        np.where(np.arange(channels) % 2, 32767, -32768), np.arange(channels) % 3,
        *(rng.normal(rng.uniform(-9000, 9000), 10 ** rng.uniform(0, 4), channels) for _ in range(40)),
    ]  # fmt: skip
    x = np.clip(np.rint(np.stack(rows)), -32768, 32767).astype(np.int16)
    for m, s, epsilon, zero_point in (
        (M, S, 1, 0),
        (1 << 14, 12, (1 << 32) - 1, 5),
        ((1 << 15) - 1, 8, 77777, -128),
    ):
        y = layernorm(torch.from_numpy(x), m, s, epsilon, zero_point)
        assert y.tolist() == [layernorm_row([int(v) for v in row], m, s, epsilon, zero_point) for row in x]


def test_a_constant_row_gives_the_zero_point() -> None:
    x = torch.full((1, 64), 31000, dtype=torch.int16)
    assert (layernorm(x, M, S, 1, 9) == 9).all()


@pytest.mark.parametrize(
    ("channels", "m", "s", "epsilon"), [(4097, M, S, 1), (8, 100, S, 1), (8, M, S, 0), (8, M, 47, 1)]
)
def test_outside_the_contract(channels: int, m: int, s: int, epsilon: int) -> None:
    x = torch.arange(channels).to(torch.int16)[None] * 7
    with pytest.raises(GoldenError, match="channels|epsilon|shift"):
        layernorm(x, m, s, epsilon, 0)
