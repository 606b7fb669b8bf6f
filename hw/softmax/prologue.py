"""The prologue of P·V: coded scores of a word become probabilities, or a byte plane of them, before the array."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.checks import positive
from vitreous.hw.softmax.rowscale import FACTOR_BITS
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.softmax import CODE

LEVEL_BITS = 16


class Plane(data.StructLayout):
    """Which byte plane of the probabilities; neither: probabilities of 8 bits."""

    def __init__(self) -> None:
        super().__init__({"high": 1, "low": 1})


Window = tuple[Value, ValueLike]
"""9 adjacent bits of an ``L``, and one more that rounds the high byte plane up."""


@dataclass(frozen=True, kw_only=True)
class Element:
    """One element of a word: ``name`` for its signals, its code, what its row knows, ``planes`` by cycle since it."""

    name: str
    code: Value
    maximum: Value
    factor: Value
    planes: list[data.View[Plane]]


def window(level: Value, plane: data.View[Plane]) -> Window:
    """The 9 bits of a whole ``L`` that ``plane`` is made of, and what the high one rounds up beside their lowest."""
    return (
        Mux(plane.low, level[:9], Cat(level[8:], Const(0, 1))),
        plane.high & level[:8].all(),
    )


class ProbabilityPrologue(ABC, wiring.Component):
    """The unnormalized probability ``L`` of each code, then ``p`` or a byte plane of it (docs/numerics.md, Attention).

    A variant says what L is. 8 bits: ``((L >> 8) + 1) >> 1``; 16: ``high = (L + 257) >> 9``, ``low = (L + 1) >> 1``
    without its upper bits, signed.
    All of them are 8 of 9 adjacent bits of L, plus the lowest of the 9; the high one of two also rounds up where the
    low one would be 128, which is what 8 ones below those 9 bits make of it.

    Latency: ``LATENCY`` cycles; what follows the last register is for the array's operand register.
    Throughput: one word a cycle.
    Back-pressure: none.

    Parameters
    ----------
    config : gives ``array.lanes`` (N), ``array.depth`` (V) and ``softmax``.
    maximum_bits : width of a maximum.

    Members
    -------
    code : In, N·V codes, index ``lane*V + v``.
    maximum, factor : In, of each lane's row, with the word.
    plane : In, with the word; 0 where probabilities have 8 bits only.
    o : Out, N·V signed bytes.
    """

    LATENCY: ClassVar[int] = 1

    def __init__(self, config: AcceleratorConfig, *, maximum_bits: int) -> None:
        positive("Maximum bits", maximum_bits)
        self.softmax = config.softmax
        self.lanes, self.depth = config.array.lanes, config.array.depth
        super().__init__(
            {
                "code": In(data.ArrayLayout(signed(CODE.width), self.lanes * self.depth)),
                "maximum": In(data.ArrayLayout(signed(maximum_bits), self.lanes)),
                "factor": In(data.ArrayLayout(FACTOR_BITS, self.lanes)),
                "plane": In(Plane()),
                "o": Out(data.ArrayLayout(signed(8), self.lanes * self.depth)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.softmax.probability_bits == 16:
            planes = delay_line(m, self.plane, self.LATENCY, name="plane", reset_less=True)
        else:
            planes = [Signal(Plane(), name="one_plane")] * (self.LATENCY + 1)  # never driven
        self._build_tables(m)
        for index in range(self.lanes * self.depth):
            lane = index // self.depth
            element = Element(
                name=str(index),
                code=self.code[index],
                maximum=self.maximum[lane],
                factor=self.factor[lane],
                planes=planes,
            )
            bits, up = self._build_window(m, element)
            # One half is added below the 8 bits.
            m.d.comb += self.o[index].eq((Cat(bits[0] | up, bits[1:9]) + 1)[1:9])
        return m

    def _build_tables(self, m: Module) -> None:
        """What all elements share."""
        return

    @abstractmethod
    def _build_window(self, m: Module, element: Element) -> Window:
        """Of one element: see ``window``."""
