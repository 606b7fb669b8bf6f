"""Requantization of a column of accumulators (docs/numerics.md): the only way from an accumulator to an activation.

Stages:
    1  multiply
    2  shift by s - 1, keeping two bits more than a result has and whether more was lost
    3  add the half and the zero point, drop one bit, saturate
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.checks import positive
from vitreous.spec.numbers import INT8, INT16, MULTIPLIER_BITS, SCORE, SHIFT_BITS, Format


class Saturation(IntEnum):
    """Range of a requantized value: ``INT8``, ``INT16`` or that of an attention ``SCORE``."""

    INT8 = 0
    INT16 = 1
    SCORE = 2


FORMATS: Mapping[Saturation, Format] = {
    Saturation.INT8: INT8,
    Saturation.INT16: INT16,
    Saturation.SCORE: SCORE,
}
_BY_WIDTH = sorted(FORMATS, key=lambda saturation: FORMATS[saturation].width)
WIDEST = _BY_WIDTH[-1]
"""The saturation that leaves every requantized value as it is."""


class Requantize(wiring.Component):
    """``o = saturate(((acc * multiplier + 2**(shift-1)) >> shift) + zero_point)`` for each lane.

    The half is added after the shift: ``((acc*m >> (s-1)) + 1 + 2*zero_point) >> 1`` is the same number and needs no
    second shifter.

    Latency: ``LATENCY`` cycles.
    Throughput: one column a cycle.
    Back-pressure: none.

    Parameters
    ----------
    lanes : values in a column.
    width : bits of an accumulator, signed.
    widest : the saturation with the most bits that the unit ever gets.

    Members
    -------
    acc : In, the accumulators.
    multiplier, shift : In, for each lane; a shift is 1 to 63.
    zero_point : In, added before saturation.
    saturation : In, a ``Saturation``.
    o : Out, sign-extended to the width of ``widest``.

    Raises ValueError when ``lanes`` is not positive, ``width`` is below 16 or ``widest`` has fewer than 16 bits.
    """

    LATENCY = 3

    def __init__(self, *, lanes: int, width: int, widest: Saturation = WIDEST) -> None:
        if width < INT16.width:
            raise ValueError(f"Width must be at least {INT16.width}, not {width!r}")
        self.lanes, self.width = positive("Lanes", lanes), width
        self._result_bits = FORMATS[widest].width
        if self._result_bits < INT16.width:
            raise ValueError(f"Widest must have at least {INT16.width} bits, not {self._result_bits}")
        # Bits of the shifted product that stage 3 sees. A number that does not fit them is beyond w bits by more than a
        # zero point can bring back: (2**(w + 1) - 255) >> 1 is above 2**(w - 1).
        self._kept_bits = self._result_bits + 2
        super().__init__(
            {
                "acc": In(data.ArrayLayout(signed(width), lanes)),
                "multiplier": In(data.ArrayLayout(MULTIPLIER_BITS, lanes)),
                "shift": In(data.ArrayLayout(SHIFT_BITS, lanes)),
                "zero_point": In(signed(8)),
                "saturation": In(2),
                "o": Out(data.ArrayLayout(signed(self._result_bits), lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        addend, maximum = self._build_constants(m)
        for lane in range(self.lanes):
            self._build_lane(m, lane, addend, maximum)
        return m

    def _build_constants(self, m: Module) -> tuple[Value, Value]:
        """What all lanes share in cycle 3: ``2 * zero_point + 1`` and the largest value."""
        zero_points = [Signal(signed(8), name=f"zero_point_{i}", reset_less=True) for i in (1, 2)]
        saturation = Signal(2, reset_less=True)
        m.d.sync += [
            zero_points[0].eq(self.zero_point),
            zero_points[1].eq(zero_points[0]),
            saturation.eq(self.saturation),
        ]
        ranges = [known for known in _BY_WIDTH if FORMATS[known].width <= self._result_bits]
        maximum: Value = Const(FORMATS[ranges[0]].maximum, FORMATS[ranges[0]].width - 1)
        for index, (narrow, wide) in enumerate(pairwise(ranges), start=1):
            reaches = Signal(name=f"reaches_{wide.name.lower()}", reset_less=True)
            m.d.sync += reaches.eq(Cat(saturation == known for known in ranges[index:]).any())
            maximum = Cat(maximum, reaches.replicate(FORMATS[wide].width - FORMATS[narrow].width))
        return Cat(Const(1, 1), zero_points[1]).as_signed(), maximum

    def _build_lane(self, m: Module, lane: int, addend: Value, maximum: Value) -> None:
        kept, result = self._kept_bits, self._result_bits
        # Cycle 1
        product = Signal(signed(self.width + MULTIPLIER_BITS), name=f"product_{lane}", reset_less=True)
        distance = Signal(SHIFT_BITS, name=f"distance_{lane}", reset_less=True)
        m.d.sync += [
            product.eq(self.acc[lane] * self.multiplier[lane]),
            distance.eq(self.shift[lane] - 1),
        ]
        # Cycle 2
        shifted = Signal(signed(kept), name=f"shifted_{lane}", reset_less=True)
        lost = Signal(name=f"lost_{lane}", reset_less=True)
        taken, beyond = self._build_shift(m, lane, product, distance)
        m.d.sync += [shifted.eq(taken), lost.eq(beyond)]
        # Cycle 3: out of range when a bit above the range differs from the sign; ~maximum is the minimum. What is out
        # of range has the sign that it had before the zero point, which is smaller than every range.
        rounded = Signal(signed(kept), name=f"rounded_{lane}")
        above = ~Cat(maximum, Const(0, kept - len(maximum)))
        outside = lost | ((rounded ^ rounded[-1].replicate(kept)) & above).any()
        limit = Cat(maximum, Const(0, 1)) ^ shifted[-1].replicate(result)
        o = Signal(signed(result), name=f"o_{lane}", reset_less=True)
        m.d.comb += rounded.eq((shifted + addend) >> 1)
        m.d.sync += o.eq(Mux(outside, limit, rounded[:result]))
        m.d.comb += self.o[lane].eq(o)

    def _build_shift(self, m: Module, lane: int, value: Value, distance: Value) -> tuple[Value, Value]:
        """``value >> distance``: its low bits and its sign, ``_kept_bits`` in all, and whether a bit between was lost.

        Coarse places first, two bits of the distance at a time: each step keeps only what the later ones can reach.
        """
        sign = value[-1]
        lost = []
        for step, (low, reach) in enumerate(((4, 15), (2, 3), (0, 0))):
            bits = self._kept_bits - 1 + reach
            source = Cat(value[:-1], sign.replicate(max(0, bits + 1 + (3 << low) - len(value))))
            taken = Signal(bits, name=f"taken_{lane}_{step}")
            gone = Signal(name=f"gone_{lane}_{step}")
            with m.Switch(distance[low : low + 2]):
                for places in range(4):
                    with m.Case(places):
                        rest = source[places << low :]
                        differs = (
                            (rest[bits:] ^ sign.replicate(len(rest[bits:]))).any() if len(rest) > bits else 0
                        )
                        m.d.comb += [taken.eq(rest[:bits]), gone.eq(differs)]
            value = Cat(taken, sign)
            lost.append(gone)
        return value.as_signed(), Cat(lost).any()
