"""The primitive DSP48E2 as its user guide (UG579) describes it, as far as ``hw.matrix.dsp48e2`` uses it.

Anything else raises.

Written from the guide's block diagram, OPMODE and INMODE tables, not from the unit: it reads the attributes and pins of
the very instance that the unit makes.
"""

from __future__ import annotations

from amaranth.hdl import Instance, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import Out


class Dsp48e2Model(wiring.Component):
    """``instance`` with logic in place of the primitive; ``o`` is its P or PCOUT, whichever is connected."""

    def __init__(self, instance: Instance) -> None:
        assert instance.type == "DSP48E2"
        self.attributes = dict(instance.parameters)
        self.pins = {name: Value.cast(value) for name, (value, kind) in instance.ports.items() if kind == "i"}
        super().__init__({"o": Out(signed(48))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pin, attribute = self.pins, self.attributes
        fixed = {"USE_MULT": "MULTIPLY", "USE_SIMD": "ONE48", "A_INPUT": "DIRECT", "B_INPUT": "DIRECT"}
        assert all(attribute[name] == value for name, value in fixed.items())
        for name in ("ALUMODE", "CARRYINSEL", "INMODE", "OPMODE", "C", "CARRYIN"):
            assert attribute[f"{name}REG"] == 0

        def register(value: Value, count: int, *enables: str) -> Value:
            for enable in enables[len(enables) - count :]:
                stage = Signal.like(value)
                m.d.sync += stage.eq(
                    Mux(
                        pin[f"RST{enable[2]}" if enable != "CEAD" else "RSTD"],
                        0,
                        Mux(pin[enable], value, stage),
                    )
                )
                value = stage
            return value

        # INMODE[0] and [4] choose the second registers, [1] and [3] the plain A, [2] opens D.
        bare = Signal(5)
        m.d.comb += bare.eq(pin["INMODE"])
        a = register(pin["A"][:27].as_signed(), attribute["AREG"], "CEA1", "CEA2")
        d = register(pin["D"].as_signed(), attribute["DREG"], "CED")
        opened = Mux(bare[2], d, 0)
        adder = register((Mux(bare[3], -a, a) + opened)[:27].as_signed(), attribute["ADREG"], "CEAD")
        assert attribute["AMULTSEL"] in ("A", "AD")
        assert (attribute["BMULTSEL"], attribute["PREADDINSEL"]) == ("B", "A")
        left = adder if attribute["AMULTSEL"] == "AD" else a
        b = register(pin["B"].as_signed(), attribute["BREG"], "CEB1", "CEB2")
        product = register(left * b, attribute["MREG"], "CEM")
        m.d.comb += self.o.eq(self._sum(m, product))
        return m

    def _sum(self, m: Module, product: Value) -> Value:
        """W + X + Y + Z of the ALU with ALUMODE 0 and no carry, and the register P."""
        pin, p, total = self.pins, Signal(signed(48)), Signal(signed(48))
        opmode = Signal(9)
        m.d.comb += opmode.eq(pin["OPMODE"])
        w, z, xy = Signal(signed(48)), Signal(signed(48)), Signal(signed(48))
        with m.Switch(opmode[7:9]):
            with m.Case(0b00):
                m.d.comb += w.eq(0)
            with m.Case(0b01):
                m.d.comb += w.eq(p)
            with m.Case(0b11):
                m.d.comb += w.eq(pin["C"])
        with m.Switch(opmode[4:7]):
            with m.Case(0b001):
                m.d.comb += z.eq(pin["PCIN"])
            with m.Case(0b010):
                m.d.comb += z.eq(p)
            with m.Case(0b011):
                m.d.comb += z.eq(pin["C"])
        with m.If(opmode[:4] == 0b0101):
            m.d.comb += xy.eq(product)
        m.d.comb += total.eq(w + z + xy + pin["CARRYIN"])
        if not self.attributes["PREG"]:
            return total
        m.d.sync += p.eq(Mux(pin["RSTP"], 0, Mux(pin["CEP"], total, p)))
        return p
