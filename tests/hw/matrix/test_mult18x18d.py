# amaranth: UnusedElaboratable=no
"""The registered product of ECP5: its logic against the primitive that stands for it there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Cat, Instance, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator

from vitreous.hw.matrix.mult18x18d import BITS, primitive, registered_product
from vitreous.hw.platforms import Ecp5


class Mult18x18dModel(wiring.Component):
    """``instance`` with logic in its place, from the part's data sheet (sysDSP): signed operands and one register."""

    def __init__(self, instance: Instance) -> None:
        assert instance.type == "MULT18X18D"
        registers = {name: value for name, value in instance.parameters.items() if name.endswith("_CLK")}
        assert registers == {"REG_OUTPUT_CLK": "CLK0"}
        assert instance.parameters["REG_OUTPUT_CE"] == "CE0"
        assert instance.parameters["REG_OUTPUT_RST"] == "RST0"
        self.pins = {name: Value.cast(value) for name, (value, kind) in instance.ports.items() if kind == "i"}
        super().__init__({"o": Out(signed(2 * BITS))})

    def operand(self, name: str) -> Value:
        word = Cat(*(self.pins[f"{name}{bit}"] for bit in range(BITS)))
        return Cat(word, (word[-1] & self.pins[f"SIGNED{name}"]).replicate(BITS)).as_signed()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.If(self.pins["RST0"]):
            m.d.sync += self.o.eq(0)
        with m.Elif(self.pins["CE0"]):
            m.d.sync += self.o.eq(self.operand("A") * self.operand("B"))
        return m


def test_logic_is_the_primitive() -> None:
    m = Module()
    a, b = Signal(signed(8)), Signal(signed(8))
    logic = registered_product(m, a, b, name="product", platform=None)
    block = Signal(signed(16), name="block")
    m.submodules.model = model = Mult18x18dModel(primitive(a, b, block))
    rng = np.random.default_rng(1)
    corners = [(x, y) for x in (-128, -1, 0, 127) for y in (-128, -1, 0, 127)]
    operands = corners + rng.integers(-128, 128, (300, 2)).tolist()

    async def bench(ctx: Any) -> None:
        for x, y in operands:
            ctx.set(a, x), ctx.set(b, y)
            await ctx.tick()
            assert ctx.get(logic) == x * y
            assert ctx.get(model.o) == x * y

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_the_platform_decides() -> None:
    def text(platform: object) -> str:
        m = Module()
        a, b, o = Signal(signed(8), name="a"), Signal(signed(8), name="b"), Signal(signed(16), name="o")
        m.d.comb += o.eq(registered_product(m, a, b, name="product", platform=platform))
        return rtlil.convert(m, name="top", ports=[a, b, o], platform=platform)

    assert "MULT18X18D" in text(Ecp5())
    assert "MULT18X18D" not in text(None)


@pytest.mark.parametrize("operand", [Signal(8), Signal(signed(19))])
def test_an_operand_that_the_block_cannot_take_is_refused(operand: Signal) -> None:
    with pytest.raises(ValueError, match="signed and has at most 18 bits"):
        primitive(operand, Signal(signed(8)), Signal(signed(16)))
