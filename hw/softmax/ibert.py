"""Softmax ``ibert`` (docs/numerics.md): I-BERT's polynomial of the distance to the maximum, which is found first.

First pass, stages:
    1  code; the maximum so far; the column is in the row buffer
Second pass, stages (cycle 0: a column's address in the row buffer):
    1  scores
    2  distance to the maximum
    3  fraction reflected, places
    4  polynomial
    5  shift the term
    6  sum
Level, stages:
    1  distance to the final maximum
    2  polynomial
    -  shift
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.checks import positive
from vitreous.hw.softmax.prologue import Element, Levels
from vitreous.hw.softmax.recurrence import TERM_BITS, RowConstants, SoftmaxRecurrence, add_rounded
from vitreous.hw.softmax.rowscale import SUM_BITS
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.limits import LEVEL_BITS
from vitreous.spec.numbers import SCORE
from vitreous.spec.softmax import CODE
from vitreous.spec.tables import ibert_exponential

_PLACES = 5


def reflected(fraction: Value, softmax: SoftmaxConfig) -> Value:
    """``K - r``, positive."""
    return (ibert_exponential(softmax)[0] - fraction)[: softmax.fraction_bits + 1]


def polynomial(base: Value, softmax: SoftmaxConfig) -> Value:
    """``P = (base**2 + B) * 2**(16 - 2F)``, 19 bits, of ``base = K - r``."""
    bits = 2 * softmax.fraction_bits
    value = (base * base + ibert_exponential(softmax)[1])[: bits + 3]
    return Cat(Const(0, 16 - bits), value) if bits <= 16 else value[bits - 16 :]


class IbertSum(wiring.Component):
    """``S = sum_j (P_j << 1 >> z_j) + 1 >> 1`` from the distances of a row to its maximum, for each lane.

    Latency: ``LATENCY`` cycles from the last distance.
    Throughput: one column a cycle, rows back to back.
    Back-pressure: none.

    Parameters
    ----------
    lanes : N. softmax : gives ``fraction_bits``.

    Members
    -------
    valid, first : In, a column of distances is here, the row's first.
    distance : In, of as many bits as a score has.
    sum : Out.
    """

    LATENCY = 5

    def __init__(self, *, lanes: int, softmax: SoftmaxConfig) -> None:
        self.lanes, self.softmax = positive("Lanes", lanes), softmax
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "distance": In(data.ArrayLayout(SCORE.width, lanes)),
                "sum": Out(data.ArrayLayout(SUM_BITS, lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = delay_line(m, self.valid, self.LATENCY - 1, name="valid")[-1]
        first = delay_line(m, self.first, self.LATENCY - 1, name="first", reset_less=True)[-1]
        for lane in range(self.lanes):
            self._build_lane(m, lane, valid, first)
        return m

    def _build_lane(self, m: Module, lane: int, valid: ValueLike, first: ValueLike) -> None:
        fraction_bits = self.softmax.fraction_bits
        # Cycle 1
        distance = Signal(SCORE.width, name=f"distance_{lane}", reset_less=True)
        m.d.sync += distance.eq(self.distance[lane])
        # Cycle 2: of 32 places or more nothing is left of a term, and neither of 31.
        base = Signal(fraction_bits + 1, name=f"base_{lane}", reset_less=True)
        places = [Signal(_PLACES, name=f"places_{lane}_{i}", reset_less=True) for i in (0, 1)]
        beyond = distance[fraction_bits + _PLACES :].any()
        m.d.sync += [
            base.eq(reflected(distance[:fraction_bits], self.softmax)),
            places[0].eq(Mux(beyond, -1, distance[fraction_bits:])),
        ]
        # Cycle 3
        value = Signal(TERM_BITS - 1, name=f"value_{lane}", reset_less=True)
        m.d.sync += [value.eq(polynomial(base, self.softmax)), places[1].eq(places[0])]
        # Cycle 4
        term = Signal(TERM_BITS, name=f"term_{lane}", reset_less=True)
        m.d.sync += term.eq(Cat(0, value) >> places[1])
        # Cycle 5
        total = Signal(SUM_BITS, name=f"total_{lane}", reset_less=True)
        following = add_rounded(Mux(first, 0, total), term, SUM_BITS)
        m.d.sync += total.eq(Mux(valid, following, total))
        m.d.comb += self.sum[lane].eq(total)


class IbertRecurrence(SoftmaxRecurrence):
    """``S = sum_j 2**(t_j - M)`` with the maximum ``M`` of the whole row: every row goes through a buffer.

    The buffer has two halves. While a row is read from one, the next one is written to the other. Its last column comes
    N cycles after the previous row's last one is read, at the earliest, so a half is free when its next row begins.
    """

    MAXIMUM_LATENCY = 2
    LATENCY = 1 + IbertSum.LATENCY

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self.config.memory.score_keys
        m.submodules.rows = rows = Memory(shape=SCORE.width * self.lanes, depth=2 * depth, init=[])
        self._half = Signal()  # that is written
        self._key = Signal(range(depth))  # the next one of the row, unless ``first``
        self._maximum = [
            Signal(signed(SCORE.width), name=f"maximum_{lane}", reset_less=True) for lane in range(self.lanes)
        ]
        self._build_first(m, rows.write_port())
        self._build_second(m, rows.read_port())
        return m

    def _address(self, half: Value, key: Value) -> Value:
        return key + Mux(half, self.config.memory.score_keys, 0)

    def _build_first(self, m: Module, port: Any) -> None:
        key = Mux(self.first, 0, self._key)
        with m.If(self.valid):
            m.d.sync += self._key.eq(key + 1)
        m.d.comb += [
            port.en.eq(self.valid),
            port.addr.eq(self._address(self._half, key)),
            port.data.eq(self.score.as_value()),
        ]
        self._ends = ends = Signal()
        m.d.sync += [ends.eq(self.valid & self.last), self.o_maximum.eq(ends)]
        for lane in range(self.lanes):
            score = self.score[lane]
            code = Signal(signed(SCORE.width), name=f"code_{lane}", reset_less=True)
            running = Signal(signed(SCORE.width), name=f"running_{lane}", reset_less=True)
            rises = self.first | (score > running)
            m.d.sync += [code.eq(score), running.eq(Mux(self.valid & rises, score, running))]
            m.d.sync += self._maximum[lane].eq(Mux(ends, running, self._maximum[lane]))
            m.d.comb += [self.code[lane].eq(code), self.maximum[lane].eq(self._maximum[lane])]

    def _build_second(self, m: Module, port: Any) -> None:
        """From the cycle after the last column on, one column a cycle."""
        active, half = Signal(name="active"), Signal(name="half")
        key, keys = (
            Signal.like(self._key, name="key"),
            Signal.like(self._key, name="keys"),
        )  # keys: the row's last key
        constants = [Signal(RowConstants(), name=f"constants_{i}", reset_less=True) for i in range(2)]
        with m.If(self.valid & self.last):
            m.d.sync += [
                constants[0].eq(self.constants),
                keys.eq(Mux(self.first, 0, self._key)),
                active.eq(1),
                key.eq(0),
                half.eq(self._half),
                self._half.eq(~self._half),
            ]
        with m.Elif(active):
            m.d.sync += [key.eq(key + 1), active.eq(key != keys)]
        last = Signal()
        m.d.comb += [port.en.eq(active), port.addr.eq(self._address(half, key)), last.eq(key == keys)]
        lasts = delay_line(m, active & last, self.LATENCY, name="last")
        with m.If(lasts[1]):  # before the next row's constants can come, N columns after this row's last one
            m.d.sync += constants[1].eq(constants[0])
        m.d.comb += [
            self.o_slot.eq(constants[0].slot),
            self.o_last.eq(lasts[-1]),
            self.o_constants.eq(constants[1]),
        ]
        valid, first = Signal(name="valid"), Signal(reset_less=True, name="first")
        m.d.sync += [valid.eq(active), first.eq(key == 0)]
        m.submodules.sums = sums = IbertSum(lanes=self.lanes, softmax=self.softmax)
        m.d.comb += [sums.valid.eq(valid), sums.first.eq(first), self.sum.eq(sums.sum)]
        for lane in range(self.lanes):
            score = port.data.word_select(lane, SCORE.width).as_signed()
            m.d.comb += sums.distance[lane].eq(self._maximum[lane] - score)


class IbertLevels(Levels):
    """``L = (P >> 3) >> (d >> F)`` with ``d = M - t``."""

    LATENCY = 2

    def _build_level(self, m: Module, element: Element) -> Value:
        name = element.name
        # Cycle 1: a masked code is at least half the range of scores below every maximum, 32 places or more.
        fraction_bits = self.softmax.fraction_bits
        difference = Signal(signed(CODE.width + 1), name=f"difference_{name}")
        base = Signal(fraction_bits + 1, name=f"base_{name}", reset_less=True)
        places = [Signal(4, name=f"places_{name}_{i}", reset_less=True) for i in (0, 1)]
        alive = [Signal(name=f"alive_{name}_{i}", reset_less=True) for i in (0, 1)]
        m.d.comb += difference.eq(element.maximum - element.code)
        m.d.sync += [
            base.eq(reflected(difference[:fraction_bits], self.softmax)),
            places[0].eq(difference[fraction_bits:]),
            alive[0].eq(~difference[fraction_bits + 4 :].any()),
        ]
        # Cycle 2
        value = Signal(LEVEL_BITS, name=f"value_{name}", reset_less=True)
        m.d.sync += [
            value.eq(polynomial(base, self.softmax)[3:]),
            places[1].eq(places[0]),
            alive[1].eq(alive[0]),
        ]
        # Cycle 2, to the next register
        return Mux(alive[1], value >> places[1], 0)
