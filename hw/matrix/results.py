"""What becomes of a column behind the epilogue: it is written to R, joins the scores, or is packed for X and W, and its
instruction ends. It is built into the matrix unit."""

from __future__ import annotations

from typing import Any, NamedTuple

from amaranth.hdl import Cat, Module, Signal, Value

from vitreous.hw.control.retire import Ending, Retire
from vitreous.hw.matrix.columns import Column, Columns
from vitreous.hw.matrix.epilogue import Epilogue
from vitreous.hw.matrix.faults import Faults
from vitreous.hw.matrix.packer import Packer
from vitreous.hw.matrix.scores import Scores
from vitreous.spec.isa import Memory
from vitreous.spec.numbers import INT16


class Ports(NamedTuple):
    """Write ports of X, W and R."""

    x: Any
    w: Any
    r: Any


class Parts(NamedTuple):
    """The parts of the unit that a result comes from and goes to."""

    epilogue: Epilogue
    packer: Packer
    scores: Scores
    retire: Retire
    faults: Faults


def results(
    m: Module, columns: Columns, ports: Ports, parts: Parts, *, stop: Value, stages: tuple[int, int]
) -> Value:
    """Results to R, to the scores, and packed to X and W. Returns whether the last stage's column has a fault.

    stop : nothing is written any more. stages : of ``columns.result`` and ``columns.write``.
    """
    faults, write = parts.faults, columns.write
    coming = _coming(m, columns.before_result, faults.before_result, stages[0])
    packed = _coming(m, columns.before_write, faults.before_write, stages[1])
    refused = faults.write | (ports.x.valid & ports.x.fault) | (ports.w.valid & ports.w.fault)
    result = columns.result
    m.d.comb += [
        ports.r.valid.eq(coming[Memory.R] & ~stop),
        ports.r.addr.eq(result.tag.addr),
        ports.r.data.eq(Cat(o[: INT16.width] for o in parts.epilogue.o)),
        faults.result.eq(ports.r.valid & ports.r.fault),
        parts.packer.valid.eq(result.flags.valid),
        parts.packer.index.eq(result.tag.index),
    ]
    for lane, o in enumerate(parts.epilogue.o):
        m.d.comb += parts.packer.column[lane].eq(o)
    _build_scores(m, columns, parts, coming[Memory.S] & ~stop)
    for port, memory in ((ports.x, Memory.X), (ports.w, Memory.W)):
        m.d.comb += [
            port.valid.eq(packed[memory] & write.flags.emit & ~stop),
            port.addr.eq(write.tag.addr),
            port.data.eq(parts.packer.o),
        ]
    ended = write.flags.done & (write.tag.destination != Memory.S) & ~stop & ~refused
    m.d.comb += [
        parts.retire.ends[Ending.WRITE].eq(ended),
        parts.retire.ends[Ending.ROW].eq(parts.scores.done),
        parts.retire.ends[Ending.BLOCK].eq(parts.scores.block_done),
    ]
    return refused


def _build_scores(m: Module, columns: Columns, parts: Parts, valid: Value) -> None:
    """The column and what belongs to its block, to the score buffer."""
    scores, tag = parts.scores, columns.result.tag
    m.d.comb += [
        scores.coming.eq(_goes_to(columns.before_result, Memory.S)),
        scores.valid.eq(valid),
        scores.tag.emit.eq(columns.result.flags.emit),
        scores.tag.word.eq(tag.addr),
    ]
    for name in ("first", "last", "index"):
        m.d.comb += getattr(scores.tag, name).eq(getattr(tag, name))
    for name in ("slot", "multiplier", "shift", "first_block", "last_block"):
        m.d.comb += getattr(scores.tag.row, name).eq(getattr(tag, name))
    for lane, o in enumerate(parts.epilogue.o):
        m.d.comb += scores.score[lane].eq(o)


def _coming(m: Module, before: Column, bad: Value, stage: int) -> dict[Memory, Signal]:
    """For each destination whether it is that of the column at ``stage``, from registers: other units' ports wait
    for the answer. ``before``: the stage one cycle earlier; a column that is ``bad`` there is not written."""
    found = {}
    for memory in (Memory.X, Memory.W, Memory.R, Memory.S):
        found[memory] = Signal(name=f"to_{memory.name.lower()}_{stage}")
        m.d.sync += found[memory].eq(_goes_to(before, memory) & ~bad)
    return found


def _goes_to(column: Column, memory: Memory) -> Value:
    """Whether this is a column, and for ``memory``."""
    return column.flags.valid & (column.tag.destination == memory) & ~column.tag.kept
