from __future__ import annotations

import numpy as np
import pytest
import torch

from vitreous.golden import GoldenError
from vitreous.golden.ops.requantize import requantize, requantize_any
from vitreous.golden.ops.requantize_rows import requantize_rows
from vitreous.spec import numbers
from vitreous.spec.numbers import INT8, INT16, SCORE, Format

FORMATS = {fmt.width: fmt for fmt in (INT8, INT16, SCORE)}


@pytest.mark.parametrize("bits", FORMATS)
def test_against_float64_within_half_a_step(bits: int) -> None:
    rng = np.random.default_rng(bits)
    acc = torch.from_numpy(rng.integers(-(1 << 20), 1 << 20, 20000))
    real = 2.0**bits / 2**21 * 0.9
    m, s = numbers.quantize_multiplier(real)
    y = requantize(acc, torch.tensor(m), torch.tensor(s), 0, bits)
    # Half a step from rounding, and what the 15-bit multiplier may be off.
    assert (y - acc * real).abs().max() <= 0.5 + (1 << 20) * real * 2.0**-15


@pytest.mark.parametrize("bits", FORMATS)
def test_against_the_definition_at_every_shift(bits: int) -> None:
    rng = np.random.default_rng(bits)
    edges = np.array([-(1 << 31), (1 << 31) - 1, 0, 1, -1])
    for shift in range(1, 48):
        acc = np.concatenate(
            [edges, rng.integers(-(1 << 31), 1 << 31, 40), rng.integers(-(1 << shift), 1 << shift, 40) >> 14]
        )
        for m in (1, 1 << 14, (1 << 15) - 1, int(rng.integers(1, 1 << 15))):
            zero_point = int(rng.integers(-128, 128))
            y = requantize(torch.from_numpy(acc), torch.tensor(m), torch.tensor(shift), zero_point, bits)
            expected = [numbers.requantize(int(a), m, shift, zero_point, FORMATS[bits]) for a in acc]
            assert y.tolist() == expected


def test_all_sums_of_20_bits_round_half_up() -> None:
    acc = torch.arange(-(1 << 19), 1 << 19)
    y = requantize(acc, torch.tensor(1), torch.tensor(4), 3, 16)
    expected = torch.clamp(torch.floor((acc.double() + 8) / 16) + 3, -32768, 32767)
    assert torch.equal(y.double(), expected)
    assert y[(acc == 8) | (acc == -8)].tolist() == [3, 4], "half a step goes up, on both sides of zero"


def test_result_types() -> None:
    one = torch.ones(1, dtype=torch.int64)
    assert [requantize(one, one, one, 0, b).dtype for b in (8, 16, SCORE.width)] == [
        torch.int8,
        torch.int16,
        torch.int32,
    ]


@pytest.mark.parametrize(("m", "s", "bits"), [(0, 1, 8), (1 << 15, 1, 8), (1, 0, 8), (1, 48, 8), (1, 1, 12)])
def test_outside_the_contract(m: int, s: int, bits: int) -> None:
    with pytest.raises(GoldenError, match="multipliers|shifts|to 8 or 16 or"):
        requantize(torch.ones(1), torch.tensor([m]), torch.tensor([s]), 0, bits)


def test_parameters_of_a_lane_without_data_give_the_zero_point() -> None:
    acc = torch.tensor([-(1 << 31), 5, (1 << 31) - 1])
    assert requantize_any(acc, torch.tensor(0), torch.tensor(0), -7, 8).tolist() == [-7] * 3
    assert requantize_any(acc, torch.tensor(32767), torch.tensor(63), -7, 8).tolist() == [-7] * 3


def test_rows_use_the_parameters_of_their_head_and_token() -> None:
    rng = np.random.default_rng(0)
    heads, tokens, depth = 3, 5, 4
    acc = rng.integers(-(1 << 20), 1 << 20, (tokens, heads * depth)).astype(np.int32)
    m = rng.integers(1 << 14, 1 << 15, (heads, tokens)).astype(np.int32)
    s = rng.integers(25, 30, (heads, tokens)).astype(np.int32)
    y = requantize_rows(*(torch.from_numpy(x) for x in (acc, m, s)), heads, 6)
    for t, c in np.ndindex(acc.shape):
        h = c // depth
        assert y[t, c] == numbers.requantize(int(acc[t, c]), int(m[h, t]), int(s[h, t]), 6, Format(8))
