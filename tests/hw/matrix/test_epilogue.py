import random
from dataclasses import dataclass
from typing import Any

import pytest

from tests.hw.activation.test_activation import activation
from tests.support.hw.columns import pack, run_pipeline, unpack
from vitreous.hw.arith.requantize import Saturation
from vitreous.hw.matrix.epilogue import Epilogue, EpilogueControl
from vitreous.spec import numbers
from vitreous.spec.config import AcceleratorConfig, ActivationConfig, ArrayConfig
from vitreous.spec.isa import Activation


@dataclass
class Column:
    """One column: N values each, and its control."""

    acc: list[int]
    bias: list[int]
    multiplier: list[int]
    shift: list[int]
    residual: list[int]
    control: dict[str, int]

    def expected(self, config: AcceleratorConfig) -> list[int]:
        lanes = zip(self.acc, self.bias, self.multiplier, self.shift, self.residual, strict=True)
        return [self._lane(config, *lane) for lane in lanes]

    def _lane(self, config: AcceleratorConfig, acc: int, bias: int, m: int, s: int, residual: int) -> int:
        c = self.control
        if c["activation"] == Activation.SMOOTH:
            y = activation(numbers.requantize(acc + bias, m, s, 0, numbers.INT16), config.activation)
            return numbers.requantize(y, c["multiplier"], c["shift"], c["zero_point"], numbers.INT8)
        if c["saturation"] != Saturation.INT8:
            fmt = numbers.INT16 if c["saturation"] == Saturation.INT16 else numbers.SCORE
            y = numbers.requantize(acc + bias, m, s, 0, fmt)
            return numbers.saturate(y + residual, numbers.INT16) if c["residual"] else y
        y = numbers.requantize(acc + bias, m, s, c["zero_point"], numbers.INT8)
        return max(y, c["zero_point"]) if c["activation"] == Activation.RELU else y

    def inputs(self) -> dict[str, int]:
        return {
            "valid": 1,
            "acc": pack(self.acc, 32),
            "bias": pack(self.bias, 32),
            "multiplier": pack(self.multiplier, 15),
            "shift": pack(self.shift, 6),
            "control": EpilogueControl().const(self.control).as_value().value,
        }


KINDS: list[tuple[Saturation, Activation, int]] = [
    (Saturation.INT8, Activation.NONE, 0),
    (Saturation.INT8, Activation.RELU, 0),
    (Saturation.INT8, Activation.SMOOTH, 0),
    (Saturation.INT16, Activation.SMOOTH, 0),  # GELU makes int8 whatever the saturation says
    (Saturation.INT16, Activation.NONE, 0),
    (Saturation.INT16, Activation.NONE, 1),
    (Saturation.SCORE, Activation.NONE, 0),
]


def random_column(rng: random.Random, lanes: int, config: ActivationConfig) -> Column:
    saturation, activation, residual = rng.choice(KINDS)
    magnitude = rng.choice([8, 16, 24, 30])

    def value() -> int:
        return rng.randrange(-(1 << magnitude), 1 << magnitude)

    shift = max(1, magnitude + rng.randrange(-6, 8))
    return Column(
        acc=[value() for _ in range(lanes)],
        bias=[value() for _ in range(lanes)],
        multiplier=[rng.randrange(1, 1 << 15) for _ in range(lanes)],
        shift=[min(47, shift + rng.randrange(3)) for _ in range(lanes)],
        residual=[rng.randrange(-32768, 32768) for _ in range(lanes)],
        control={
            "saturation": int(saturation),
            "activation": int(activation),
            "zero_point": rng.randrange(-128, 128),
            "multiplier": rng.randrange(1 << 14, 1 << 15),
            "shift": rng.randrange(config.fraction_bits, config.fraction_bits + 12),
            "residual": residual,
        },
    )


ACTIVATIONS = {
    "default": ActivationConfig(),
    "delta-22": ActivationConfig(range=4.25, fraction_bits=22),
    "constant-10": ActivationConfig(interpolate=False, fraction_bits=10),
    "poly": ActivationConfig(variant="poly", fraction_bits=18),
    "shift": ActivationConfig(variant="shift", function="silu"),
    "table": ActivationConfig(variant="table"),
}


@pytest.mark.alike(1)
@pytest.mark.parametrize(
    ("lanes", "name", "cycles"),
    [
        (4, "default", 1000),
        (8, "default", 500),
        *((4, name, 400) for name in ACTIVATIONS if name != "default"),
    ],
)
def test_mixed_columns(lanes: int, name: str, cycles: int) -> None:
    """Columns of all kinds, back to back and with gaps; junk at the inputs in the gaps."""
    rng = random.Random(lanes)
    config = AcceleratorConfig(array=ArrayConfig(lanes=lanes), activation=ACTIVATIONS[name])
    dut = Epilogue(config)
    columns: dict[int, Column] = {}
    inputs: list[dict[str, int]] = []
    for cycle in range(cycles):
        column = random_column(rng, lanes, config.activation)
        entry = column.inputs()
        if cycle < cycles * 2 // 3 or rng.random() < 0.5:
            columns[cycle] = column
        else:
            entry["valid"] = 0
        inputs.append(entry)
    latency = dut.latency(config)
    inputs += [{"valid": 0} for _ in range(latency + 2)]
    for cycle, entry in enumerate(inputs):
        source = columns.get(cycle - dut.residual_latency(config))
        entry["residual"] = pack(
            source.residual if source else [rng.getrandbits(16) for _ in range(lanes)], 16
        )
    seen = run_pipeline(dut, inputs, ["o_valid", "o"], cycles=len(inputs))
    assert [t for t, s in enumerate(seen) if s["o_valid"]] == [t + latency for t in columns]
    for cycle, column in columns.items():
        got = unpack(seen[cycle + latency]["o"], numbers.SCORE.width, lanes, signed=True)
        assert got == column.expected(config), (cycle, column)


def test_control_fields_have_the_widths_of_the_instruction() -> None:
    layout: Any = EpilogueControl()
    assert {name: field.width for name, field in layout} == {
        "saturation": 2,
        "activation": 2,
        "zero_point": 8,
        "multiplier": 15,
        "shift": 6,
        "residual": 1,
    }
