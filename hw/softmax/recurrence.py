"""What the variants of softmax have in common at the readout: a running maximum and a sum for each row of scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from amaranth.hdl import Cat, Module, Signal, Value, ValueLike, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.softmax.rowscale import SUM_BITS
from vitreous.spec.config import AcceleratorConfig, SoftmaxConfig
from vitreous.spec.numbers import MULTIPLIER_BITS, SCORE, SHIFT_BITS
from vitreous.spec.softmax import CODE

TERM_BITS = 20
"""Of a term of the sum, before one rounding bit below it: 4096 of them stay within ``SUM_BITS``."""


class RowConstants(data.StructLayout):
    """What belongs to a block of a score row as a whole: the slot of its results, ``m_o`` and ``s_o``, and whether it
    is its row's first and last."""

    def __init__(self) -> None:
        super().__init__(
            {
                "slot": 1,
                "multiplier": MULTIPLIER_BITS,
                "shift": SHIFT_BITS,
                "first_block": 1,
                "last_block": 1,
            }
        )


def add_rounded(total: Value, term: Value, width: int) -> Value:
    """``total + ((term + 1) >> 1)`` in ``width`` bits: one addition, whose carry in is the term's lowest bit."""
    half = term[0]
    return (Cat(half, total) + Cat(half, term[1:]))[1 : width + 1]


def score_members(lanes: int) -> dict[str, wiring.Member]:
    """What brings scores, a column at a time: ``constants`` come with a row's last column."""
    return {
        "valid": In(1),
        "first": In(1),
        "last": In(1),
        "score": In(data.ArrayLayout(signed(SCORE.width), lanes)),
        "constants": In(RowConstants()),
    }


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What is said of a column of scores: each a list over the cycles since it came."""

    valid: list[ValueLike]
    first: list[ValueLike]


class SoftmaxRecurrence(ABC, wiring.Component):
    """``S = sum_j 2**t_j`` relative to the largest score so far; lanes are rows. A variant says how S is kept.

    Latency: ``code`` ``CODE_LATENCY`` cycles after a score, ``maximum`` ``MAXIMUM_LATENCY`` and ``sum`` ``LATENCY``
    cycles after the last one, ``sum`` the row's columns more for each further pass.
    Throughput: one column a cycle, rows back to back.
    Back-pressure: none; the ``last`` columns of two rows are at least N cycles apart.

    Parameters
    ----------
    config : gives ``array.lanes`` (N) and ``softmax.fraction_bits`` (F).

    Members
    -------
    valid, first, last : In, a column of scores is here; it is the row's first, last one.
    score : In, of the format ``SCORE``.
    constants : In, of the row, with its last column.
    code : Out, what is kept of the score.
    o_maximum, o_last : Out, ``maximum``, ``sum`` is that of a whole row in this cycle.
    sum, maximum : Out, for each lane.
    o_constants, o_slot : Out, of the row with ``o_last``, with ``o_maximum``; with both a block of one.
    """

    CODE_LATENCY = 1
    MAXIMUM_LATENCY: ClassVar[int] = 2
    LATENCY: ClassVar[int] = 4

    @staticmethod
    def maximum_bits(softmax: SoftmaxConfig) -> int:
        """Width of a maximum, signed."""
        return SCORE.width

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config, self.softmax, self.lanes = config, config.softmax, config.array.lanes
        super().__init__(
            score_members(self.lanes)
            | {
                "code": Out(data.ArrayLayout(signed(CODE.width), self.lanes)),
                "o_maximum": Out(1),
                "o_slot": Out(1),
                "o_last": Out(1),
                "sum": Out(data.ArrayLayout(SUM_BITS, self.lanes)),
                "maximum": Out(data.ArrayLayout(signed(self.maximum_bits(self.softmax)), self.lanes)),
                "o_constants": Out(RowConstants()),
            }
        )

    @abstractmethod
    def elaborate(self, platform: object) -> Module:
        """All lanes."""


class OnePassRecurrence(SoftmaxRecurrence):
    """A recurrence whose sum follows the scores."""

    LATENCY = 4

    def elaborate(self, platform: object) -> Module:
        m = Module()
        flags = Flags(
            valid=delay_line(m, self.valid, self.LATENCY - 1, name="valid"),
            first=delay_line(m, self.first, self.LATENCY - 1, name="first", reset_less=True),
        )
        last = delay_line(m, self.valid & self.last, self.LATENCY, name="last")
        # The row is over before the next row's `last` can come: LATENCY is at most N.
        constants = Signal(RowConstants(), reset_less=True)
        with m.If(last[0]):
            m.d.sync += constants.eq(self.constants)
        for lane in range(self.lanes):
            table = self._table()
            if table is not None:
                m.submodules[f"table_{lane}"] = table
            self._build_lane(m, lane, None if table is None else table.read_port(), flags)
        m.d.comb += [
            self.o_maximum.eq(last[self.MAXIMUM_LATENCY]),
            self.o_slot.eq(constants.slot),
            self.o_last.eq(last[-1]),
            self.o_constants.eq(constants),
        ]
        return m

    def _table(self) -> Memory | None:
        """The powers of two of the fraction, if there is a table; each lane has one of its own."""
        return None

    @abstractmethod
    def _build_lane(self, m: Module, lane: int, table: wiring.PureInterface | None, flags: Flags) -> None:
        """One row."""
