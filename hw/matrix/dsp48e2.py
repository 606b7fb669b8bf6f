"""One DSP slice of UltraScale+ as the array uses it: registered operands, pre-adder, product register, cascade, sum.

Elaborated for the platform ``UltraScalePlus`` a slice is the primitive DSP48E2, for any other one plain logic with the
same registers, so that a simulation, a proof and a tool that infers DSP blocks need no model of the primitive.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.platforms import UltraScalePlus

A_BITS, B_BITS, P_BITS = 27, 18, 48
"""Widths of the multiplier's two operands and of the sum."""
_W_SUM, _Z_CASCADE, _XY_PRODUCT = 0b01_000_0000, 0b00_001_0000, 0b0101
"""Parts of OPMODE: add P, add PCIN, add both partial products (UltraScale Architecture DSP Slice, UG579)."""


class DspSlice(wiring.Component):
    """``o = [pcin +] (a [+ d]) * b``, or with ``accumulate`` a register: ``o += [pcin +] (a [+ d]) * b``.

    Latency: ``registers + 1`` cycles from the operands to ``o``, one more with ``accumulate``; none from ``pcin``, one
    with ``accumulate``.
    Throughput: one product a cycle.
    Back-pressure: none.

    Parameters
    ----------
    registers : cycles between the operands and the multiplier, 1 or 2.
    pre_adder : there is a ``d``; ``a + d`` must fit 27 bits.
    cascade : there is a ``pcin``, the ``o`` of a slice without ``accumulate``.
    accumulate : ``o`` is a register with the controls ``load`` and ``take``.

    Members
    -------
    a, d, b : In, operands.
    pcin : In, the sum so far.
    take, load : In, with the product: change ``o``; forget its old value.
    o : Out, the sum, modulo ``2**48``.

    Raises ValueError when ``registers`` is neither 1 nor 2.
    """

    def __init__(self, *, registers: int, pre_adder: bool, cascade: bool, accumulate: bool) -> None:
        if registers not in (1, 2):
            raise ValueError(f"Registers must be 1 or 2, not {registers!r}")
        self.registers, self.pre_adder = registers, pre_adder
        self.cascade, self.accumulate = cascade, accumulate
        members: dict[str, Any] = {"a": In(signed(A_BITS)), "b": In(signed(B_BITS)), "o": Out(signed(P_BITS))}
        if pre_adder:
            members["d"] = In(signed(A_BITS))
        if cascade:
            members["pcin"] = In(signed(P_BITS))
        if accumulate:
            members |= {"take": In(1), "load": In(1)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if isinstance(platform, UltraScalePlus):
            m.submodules.primitive = self._primitive()
        else:
            self._build_logic(m)
        return m

    def _build_logic(self, m: Module) -> None:
        """Registers A, D, AD, B1, B2, M and P of the slice."""

        def register(value: Value, name: str) -> Signal:
            stage = Signal(value.shape(), name=name, reset_less=True)
            m.d.sync += stage.eq(value)
            return stage

        a: Value = register(self.a, "a_1")
        if self.pre_adder:
            a = (a + register(self.d, "d_1"))[:A_BITS].as_signed()
        b: Value = register(self.b, "b_1")
        if self.registers == 2:
            a, b = register(a, "a_2"), register(b, "b_2")
        product: Value = register(a * b, "product")
        if self.cascade:
            product = product + self.pcin
        if self.accumulate:
            total = Signal(signed(P_BITS), reset_less=True)
            m.d.sync += total.eq(Mux(self.take, product + Mux(self.load, 0, total), total))
            product = total
        m.d.comb += self.o.eq(product)

    def _primitive(self) -> Instance:
        """The operands' second register is AD behind a pre-adder, else A1 before A2; cascades stay inside a column."""
        second = self.registers - 1
        single = 1 if self.pre_adder else self.registers
        registers = {
            "AREG": single,
            "ACASCREG": single,
            "DREG": 1,
            "ADREG": second,
            "BREG": self.registers,
            "BCASCREG": self.registers,
            "MREG": 1,
            "PREG": int(self.accumulate),
            **dict.fromkeys(
                ("ALUMODEREG", "CARRYINREG", "CARRYINSELREG", "CREG", "INMODEREG", "OPMODEREG"), 0
            ),
        }
        parameters = {f"p_{name}": value for name, value in registers.items()} | {
            "p_AMULTSEL": "AD" if self.pre_adder else "A",
            "p_BMULTSEL": "B",
            "p_PREADDINSEL": "A",
            "p_A_INPUT": "DIRECT",
            "p_B_INPUT": "DIRECT",
            "p_USE_MULT": "MULTIPLY",
            "p_USE_SIMD": "ONE48",
        }
        enables = ("A1", "A2", "AD", "B1", "B2", "D", "M")
        zeros = {"C": 48, "CARRYIN": 1, "CARRYINSEL": 3, "ALUMODE": 4, "ACIN": 30, "BCIN": 18}
        resets = ("A", "ALLCARRYIN", "ALUMODE", "B", "C", "CTRL", "D", "INMODE", "M", "P")
        ports: dict[str, Value] = {
            "CLK": ClockSignal(),
            "A": Cat(self.a, self.a[-1].replicate(3)),
            "B": self.b,
            "D": self.d if self.pre_adder else Const(0, A_BITS),
            "PCIN": self.pcin if self.cascade else Const(0, P_BITS),
            "INMODE": Const(0b00100 if self.pre_adder else 0, 5),
            "OPMODE": self._opmode(),
            "CEP": self.take if self.accumulate else Const(0, 1),
            **{f"CE{name}": Const(1, 1) for name in enables},
            **{f"CE{name}": Const(0, 1) for name in ("ALUMODE", "C", "CARRYIN", "CTRL", "INMODE")},
            **{f"RST{name}": Const(0, 1) for name in resets},
            **{name: Const(0, width) for name, width in zeros.items()},
        }
        output = "o_P" if self.accumulate else "o_PCOUT"
        return Instance(
            "DSP48E2",
            **parameters,
            **{f"i_{name}": value for name, value in ports.items()},
            **{output: self.o},
        )

    def _opmode(self) -> Value:
        base = _XY_PRODUCT | (_Z_CASCADE if self.cascade else 0)
        if not self.accumulate:
            return Const(base, 9)
        return Mux(self.load, Const(base, 9), Const(base | _W_SUM, 9))
