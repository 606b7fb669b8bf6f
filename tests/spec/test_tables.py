"""Every table against erf and powers in float64, and the properties that the circuits rely on."""

from __future__ import annotations

import math

import pytest

from vitreous.spec.config import GeluConfig, SoftmaxConfig
from vitreous.spec.tables import exp2_mantissa, exp2_negative, exp2_probability, gelu_delta, rsqrt_seed

SOFTMAX = [SoftmaxConfig(fraction_bits=f) for f in (7, 8)]


@pytest.mark.parametrize(
    "config", [GeluConfig(), GeluConfig(step_bits=8, fraction_bits=16), GeluConfig(range=16.0)], ids=str
)
def test_delta(config: GeluConfig) -> None:
    table = gelu_delta(config)
    assert len(table) == config.entries + 1
    assert table[0] == table[-1] == 0
    assert all(0 <= value < 1 << (config.fraction_bits - 2) for value in table), "delta stays below 0.17"
    for i, value in enumerate(table[:-1]):
        u = i / (1 << config.step_bits)
        gelu = u * (1 + math.erf(u / math.sqrt(2))) / 2
        assert abs(value / (1 << config.fraction_bits) - (u - gelu)) <= 0.51 / (1 << config.fraction_bits)


@pytest.mark.parametrize("config", SOFTMAX, ids=str)
def test_powers_of_two(config: SoftmaxConfig) -> None:
    steps = 1 << config.fraction_bits
    mantissa, negative, probability = exp2_mantissa(config), exp2_negative(config), exp2_probability(config)
    assert len(mantissa) == len(negative) == len(probability) == steps
    assert (mantissa[0], negative[0], probability[0]) == (128, 1 << 15, 256)
    for f in range(steps):
        exact = 2.0 ** (f / steps)
        assert abs(mantissa[f] - 128 * exact) <= (0.5 if mantissa[f] < 255 else 1)
        assert abs(negative[f] - 32768 / exact) <= 0.5
        assert abs(probability[f] - 256 / exact) <= 0.5
    assert all(128 <= g < 256 for g in mantissa)
    assert all(1 << 14 <= e <= 1 << 15 for e in negative)


def test_seed_of_the_reciprocal_root() -> None:
    seed = rsqrt_seed()
    assert len(seed) == 96
    assert all(1 << 15 <= y < 1 << 16 for y in seed)
    for i, y in enumerate(seed, start=32):
        for x in (i / 32, (i + 1) / 32):
            assert abs(y / 65536 * math.sqrt(x) - 1) < 1 / 120, "one Newton step then squares the error"
