import numpy as np
import pytest

from tests.hw.columns import pack, run_pipeline, unpack
from vitreous.hw.gelu import Gelu
from vitreous.spec.config import GeluConfig
from vitreous.spec.tables import gelu_delta


def gelu(x: int, config: GeluConfig) -> int:
    """The formula of docs/numerics.md on Python integers."""
    table, b, u = gelu_delta(config), 10 - config.step_bits, abs(x)
    i, f = u >> b, u & ((1 << b) - 1)
    inside = i < config.entries
    delta = (table[i] * (1 << b) + (table[i + 1] - table[i]) * f + (1 << (b - 1))) >> b if inside else 0
    return (max(x, 0) << (config.fraction_bits - 10)) - delta


CONFIGS = [
    GeluConfig(),
    pytest.param(GeluConfig(step_bits=2, range=16.0, fraction_bits=10), marks=pytest.mark.slow),
    pytest.param(GeluConfig(step_bits=8, range=4.0, fraction_bits=16), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.step_bits}-{c.range}-{c.fraction_bits}")
def test_all_inputs(config: GeluConfig) -> None:
    lanes = 256
    values = np.arange(-32768, 32768).reshape(-1, lanes)
    dut = Gelu(config, lanes=lanes)
    inputs = [{"x": pack(row, 16), "enable": 1} for row in values.tolist()]
    inputs += [{"x": pack(row, 16), "enable": 0} for row in values[::37].tolist()]
    seen = run_pipeline(dut, inputs, ["y"], cycles=len(inputs) + dut.LATENCY)
    got = [unpack(s["y"], dut.width, lanes, signed=True) for s in seen[dut.LATENCY :]]
    assert got[: len(values)] == [[gelu(x, config) for x in row] for row in values.tolist()]
    assert got[len(values) :] == values[::37].tolist()


def test_lanes_must_be_positive() -> None:
    with pytest.raises(ValueError, match="^Lanes must be a positive integer, not 0$"):
        Gelu(GeluConfig(), lanes=0)
