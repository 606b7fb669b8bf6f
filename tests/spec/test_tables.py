"""Every table against erf and powers in float64, and the properties that the circuits rely on."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from vitreous.spec.config import ActivationConfig, SoftmaxConfig
from vitreous.spec.limits import LEVEL_BITS, LEVEL_MAXIMUM
from vitreous.spec.tables import (
    GELU_POLY_BITS,
    GELU_POLY_EDGE,
    GELU_POLY_FACTOR,
    activation_delta,
    activation_table,
    exp2_level,
    exp2_mantissa,
    exp2_negative,
    ibert_exponential,
    rsqrt_seed,
)

SOFTMAX = [SoftmaxConfig(fraction_bits=f) for f in (6, 7, 8, 9)]


def gelu(x: float) -> float:
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


def silu(x: float) -> float:
    return x / (1 + math.exp(-x))


def gelu_tanh(x: float) -> float:
    return x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def quick_gelu(x: float) -> float:
    return x / (1 + math.exp(-1.702 * x))


FUNCTIONS: dict[str, Callable[[float], float]] = {
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "quick_gelu": quick_gelu,
    "silu": silu,
}


def delta(function: str, u: float) -> float:
    return u - FUNCTIONS[function](u)


DELTAS = [
    ActivationConfig(fraction_bits=22),
    ActivationConfig(step_bits=8, fraction_bits=16, range=5.5),
    ActivationConfig(range=16.0, step_bits=4, fraction_bits=22),
    ActivationConfig(function="silu", range=8.0, fraction_bits=22),
    ActivationConfig(function="gelu_tanh", range=16.0, step_bits=6, fraction_bits=22),
    ActivationConfig(function="quick_gelu", range=6.0, fraction_bits=22),
]


@pytest.mark.parametrize("config", DELTAS, ids=str)
def test_interpolated_delta(config: ActivationConfig) -> None:
    """Chords between its values are as far above the curve as below, where the table does not end."""
    table, scale = activation_delta(config), 1 << config.fraction_bits
    assert len(table) == config.entries + 1
    assert table[-1] == 0
    assert all(0 <= value < 0.28 * scale for value in table), "delta stays below 0.17, of silu below 0.279"
    h = 1 / (1 << config.step_bits)
    # Between steps the error is h*h/16 * delta'' to either side; delta'' changes by h * 1.6 over a step at most.
    curvature = {"gelu": 0.8, "gelu_tanh": 0.8, "quick_gelu": 0.86, "silu": 0.5}[config.function]
    bound = h * h / 16 * (curvature + 2 * h) + 1 / scale
    for i in range(config.entries - 1):
        assert abs(table[i] / scale - delta(config.function, i * h)) <= bound
        middle = (table[i] + table[i + 1]) / 2 / scale
        assert abs(middle - delta(config.function, (i + 0.5) * h)) <= bound


@pytest.mark.parametrize("function", FUNCTIONS)
def test_delta_without_interpolation(function: str) -> None:
    config = ActivationConfig(function=function, interpolate=False, fraction_bits=16)
    table = activation_delta(config)
    assert len(table) == config.entries
    for i, value in enumerate(table):
        assert abs(value / (1 << 16) - delta(function, (i + 0.5) / 32)) <= 0.51 / (1 << 16)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_direct_table(function: str) -> None:
    config = ActivationConfig(variant="table", function=function, step_bits=4, fraction_bits=16)
    table = activation_table(config)
    assert len(table) == 2 * config.entries
    for i, value in enumerate(table):
        x = (i - config.entries + 0.5) / 16
        assert abs(value / (1 << 16) - FUNCTIONS[function](x)) <= 0.51 / (1 << 16)


def test_polynomial_of_gelu() -> None:
    """I-BERT's erf, ``1 - 0.2888 (v - 1.769)**2`` for ``v = u / sqrt 2`` below 1.769, within 0.018 of GELU."""
    assert round(1.769 * math.sqrt(2) * 1024) == GELU_POLY_EDGE
    assert abs(GELU_POLY_FACTOR / (1 << GELU_POLY_BITS) - 0.2888 / 4) < 0.6 / (1 << GELU_POLY_BITS)
    for u in (0.0, 0.3, 1.0, 2.0, 2.4):
        erf = 1 - 0.2888 * (u / math.sqrt(2) - 1.769) ** 2
        found = GELU_POLY_FACTOR / (1 << GELU_POLY_BITS) * u * (GELU_POLY_EDGE / 1024 - u) ** 2
        assert abs(found - (u - u * (1 + erf) / 2)) < 1e-3
        assert abs(found - delta("gelu", u)) < 0.019


@pytest.mark.parametrize("config", SOFTMAX, ids=str)
def test_powers_of_two(config: SoftmaxConfig) -> None:
    bits = config.fraction_bits
    steps, half = 1 << bits, 1 << (bits + 1)
    mantissa, negative, level = exp2_mantissa(config), exp2_negative(config), exp2_level(config)
    assert len(mantissa) == len(negative) == len(level) == steps
    assert (negative[0], level[0]) == (1 << 15, LEVEL_MAXIMUM)
    for f in range(steps):
        exact = 2.0 ** (f / steps)
        assert abs(mantissa[f] - half * exact * LEVEL_MAXIMUM / (1 << LEVEL_BITS)) <= 0.5
        assert abs(negative[f] - 32768 / exact) <= 0.5
        assert abs(level[f] - LEVEL_MAXIMUM / exact) <= 0.5
    assert all(0 <= g - mantissa[0] < half for g in mantissa)
    assert all(g << (14 - bits) <= LEVEL_MAXIMUM for g in mantissa)
    assert all(1 << 14 <= e <= 1 << 15 for e in negative)
    assert all(1 << 14 <= x < 1 << 16 for x in level)


@pytest.mark.parametrize("config", SOFTMAX, ids=str)
def test_polynomial_of_the_exponential(config: SoftmaxConfig) -> None:
    """I-BERT states an error of 0.0019 for ``exp`` on ``(-ln 2, 0]``; its constant at 0 is 1.0003."""
    steps = 1 << config.fraction_bits
    k, b = ibert_exponential(config)
    for f in range(steps):
        found = 0.3585 * math.log(2) ** 2 * ((k - f) ** 2 + b) / steps**2
        assert abs(found - 2.0 ** (-f / steps)) < 0.003 + 0.4 / steps
    assert ((k * k + b) * 2**16) >> (2 * config.fraction_bits) < 1 << 19


def test_seed_of_the_reciprocal_root() -> None:
    seed = rsqrt_seed()
    assert len(seed) == 96
    assert all(1 << 15 <= y < 1 << 16 for y in seed)
    for i, y in enumerate(seed, start=32):
        for x in (i / 32, (i + 1) / 32):
            assert abs(y / 65536 * math.sqrt(x) - 1) < 1 / 120, "one Newton step then squares the error"
