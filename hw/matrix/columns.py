"""A column of the shadow on its way from the readout to its destination: what it carries, and where it stands."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.lib import data

from vitreous.hw.matrix.partial_contexts import Part, depth
from vitreous.hw.memory.ports import WORD_ADDRESS_BITS
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig


class ColumnFlags(data.StructLayout):
    """``valid``: a column; ``emit``: it completes a word; ``done``: it is the last of its instruction; ``hold``: a
    column of a high plane, a part of a sum and nothing else; ``bad``: words or lane parameters behind it were not
    there."""

    def __init__(self) -> None:
        super().__init__({"valid": 1, "emit": 1, "done": 1, "hold": 1, "bad": 1})


class ColumnTag(data.StructLayout):
    """What a column carries: ``first`` and ``last`` of a row of tiles, ``index`` in its word, ``select``: its place
    in the tile, and above that the tile's place among the partial contexts, ``part``: whether it is one, ``kept``: it
    goes no further, where its word goes, how it is scaled, and which block of its score row it is of."""

    def __init__(self, config: AcceleratorConfig) -> None:
        super().__init__(
            {
                "first": 1,
                "last": 1,
                "index": range(config.array.depth),
                "select": range(max(config.array.lanes, depth(config))),
                "part": Part(),
                "kept": 1,
                "first_block": 1,
                "last_block": 1,
                "destination": 3,
                "slot": 1,
                "scale": 2,
                "residual": 1,
                "activation": 2,
                "zero_point": 8,
                "multiplier": 15,
                "shift": 6,
                "addr": WORD_ADDRESS_BITS,
                "pc": isa.PC_BITS,
            }
        )


class Column(NamedTuple):
    """A column at one stage of the pipeline."""

    flags: data.View[ColumnFlags]
    tag: data.View[ColumnTag]


class Columns(NamedTuple):
    """The stages at which something is done with a column; ``before_x`` is one cycle earlier."""

    read: Column
    select: Column
    before_epilogue: Column
    epilogue: Column
    total: Column
    residual: Column
    before_result: Column
    result: Column
    before_write: Column
    write: Column
