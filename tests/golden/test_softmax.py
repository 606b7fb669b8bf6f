from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.golden.scalar import row_scale as scalar_row_scale
from tests.golden.scalar import softmax_row
from vitreous.golden import GoldenError
from vitreous.golden.softmax import masked_code, probabilities, row_scale, softmax, statistics
from vitreous.spec import tables
from vitreous.spec.config import SoftmaxConfig

CONFIGS = [SoftmaxConfig(variant=v, fraction_bits=f) for v in ("base2", "online") for f in (7, 8)]
LOWEST, HIGHEST = -(1 << 14), (1 << 14) - 1


def rows_of_scores(keys: int, config: SoftmaxConfig) -> torch.Tensor:
    """Rows that are random, rising, falling, flat, at both ends of the range, and steps of every size."""
    rng = np.random.default_rng(keys)
    unit = 1 << config.fraction_bits
    rows = [
        np.full(keys, LOWEST), np.full(keys, HIGHEST),
        np.linspace(LOWEST, HIGHEST, keys), np.linspace(HIGHEST, LOWEST, keys),
        np.arange(keys) - keys // 2, np.arange(keys) * unit // 3, rng.integers(LOWEST, HIGHEST + 1, keys),
        np.where(np.arange(keys) == keys - 1, HIGHEST, LOWEST),
        *(np.where(np.arange(keys) >= keys // 2, step, 0) for step in rng.integers(0, HIGHEST, 20)),
        *(rng.normal(0, unit * rng.uniform(0.1, 6), keys) for _ in range(60)),
    ]  # fmt: skip
    return torch.from_numpy(np.clip(np.rint(np.stack(rows)), LOWEST, HIGHEST).astype(np.int16))


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("keys", [1, 2, 3, 17, 50, 197, 700])
def test_rows_against_the_recurrences(config: SoftmaxConfig, keys: int) -> None:
    t = rows_of_scores(keys, config)
    found = statistics(t, config)
    p, m, s = softmax(t, config, 20000, 14)
    for row, scores in enumerate(t.tolist()):
        expected, maximum, total = softmax_row(scores, config)
        assert (int(found.maximum[row]), int(found.total[row])) == (maximum, total)
        assert p[row].tolist() == expected
        assert (int(m[row]), int(s[row])) == scalar_row_scale(total, 20000, 14, config)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("keys", [1, 50, 129, 197, 256, 577])
def test_error_and_row_sum_against_float64(config: SoftmaxConfig, keys: int) -> None:
    rng = np.random.default_rng(keys)
    scores = rng.normal(0, rng.uniform(0, 4, (300, 1)), (300, keys)) * (1 << config.fraction_bits)
    t = torch.from_numpy(np.clip(np.rint(scores), LOWEST, HIGHEST).astype(np.int16))
    p, m, s = softmax(t, config, 1 << 14, 14)
    found = p.double() * m[:, None] / 2.0 ** s[:, None]
    real = torch.softmax(t.double() * math.log(2) / (1 << config.fraction_bits), dim=-1)
    error = (found - real).abs()
    # Half a step of p, whose maximum is at least 64 (base2) or 127 (online), and the table's entry of 8 or 9 bits.
    bound = 0.5 / 64 + 2**-8 if config.variant == "base2" else 1 / 127
    assert (error <= (bound + 2e-4) * real.amax(dim=-1, keepdim=True)).all()
    # Keys below 1/256 of the maximum are rounded away; in these rows they weigh little.
    kept = real.amax(dim=-1) * keys < 30
    assert kept.any()
    assert ((found.sum(dim=-1) - 1).abs()[kept] < 0.04).all()


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_every_distance_gives_its_probability(config: SoftmaxConfig) -> None:
    """A key at each of the 2**15 distances from a maximum, against 2**-d in float64."""
    t = torch.arange(LOWEST, HIGHEST + 1)
    codes = statistics(t[:, None], config).codes[:, 0]
    maximum = statistics(torch.tensor([[HIGHEST]]), config).maximum
    p = probabilities(codes[None], maximum, config)[0].double()
    unit = 1 << config.fraction_bits
    # base2 counts from the maximum's integer part, where 64 stands for 1; online from the maximum itself, with 128.
    one, top = (64, HIGHEST // unit) if config.variant == "base2" else (128, HIGHEST / unit)
    real = one * 2.0 ** (t.double() / unit - top)
    assert (p - real.clamp(max=127)).abs().max() <= 0.75  # 0.5 from rounding, 0.25 from the table's entry


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_masked_key_has_probability_zero_beside_every_maximum(config: SoftmaxConfig) -> None:
    maxima = statistics(torch.arange(LOWEST, HIGHEST + 1)[:, None], config).maximum
    codes = torch.full((len(maxima), 1), masked_code(config))
    assert not probabilities(codes, maxima, config).any()


def test_codes_fit_16_bits() -> None:
    every = torch.arange(LOWEST, HIGHEST + 1)[:, None]
    for config in CONFIGS:
        codes = statistics(every, config).codes
        low, high = (0, 1 << 16) if config.variant == "base2" else (-(1 << 15), 1 << 15)
        assert int(codes.min()) >= low
        assert int(codes.max()) < high
        as_stored = codes.to(torch.int16).long()  # the machine's S holds them signed
        maxima = torch.full((len(codes),), int(statistics(every[-1:], config).maximum))
        assert torch.equal(probabilities(as_stored, maxima, config), probabilities(codes, maxima, config))


def test_row_scale_divides() -> None:
    total = torch.from_numpy(np.random.default_rng(0).integers(1 << 15, 1 << 28, 5000))
    for config in CONFIGS:
        m, s = row_scale(total, 20000, 14, config)
        real = 20000 / 2**14 * 2.0 ** (9 if config.variant == "base2" else 8) / total.double()
        assert ((m >= 1 << 14) & (m < 1 << 15)).all()
        assert (
            (m / 2.0**s) / real - 1
        ).abs().max() < 2e-4  # floors of a 17-bit sum, a 15-bit quotient and its halving
        for value in (1 << 15, (1 << 16) - 1, 1 << 16, (1 << 17) - 1, (1 << 28) - 1):
            found = tuple(int(x) for x in row_scale(torch.tensor(value), 32767, 14, config))
            assert found == scalar_row_scale(value, 32767, 14, config)


def test_outside_the_contract() -> None:
    t = torch.zeros(1, 4, dtype=torch.int16)
    with pytest.raises(GoldenError, match="multiplier < 2\\*\\*15, not 100"):
        softmax(t, CONFIGS[0], 100, 14)
    with pytest.raises(GoldenError, match="shift outside 1..47"):
        softmax(t, CONFIGS[0], 1 << 14, 47)


def test_tables_are_what_their_formulas_say() -> None:
    for config in CONFIGS:
        steps = 1 << config.fraction_bits
        for f in range(steps):
            assert abs(tables.exp2_mantissa(config)[f] - 128 * 2 ** (f / steps)) <= 1
            assert abs(tables.exp2_negative(config)[f] - 2 ** (15 - f / steps)) <= 0.5
            assert abs(tables.exp2_probability(config)[f] - 2 ** (8 - f / steps)) <= 0.5
