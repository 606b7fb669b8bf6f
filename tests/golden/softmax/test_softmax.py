from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.support.golden import scalar
from vitreous.golden import GoldenError
from vitreous.golden.softmax.exact import softmax_float64
from vitreous.golden.softmax.softmax import (
    VARIANTS,
    carried_probabilities,
    levels,
    probabilities,
    row_scale,
    softmax,
    statistics,
    wide_probabilities,
)
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.limits import LEVEL_MAXIMUM
from vitreous.spec.numbers import SCORE
from vitreous.spec.softmax import CODE, MASKED_CODE, limits
from vitreous.spec.variants import EXACT

CONFIGS = [
    SoftmaxConfig(variant=v, fraction_bits=f, probability_bits=16) for v in VARIANTS for f in (6, 7, 8, 9)
]
SMOOTH = [config for config in CONFIGS if config.variant != "ita"]
LOWEST, HIGHEST = SCORE.minimum, SCORE.maximum
KEYS = [1, 2, 5, 16, 64, 197, 512, 1024, 2048, 4096]


def normal_rows(keys: int, config: SoftmaxConfig, count: int) -> torch.Tensor:
    """Logits with standard deviations 0, 0.5, 1, 2 and 4, as logarithms to base 2."""
    rng = np.random.default_rng(keys)
    spread = np.repeat([0, 0.5, 1, 2, 4], count)[:, None] * math.log2(math.e) * (1 << config.fraction_bits)
    t = np.rint(rng.normal(size=(5 * count, keys)) * spread)
    return torch.from_numpy(np.clip(t, LOWEST, HIGHEST).astype(np.int32))


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
        *(rng.normal(0, unit * rng.uniform(0.1, 6), keys) for _ in range(40)),
    ]  # fmt: skip
    return torch.from_numpy(np.clip(np.rint(np.stack(rows)), LOWEST, HIGHEST).astype(np.int32))


def real_probabilities(t: torch.Tensor, config: SoftmaxConfig) -> torch.Tensor:
    """What the row's multiplier and shift make of the integer probabilities, with 1 for ``m_o / 2**s_o``."""
    p, m, s, _ = softmax(t, config, 1 << 14, 14, key_block=0)
    one = limits(config).row_factor / (256 if p.dtype == torch.int16 else 1)
    return p.double() * (m / 2.0**s)[..., None] * one


@pytest.mark.parametrize("config", SMOOTH, ids=str)
def test_wide_probabilities_against_float64(config: SoftmaxConfig) -> None:
    # base2 has a mantissa of F + 2 bits, so a probability is off by 2**-(F+2) where two keys share a row.
    bound = {"base2": 0.3 + 2.0 ** (7 - config.fraction_bits), "online": 0.3, "ibert": 0.9}[config.variant]
    for keys in KEYS:
        t = normal_rows(keys, config, 20 if keys > 500 else 200)
        found, real = real_probabilities(t, config), softmax_float64(t, config)
        assert (found - real).abs().max() <= bound / 1024, keys
        assert (found.sum(dim=-1) - 1).abs().max() <= 0.004, keys


@pytest.mark.parametrize("config", SMOOTH, ids=str)
@pytest.mark.parametrize("keys", [1, 5, 64, 197])
def test_narrow_probabilities_against_float64(config: SoftmaxConfig, keys: int) -> None:
    narrow = SoftmaxConfig(variant=config.variant, fraction_bits=config.fraction_bits, probability_bits=8)
    t = normal_rows(keys, config, 200)
    p = softmax(t, narrow, 1 << 14, 14, key_block=0).p
    assert p.dtype == torch.int8
    found, real = real_probabilities(t, narrow), softmax_float64(t, config)
    # A step of a p whose maximum is at least 63 (base2), 92 (ibert) or 127 (online); half a step of any part of a row.
    step = real.amax(dim=-1, keepdim=True) / {"base2": 63, "ibert": 92, "online": 127}[config.variant]
    assert ((found - real).abs() <= step + 1e-3).all()
    assert ((found.cumsum(-1) - real.cumsum(-1)).abs() <= 0.5 * step + 4e-3).all()


def test_ita_against_float64() -> None:
    """Terms are powers of two, small rises of the maximum rescale nothing, and the inverse of the sum has 8 bits."""
    config = SoftmaxConfig(variant="ita", probability_bits=16)
    for keys, bound in ((1, 2 / 256), (2, 0.1), (16, 0.1), (64, 0.25), (197, 0.1)):
        t = normal_rows(keys, config, 100)[: 3 * 100]  # standard deviation of at most 1: inside the 8 octaves
        found, real = real_probabilities(t, config), softmax_float64(t, config)
        assert (found - real).abs().max() <= bound
    flat = real_probabilities(torch.zeros(1, 255, dtype=torch.int16), config).sum()
    assert float(flat) == pytest.approx(255 / 256)
    # 192 equal keys have the inverse 1 instead of 1.33.
    assert float(real_probabilities(torch.zeros(1, 192, dtype=torch.int16), config).sum()) == 0.75


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_rows_against_the_definition(config: SoftmaxConfig) -> None:
    for keys in (1, 2, 3, 17, 50, 197, 255):
        check_rows(config, keys)


