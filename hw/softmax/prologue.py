"""The prologue of P·V: coded scores of a word become probabilities, or a byte plane of them, before the array."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from amaranth.hdl import Module, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.checks import positive
from vitreous.hw.softmax.rounding import CarriedRounding, Plane
from vitreous.hw.softmax.rowscale import FACTOR_BITS
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.limits import LEVEL_BITS
from vitreous.spec.softmax import CODE


@dataclass(frozen=True, kw_only=True)
class Element:
    """One element of a word: ``name`` for its signals, its code, what its row knows."""

    name: str
    code: Value
    maximum: Value
    factor: Value


class Levels(ABC, wiring.Component):
    """The unnormalized probability ``L`` of each code (docs/numerics.md, Attention); a variant says what it is.

    Latency: ``LATENCY`` cycles; what follows the last register is for the next one.
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
    o : Out, N·V levels, at most ``LEVEL_MAXIMUM``.
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
                "o": Out(data.ArrayLayout(LEVEL_BITS, self.lanes * self.depth)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for index in range(self.lanes * self.depth):
            lane = index // self.depth
            element = Element(
                name=str(index),
                code=self.code[index],
                maximum=self.maximum[lane],
                factor=self.factor[lane],
            )
            m.d.comb += self.o[index].eq(self._build_level(m, element))
        return m

    @abstractmethod
    def _build_level(self, m: Module, element: Element) -> Value:
        """Of one element."""


class ProbabilityPrologue(wiring.Component):
    """The level of each code, then ``p`` or a byte plane of it.

    Latency: ``latency(levels)`` cycles; what follows the last register is for the array's operand register.
    Throughput: one word a cycle; the words of a row come in adjacent cycles.
    Back-pressure: none.

    Parameters
    ----------
    config : gives ``array.lanes`` (N), ``array.depth`` (V) and ``softmax``.
    levels : of the configured variant.

    Members
    -------
    first : In, the word is its row's first.
    code, maximum, factor : In, as of ``levels``.
    plane : In, with the word; 0 where probabilities have 8 bits only.
    o : Out, N·V signed bytes.
    """

    @staticmethod
    def latency(levels: type[Levels]) -> int:
        """Cycles from a code to its probability."""
        return levels.LATENCY + CarriedRounding.LATENCY

    def __init__(self, config: AcceleratorConfig, levels: Levels) -> None:
        self.config, self.levels = config, levels
        members = levels.signature.members
        super().__init__(
            {name: members[name] for name in ("code", "maximum", "factor")}
            | {
                "first": In(1),
                "plane": In(Plane()),
                "o": Out(data.ArrayLayout(signed(8), config.array.lanes * config.array.depth)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.levels = levels = self.levels
        m.submodules.rounding = rounding = CarriedRounding(self.config)
        m.d.comb += [
            levels.code.eq(self.code),
            levels.maximum.eq(self.maximum),
            levels.factor.eq(self.factor),
            rounding.level.eq(levels.o),
            rounding.first.eq(delay_line(m, self.first, levels.LATENCY, name="first", reset_less=True)[-1]),
            self.o.eq(rounding.o),
        ]
        if rounding.wide:
            plane = delay_line(m, self.plane, levels.LATENCY, name="plane", reset_less=True)[-1]
            m.d.comb += rounding.plane.eq(plane)
        return m
