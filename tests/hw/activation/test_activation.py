"""Every variant of GELU and SiLU on all 2**16 inputs: RTL, golden and the formulas on Python integers are one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.hw.columns import pack, run_pipeline, unpack
from vitreous.golden.activation.activation import activation as golden_activation
from vitreous.hw.activation.activation import VARIANTS, SmoothActivation
from vitreous.sim.bench.vectors import Block, VectorBench
from vitreous.spec.config import ActivationConfig
from vitreous.spec.tables import (
    GELU_POLY_BITS,
    GELU_POLY_EDGE,
    GELU_POLY_FACTOR,
    activation_delta,
    activation_table,
)

ALL_INPUTS = range(-(1 << 15), 1 << 15)
LANES = 8

CONFIGS = {
    "default": ActivationConfig(),
    "delta-22": ActivationConfig(range=4.25, fraction_bits=22),
    "delta-coarse": ActivationConfig(step_bits=2, range=16.0, fraction_bits=10),
    "delta-fine": ActivationConfig(step_bits=8, range=4.0, fraction_bits=16),
    "delta-odd": ActivationConfig(step_bits=4, range=3.4375),
    "delta-one": ActivationConfig(step_bits=2, range=0.25),
    "delta-silu": ActivationConfig(function="silu", range=12.0, fraction_bits=16),
    "constant": ActivationConfig(step_bits=7, range=4.0, fraction_bits=12, interpolate=False),
    "constant-22": ActivationConfig(step_bits=3, range=4.125, fraction_bits=22, interpolate=False),
    "constant-silu": ActivationConfig(function="silu", step_bits=2, range=16.0, interpolate=False),
    "poly": ActivationConfig(variant="poly"),
    "poly-10": ActivationConfig(variant="poly", fraction_bits=10),
    "poly-22": ActivationConfig(variant="poly", fraction_bits=22),
    "shift": ActivationConfig(variant="shift"),
    "shift-10": ActivationConfig(variant="shift", fraction_bits=10),
    "shift-22": ActivationConfig(variant="shift", fraction_bits=22),
    "shift-silu": ActivationConfig(variant="shift", function="silu"),
    "shift-silu-22": ActivationConfig(variant="shift", function="silu", fraction_bits=22),
    "delta-gelu-tanh": ActivationConfig(function="gelu_tanh"),
    "delta-quick": ActivationConfig(function="quick_gelu", range=6.0, fraction_bits=16),
    "shift-quick": ActivationConfig(variant="shift", function="quick_gelu"),
    "table-gelu-tanh": ActivationConfig(variant="table", function="gelu_tanh", range=3.5),
    "table": ActivationConfig(variant="table", range=4.0),
    "table-16": ActivationConfig(variant="table", step_bits=3, range=16.0, fraction_bits=22),
    "table-silu": ActivationConfig(
        variant="table", function="silu", step_bits=4, range=4.3125, fraction_bits=10
    ),
}


def round_shift(value: int, shift: int) -> int:
    return (value + (1 << (shift - 1))) >> shift


def delta(u: int, c: ActivationConfig) -> int:
    """The formulas of docs/numerics.md."""
    b, f = 10 - c.step_bits, c.fraction_bits
    if c.variant == "poly":
        w = max(0, GELU_POLY_EDGE - u)
        product = ((w * w) >> 10) * min(u, GELU_POLY_EDGE) * GELU_POLY_FACTOR
        return round_shift(product, 20 + GELU_POLY_BITS - f)
    if c.variant == "shift":
        k = u + (u >> 1) + (u >> 3) + (u >> 4) if c.function != "silu" else u
        v = k + (k >> 1) - (k >> 4)
        z, r = v >> 10, v & 1023
        e = ((2048 - r) << 4) >> z if z < 16 else 0
        return round_shift(u * (e * 2**15 // (2**15 + e)), 25 - f)
    table, i, r = activation_delta(c), u >> b, u & ((1 << b) - 1)
    if i >= c.entries:
        return 0
    if not c.interpolate:
        return table[i]
    return (table[i] * 2**b + (table[i + 1] - table[i]) * r + 2 ** (b - 1)) >> b


def activation(x: int, c: ActivationConfig) -> int:
    """``y`` of docs/numerics.md, on Python integers."""
    positive = max(x, 0) << (c.fraction_bits - 10)
    if c.variant != "table":
        return positive - delta(abs(x), c)
    i = x >> (10 - c.step_bits)
    if -c.entries <= i < c.entries:
        return activation_table(c)[i + c.entries]
    return positive


@pytest.mark.parametrize("name", CONFIGS)
def test_golden_is_the_formula(name: str) -> None:
    config = CONFIGS[name]
    expected = [activation(x, config) for x in ALL_INPUTS]
    assert (
        golden_activation(torch.arange(-(1 << 15), 1 << 15, dtype=torch.int16), config).tolist() == expected
    )


@pytest.fixture(scope="module")
def bench() -> VectorBench:
    return VectorBench({name: SmoothActivation(c, lanes=LANES) for name, c in CONFIGS.items()}, name="gelu")


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_all_inputs(bench: VectorBench, name: str) -> None:
    """Enabled and not, and changing from cycle to cycle."""
    config = CONFIGS[name]
    torch.set_num_threads(1)
    x = np.arange(-(1 << 15), 1 << 15).reshape(-1, LANES)
    passed = x << (config.fraction_bits - 10)
    y = golden_activation(torch.tensor(x), config).numpy()
    mixed = np.random.default_rng(1).integers(0, 2, len(x))
    blocks = [
        Block(
            stimulus={"enable": enable, "x": x[order]},
            expected={"y": np.where(enable[:, None] == 1, y[order], passed[order])},
        )
        for enable in (np.ones(len(x), int), np.zeros(len(x), int), mixed)
        for order in (np.random.default_rng(2).permutation(len(x)),)
    ]
    result = bench.compare(name, blocks, latency=SmoothActivation.latency(config))
    assert result.values == 3 * 65536
    assert not result.mismatches, result


@pytest.mark.parametrize("name", ["default", "constant", "poly", "shift-silu", "table"])
def test_latency_and_both_sides_of_each_edge(name: str) -> None:
    """The same in Amaranth's simulator, which needs no other tool."""
    config, lanes = CONFIGS[name], 16
    edges = [0, 31, 32, 63, GELU_POLY_EDGE, 1024, 4095, 4352, 6754, 11398, 16384, 32767]
    x = sorted({s * (e + d) for e in edges for d in (-1, 0, 1) for s in (1, -1) if e + d < 32768} | {-32768})
    x += [0] * (-len(x) % lanes)
    columns = [x[i : i + lanes] for i in range(0, len(x), lanes)]
    dut = SmoothActivation(config, lanes=lanes)
    inputs = [{"x": pack(column, 16), "enable": t % 4 != 3} for t, column in enumerate(columns)]
    latency = dut.latency(config)
    seen = run_pipeline(dut, inputs, ["y"], cycles=len(inputs) + latency)
    for t, column in enumerate(columns):
        expected = [activation(v, config) if t % 4 != 3 else v << dut.scale_bits for v in column]
        assert unpack(seen[t + latency]["y"], dut.width, lanes, signed=True) == expected


def test_every_variant_is_here() -> None:
    assert {config.variant for config in CONFIGS.values()} == set(VARIANTS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_lanes_must_be_positive(variant: str) -> None:
    with pytest.raises(ValueError, match="^Lanes must be a positive integer, not 0$"):
        SmoothActivation(ActivationConfig(variant=variant), lanes=0)