def check_rows(config: SoftmaxConfig, keys: int) -> None:
    t = rows_of_scores(keys, config)
    found = statistics(t, config)
    level = levels(*found, config)
    m, s = row_scale(found.total, 20000, 14, config)
    wide, narrow = (probabilities(found, config, wide=w) for w in (True, False))
    assert (wide.dtype, narrow.dtype) == (torch.int16, torch.int8)
    for row, scores in enumerate(t.tolist()):
        expected = scalar.softmax_row(scores, config)
        assert (int(found.maximum[row]), int(found.total[row])) == (expected.maximum, expected.total)
        assert found.codes[row].tolist() == expected.codes
        assert level[row].tolist() == expected.levels
        assert wide[row].tolist() == scalar.probabilities(expected, 16)
        assert narrow[row].tolist() == scalar.probabilities(expected, 8)
        assert (int(m[row]), int(s[row])) == scalar.row_scale(expected.total, 20000, 14, config)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_longest_rows(config: SoftmaxConfig) -> None:
    """Flat, rising, random rows of the most keys that the variant takes; no sum leaves 32 bits, the next is refused."""
    keys = limits(config).max_keys
    t = rows_of_scores(keys, config)[:8]
    if config.variant == "base2":  # the largest mantissa under a maximum that stays the same integer
        t = torch.cat([t, torch.full((1, keys), (1 << config.fraction_bits) - 1, dtype=torch.int16)])
    found = statistics(t, config)
    assert int(found.total.max()) < 1 << 32
    for row, scores in enumerate(t.tolist()):
        expected = scalar.softmax_row(scores, config)
        assert (int(found.maximum[row]), int(found.total[row])) == (expected.maximum, expected.total)
    p, m, _, _ = softmax(t, config, (1 << 15) - 1, 14, key_block=0)
    assert (p.amax(dim=-1) > 0).all(), "a row of this length still weighs something"
    assert ((m >= 1 << 14) & (m < 1 << 15)).all()
    for wrong in (keys + 1, 0):
        with pytest.raises(
            GoldenError, match=f"Softmax {config.variant} takes rows of 1 to {keys} keys, not {wrong}"
        ):
            statistics(torch.zeros(1, wrong, dtype=torch.int16), config)


