"""Two int8 products in one 27 x 18 multiplication: for all operands, and for every sequence of words of a tile.

Two statements make one: a packed product is the two products, 18 places apart, on top of any cascade, hence of any
number of them (``packed_product``); and whatever such sums add up, of up to 4 products a word, is taken apart into both
sums by the low field and the counter of its wraps (``packed_sums``).
"""

from __future__ import annotations

from amaranth.hdl import Assert, Assume, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from campaigns.formal.arithmetic import FEED_FORWARD
from campaigns.formal.harness import elapsed, open_unit, past
from campaigns.formal.prover import bounded, inductive
from campaigns.mutants.mutation import Mutation
from vitreous.hw.matrix.array_dsp import CHAIN, FIELD_BITS, Sums
from vitreous.hw.matrix.dsp48e2 import P_BITS, DspSlice

_LARGEST = CHAIN << 14
"""Most that one word changes a sum by."""


class ProductTop(wiring.Component):
    """``pcin + high * b * 2**18 + low * b`` modulo 2**48, all signed bytes, all ``pcin``.

    A product of two free operands did not close; one of a free and a known one is a sum. So cycle t has ``b = t``.
    """

    def __init__(self) -> None:
        byte = signed(8)
        super().__init__({"low": In(byte), "high": In(byte), "b": In(byte), "pcin": In(signed(P_BITS))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        unit = DspSlice(registers=1, pre_adder=True, cascade=True, accumulate=False)
        product = open_unit(m, unit)["product"]
        time = elapsed(m, 511)
        low, high, b = (past(m, getattr(self, name), 2, name=name) for name in ("low", "high", "b"))
        m.d.comb += [
            Assume(self.b == time[:8].as_signed()),
            unit.a.eq(self.low),
            unit.d.eq(self.high << FIELD_BITS),
            unit.b.eq(self.b),
            unit.pcin.eq(self.pcin),
        ]
        with m.If(time >= 2):
            m.d.comb += [
                Assert(product == ((high * b) << FIELD_BITS) + low * b),
                Assert(unit.o == (product + self.pcin)[:P_BITS].as_signed()),
            ]
        return m


class _FreeSums(Sums):
    """The real counters and ``read`` around a sum that the proof drives itself."""

    def __init__(self, bits: int) -> None:
        self.total = Signal(signed(P_BITS))
        super().__init__(lanes=2, depth=1, bits=bits, registers=1)

    def _build_chain(self, m: Module) -> Value:
        return self.total


class SumsTop(wiring.Component):
    """Whatever words come, from the first one of a tile on ``read`` gives both sums, as long as they fit 32 bits."""

    def __init__(self) -> None:
        product = signed(FIELD_BITS)
        super().__init__({"take": In(1), "load": In(1), "low": In(product), "high": In(product)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = unit = _FreeSums(32)
        products, started = (self.low, self.high), Signal()
        m.d.comb += [unit.take.eq(self.take), unit.load.eq(self.load), Assume(self.take | ~self.load)]
        m.d.sync += started.eq(started | self.load)
        with m.If(self.take):
            m.d.sync += unit.total.eq(Mux(self.load, 0, unit.total) + (self.high << FIELD_BITS) + self.low)
        sums = [Signal(signed(32), name=name) for name in ("low_sum", "high_sum")]
        for total, product, result in zip(sums, products, unit.read(unit.o), strict=True):
            following = Mux(self.load, 0, total) + product
            m.d.comb += Assume((product <= _LARGEST) & (product >= -_LARGEST))
            m.d.comb += Assume(~self.take | (following == following[:32].as_signed()))
            with m.If(self.take):
                m.d.sync += total.eq(following)
            with m.If(started):
                m.d.comb += Assert(result == total)
        with m.If(started):
            m.d.comb += Assert(unit.total == ((sums[1] << FIELD_BITS) + sums[0])[:P_BITS].as_signed())
        return m


PROOFS = (
    bounded(
        "packed_product",
        "hw.matrix.dsp48e2.DspSlice",
        "`(high * 2**18 + low) * b + pcin = high * b * 2**18 + low * b + pcin`, all signed bytes and `pcin` "
        "(a cycle for each `b`)",
        ProductTop,
        # One bit less fits all pairs but (-128, low < 0).
        Mutation("width", "matrix/dsp48e2.py", "[:A_BITS].as_signed()", "[: A_BITS - 1].as_signed()"),
        depth=256 + 2,
        bug_depth=8,
        complete=FEED_FORWARD,
    ),
    inductive(
        "packed_sums",
        "hw.matrix.array_dsp.Sums",
        "both sums are exact after any number of words of up to 4 byte products each, while they fit 32 bits",
        SumsTop,
        Mutation("state", "matrix/array_dsp.py", "was.eq(Mux(self.load, 0, before))", "was.eq(before)"),
        depth=3,
        bug_depth=8,
    ),
)
