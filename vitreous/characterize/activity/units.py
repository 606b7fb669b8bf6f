"""What is measured: units, the groups of their nets, and what drives them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.characterize.activity import stimulus
from vitreous.hw.activation.activation import SmoothActivation
from vitreous.hw.matrix.array import Array
from vitreous.hw.softmax.softmax import SoftmaxStatistics, prologue
from vitreous.reports.synthesis.nets import GATES, WORDS, Net
from vitreous.spec.config import AcceleratorConfig, load_accelerator
from vitreous.spec.numbers import ACCUMULATOR_BITS

COMBINATIONAL, REGISTERS = "combinational", "other registers"


@dataclass(frozen=True, kw_only=True)
class Unit:
    """``name``: of the file. event : the counter whose events are one word or column of it. groups : of registers,
    pairs of a name and a pattern of signals; the rest is ``REGISTERS``. images : of real data; of their
    products every ``every``-th. layers : whether each part of the network is measured by itself.
    """

    name: str
    title: str
    event: str
    accelerator: str
    component: Callable[[AcceleratorConfig], Any]
    stimulus: stimulus.Maker
    groups: tuple[tuple[str, str], ...] = ()
    level: str = "words"
    images: int = 2
    every: int = 1
    layers: bool = False

    @property
    def config(self) -> AcceleratorConfig:
        return load_accelerator(self.accelerator)

    @property
    def script(self) -> str:
        return GATES if self.level == "gates" else WORDS

    def group(self, net: Net) -> str:
        if not net.register:
            return COMBINATIONAL
        return next((name for name, pattern in self.groups if re.match(pattern, net.name)), REGISTERS)


_ARRAY: tuple[tuple[str, str], ...] = (
    ("operand registers", r"[ab]_\d+_\d+"),
    ("product registers", r"product_"),
    ("dot product registers", r"dot_"),
    ("accumulators", r"acc_"),
    ("shadow and column registers", r"shadow_|column"),
)


class ArrayRow(wiring.Component):  # type: ignore[misc]  # Amaranth has no types
    """An array of which only the accumulators of lane 0 of A leave: synthesis drops the other lanes' elements.

    What is left, N elements of V products, is small enough for a simulation of its gates.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.array = Array(config)
        members = dict(self.array.signature.members)
        super().__init__(members | {"column": Out(data.ArrayLayout(signed(ACCUMULATOR_BITS), 1))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.array = self.array
        for name, member in self.signature.members.items():
            if member.flow is In:
                m.d.comb += getattr(self.array, name).eq(getattr(self, name))
        m.d.comb += self.column[0].eq(self.array.column[0])
        return m


def _array(accelerator: str, shape: str) -> Unit:
    return Unit(
        name=f"array-{shape}",
        title=f"array {shape}",
        event="array_busy",
        accelerator=accelerator,
        component=Array,
        stimulus=stimulus.array,
        groups=_ARRAY,
        layers=True,
    )


UNITS: tuple[Unit, ...] = (
    _array("edge256", "8x8x4"),
    _array("edge64", "4x4x4"),
    Unit(
        name="array-row-gates",
        title="one row of array 4x4x4",
        event="array_busy",
        accelerator="edge64",
        component=ArrayRow,
        stimulus=stimulus.array_row,
        groups=tuple((name, rf"(array_)?({pattern})") for name, pattern in _ARRAY),
        level="gates",
        every=8,
        layers=True,
    ),
    Unit(
        name="softmax-statistics",
        title="softmax base2, statistics of 8 rows",
        event="score_columns",
        accelerator="edge256",
        component=SoftmaxStatistics,
        stimulus=stimulus.row_statistics,
    ),
    Unit(
        name="softmax-probabilities",
        title="softmax base2, probabilities of a word of 8 x 4",
        event="s_reads",
        accelerator="edge256",
        component=prologue,
        stimulus=stimulus.probability,
    ),
    Unit(
        name="gelu-delta",
        title="GELU delta, 8 lanes",
        event="activation_columns",
        accelerator="edge256",
        component=lambda config: SmoothActivation(config.activation, lanes=config.array.lanes),
        stimulus=stimulus.activation,
    ),
)