@pytest.mark.parametrize("config", SMOOTH, ids=str)
def test_every_distance_gives_its_level(config: SoftmaxConfig) -> None:
    """A key at each of the distances from a maximum, against 2**-d in float64."""
    t = torch.arange(LOWEST, HIGHEST + 1)
    found = statistics(t[:, None], config)  # rows of one key
    level = levels(found.codes.T, found.maximum[-1:], found.total[-1:], config)[0].double()
    unit = 1 << config.fraction_bits
    # base2 counts from the maximum's integer part, where half the largest level stands for 1; the others from the
    # maximum itself.
    one, top = {
        "base2": (LEVEL_MAXIMUM / 2, HIGHEST // unit),
        "online": (LEVEL_MAXIMUM, HIGHEST / unit),
        # (P >> 3) of a P with 16 fraction bits
        "ibert": (8192 / (0.3585 * math.log(2) ** 2), HIGHEST / unit),
    }[config.variant]
    real = one * 2.0 ** (t.double() / unit - top)
    relative = {"base2": 2.0 ** -(config.fraction_bits + 1), "online": 1e-5, "ibert": 0.006}[config.variant]
    assert ((level - real).abs() <= 1 + relative * real).all()


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_masked_keys_and_stale_codes_have_level_zero(config: SoftmaxConfig) -> None:
    every = statistics(torch.arange(LOWEST, HIGHEST + 1)[:, None], config)
    assert ((every.codes >= CODE.minimum) & (every.codes <= CODE.maximum)).all()
    assert not (every.codes == MASKED_CODE).any(), "no score has the masked code"
    masked = torch.full((len(every.codes), 1), MASKED_CODE)
    assert not levels(masked, every.maximum, every.total, config).any()
    low, high = every.codes[0], every.codes[-1]
    below = (every.maximum[:1], every.total[:1])
    assert not levels(high[None], *below, config).any()
    assert levels(low[None], *below, config).all()


def test_ita_without_a_row_weighs_nothing() -> None:
    """The machine's slot before its first row: sum 0, as its inverse is."""
    nothing = torch.zeros(1, dtype=torch.int64)
    assert not levels(
        torch.zeros(1, 3, dtype=torch.int64), nothing, nothing, SoftmaxConfig(variant="ita")
    ).any()


def test_probabilities_of_every_level() -> None:
    level = torch.arange(LEVEL_MAXIMUM + 1)
    assert carried_probabilities(level[:, None])[:, 0].tolist() == [(x + 256) // 512 for x in level.tolist()]
    assert wide_probabilities(level).tolist() == [(x + 1) // 2 for x in level.tolist()]


@pytest.mark.parametrize("keys", KEYS)
def test_carried_codes_add_up_to_their_levels(keys: int) -> None:
    """Of any part of a row, to one unit; of the whole row, to half a unit."""
    rng = np.random.default_rng(keys)
    rows = np.stack([
        rng.integers(0, LEVEL_MAXIMUM + 1, keys), np.full(keys, LEVEL_MAXIMUM), np.full(keys, LEVEL_MAXIMUM - 1),
        np.full(keys, 511), np.full(keys, 1), np.where(np.arange(keys) % 7, 0, LEVEL_MAXIMUM),
        rng.integers(0, 300, keys),
    ])  # fmt: skip
    p = carried_probabilities(torch.from_numpy(rows)).numpy().astype(np.int64)
    assert p.min() >= 0
    assert p.max() <= 127
    apart = 512 * p.cumsum(1) - rows.cumsum(1)
    assert np.abs(apart).max() <= 256
    assert (np.abs(512 * p - rows) < 512).all()


@pytest.mark.parametrize("config", SMOOTH, ids=str)
def test_row_scale_divides(config: SoftmaxConfig) -> None:
    totals = np.random.default_rng(0).integers(1 << 18, 1 << 32, 5000)
    totals[:6] = (1 << 18, (1 << 19) - 1, 1 << 19, 1 << 31, (1 << 32) - 1, (1 << 31) - 1)
    total = torch.from_numpy(totals)
    for m_o in (1 << 14, 20000, (1 << 15) - 1):
        m, s = row_scale(total, m_o, 14, config)
        real = m_o / 2**14 * 2.0 ** limits(config).row_exponent / total.double()
        assert ((m >= 1 << 14) & (m < 1 << 15)).all()
        # Floors of a 17-bit sum, of a quotient of at least 15 bits, and its halving.
        assert ((m / 2.0**s) / real - 1).abs().max() < 2e-4
        pairs = [scalar.row_scale(int(x), m_o, 14, config) for x in totals[:200]]
        assert list(zip(m[:200].tolist(), s[:200].tolist(), strict=True)) == pairs


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_row_shifts_stay_in_the_range_that_spec_states(config: SoftmaxConfig) -> None:
    known = limits(config)
    t = torch.cat([rows_of_scores(keys, config) for keys in (1,)])
    long = rows_of_scores(known.max_keys, config)[:8]
    for rows in (t, long):
        for m_o in (1 << 14, (1 << 15) - 1):
            _, s = row_scale(statistics(rows, config).total, m_o, 14, config)
            assert ((s - 14 >= known.least) & (s - 14 <= known.largest)).all()


def test_exact_probabilities() -> None:
    config = SoftmaxConfig(variant=EXACT, fraction_bits=8)
    t = normal_rows(4096, config, 4)
    p, m, s, _ = softmax(t, config, 20000, 14, key_block=0)
    assert p.dtype == torch.int32
    real = torch.softmax(t.double() / 256 * math.log(2), dim=-1)
    assert ((p / 2.0**23 - real).abs() <= 2.0**-24 + 1e-12).all()
    assert (m == 20000).all()
    assert (s == 14 + 23).all()
    with pytest.raises(GoldenError, match="Softmax exact takes rows of 1 to 4096 keys, not 4097"):
        softmax(torch.zeros(4097, dtype=torch.int16), config, 20000, 14, key_block=0)


@pytest.mark.parametrize("variant", [*VARIANTS, EXACT])
def test_outside_the_contract(variant: str) -> None:
    t, config = torch.zeros(1, 4, dtype=torch.int16), SoftmaxConfig(variant=variant)
    for wrong in (100, (1 << 14) - 1, 1 << 15):
        with pytest.raises(GoldenError, match=f"multiplier < 2\\*\\*15, not {wrong}"):
            softmax(t, config, wrong, 14, key_block=0)
    with pytest.raises(GoldenError, match="shift outside 1..47"):
        softmax(t, config, 1 << 14, 47, key_block=0)


@pytest.mark.parametrize("variant", [config.variant for config in SMOOTH if config.fraction_bits == 8])
def test_scores_of_two_hundred_octaves(variant: str) -> None:
    """Rows whose largest scores are 150 to 250 octaves, close to each other: none may saturate to its neighbour."""
    config, rng = SoftmaxConfig(variant=variant, probability_bits=16), np.random.default_rng(200)
    octaves = rng.normal(0, 60, (200, 257)).clip(-250, 100)
    octaves[:, :40] = rng.uniform(150, 245, (200, 1)) + rng.normal(0, 1.5, (200, 40))
    t = torch.from_numpy(np.rint(octaves * (1 << config.fraction_bits)).astype(np.int32))
    found = real_probabilities(t.clamp(LOWEST, HIGHEST), config)
    real = torch.softmax(torch.from_numpy(octaves) * math.log(2), dim=-1)
    assert float(real.amax(dim=-1).max()) > 0.2
    assert (found - real).abs().max() <= 2 / 1024
    values = torch.from_numpy(rng.normal(size=(257, 64)))
    error = (found @ values - real @ values).norm() / (real @ values).norm()
    assert error <= {"base2": 0.002, "online": 0.002, "ibert": 0.01}[variant]
