"""The vector unit: executes NORM and POOL on tiles of the residual stream (docs/machine.md).

i -> sequence -> r ------------------> NormPipeline -> NormWords -> xo, ro
             `-> p ---> ChannelShifts -^
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from amaranth.hdl import EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out
from amaranth.utils import exact_log2

from vitreous.hw import checks
from vitreous.hw.memory.ports import WORD_ADDRESS_BITS, ReadPort, WritePort, instruction_layout, unit_members
from vitreous.hw.norm.interface import NormPass
from vitreous.hw.protect.guard import Guard, upset_member
from vitreous.hw.vector.pipeline import VARIANTS, NormPipeline, NormTag, NormTask, norm_latency
from vitreous.hw.vector.sequence import VectorSequence
from vitreous.hw.vector.shifts import WORD_BITS, ChannelShifts
from vitreous.hw.vector.words import NormWords
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import ErrorCode, Opcode, Queue, check_queue
from vitreous.spec.layout import SHIFTS_PER_WORD
from vitreous.spec.limits import NORM_CHANNELS, POOL_TOKENS


@dataclass(frozen=True)
class RowCycles:
    """Cycles of a vector unit beside its reads, when no port stalls.

    scale, mean : from the end of a tile's statistics or mean pass to the start of the next one.
    mean_after_check : from the check of an instruction, the cycle before its first read, to the second pass of a
        centred NORM of two_pass, at least: the division takes that long.
    norm, pool : of an instruction, from the cycle in which it is taken to ``done``.
    """

    scale: int
    mean: int
    mean_after_check: int
    norm: int
    pool: int


def row_cycles(config: AcceleratorConfig) -> RowCycles:
    """Of the vector unit of ``config``."""
    latency = norm_latency(config)
    return RowCycles(
        scale=latency.scale - 1,
        mean=latency.mean - 1,
        mean_after_check=latency.mean_after_begin,
        norm=2 + latency.column + 1,
        pool=2 + latency.pool + 1,
    )


class Walk(NamedTuple):
    """Where the unit stands in its instruction.

    address : of the next read. base : of the first word of its tile (NORM), of its channel (POOL).
    column, tile : that it belongs to; last_channel, last_tile : whether they are the last ones.
    starts : its column is the first of a word, a register: places are given by it, and everything waits for them.
    """

    address: Signal
    base: Signal
    column: Signal
    tile: Signal
    last_channel: Signal
    last_tile: Signal
    starts: Signal


class Flow(NamedTuple):
    """Whether columns are read.

    stop : nothing is done any more. room : there is a place for the word of the next column, and its channel's shift
    is known. fire : one is read.
    """

    stop: Signal
    room: Signal
    fire: Signal


class VectorUnit(wiring.Component):
    """Layer norm and RMS norm of tiles (R to X) and the mean over tokens (R to R).

    Latency: when no port stalls, with the members of ``row_cycles``, NORM takes ``2 * channels + scale`` cycles for
    each tile (two_pass and centred: ``3 * channels + scale + mean``, in the first one perhaps more for
    ``mean_after_check``) and ``norm`` more; POOL ``channels * row_tiles + pool`` from 4 tiles on, with fewer it waits
    for places in the queue of words.
    Throughput: one column a cycle in each pass; one instruction at a time.
    Back-pressure: a stalled read or write port holds it; words that were begun have room in a queue. A stalled port of
    P holds it only where a word of shifts has not come in the time of the word before (``ChannelShifts``).

    Parameters
    ----------
    config : gives ``array.lanes`` (N), ``array.depth`` (V) and ``norm.variant``; with ``protect.parity`` there is a
        member ``upset``.

    Members
    -------
    those of ``unit_members``; commands are NORM and POOL.
    r, p : Out, read ports of R and P. ro : Out, write port of R. xo : Out, write port of X.
    events : ``norm_column``: a column is normalized.

    Raises (as ``error``, held until reset): ILLEGAL_FIELD, ADDRESS.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        check_queue(Queue.VECTOR, Opcode.NORM, Opcode.POOL)
        self.config = checks.accelerator(config)
        self.lanes, self.depth = config.array.lanes, config.array.depth
        self._has_mean = VARIANTS[config.norm.variant].MEAN
        super().__init__(
            unit_members(["norm_column"])
            | upset_member(config.protect.parity)
            | {
                "r": Out(ReadPort(8 * config.residual_word_bytes)),
                "p": Out(ReadPort(WORD_BITS)),
                "ro": Out(WritePort(8 * config.residual_word_bytes)),
                "xo": Out(WritePort(8 * config.panel_word_bytes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pipeline = NormPipeline(self.config)
        guard = Guard(m, on=self.config.protect.parity)
        task, next_task = guard.register(Signal(NormTask(), name="task", reset_less=not guard.on))
        guard.report(self)
        flow = Flow(stop=Signal(name="stop"), room=Signal(name="room"), fire=Signal(name="fire"))
        walk = Walk(
            address=Signal(WORD_ADDRESS_BITS, name="address", reset_less=True),
            base=Signal(WORD_ADDRESS_BITS, name="base", reset_less=True),
            column=Signal(range(NORM_CHANNELS + 1), name="_column", reset_less=True),
            tile=Signal(len(task.row_tiles), name="_tile", reset_less=True),
            last_channel=Signal(name="last_channel"),
            last_tile=Signal(name="last_tile"),
            starts=Signal(name="starts", reset_less=True),
        )
        m.submodules.words = words = NormWords(self.config)
        m.submodules.shifts = shifts = ChannelShifts()
        sequence = self._build_sequence(m, task, walk, flow, pipeline.done, words.empty)
        with m.If(self.i.valid & self.i.ready):
            self._accept(m, guard, next_task, walk)
        tag = self._build_reads(m, task, walk, sequence.passes, flow)
        self._build_shifts(m, shifts, task, walk, sequence, tag, flow)
        self._build_pipeline(m, pipeline, words, task, sequence, tag, flow.fire)
        self._build_words(m, words, task, walk, sequence.passes, flow, ~task.shifted | shifts.ready)
        self._build_error(m, task, sequence.refused, shifts.fault | words.fault, flow.stop)
        return m

    def _build_sequence(
        self,
        m: Module,
        task: data.View[NormTask],
        walk: Walk,
        flow: Flow,
        finished: Value,
        empty: Value,
    ) -> VectorSequence:
        """Which pass is on."""
        m.submodules.sequence = sequence = VectorSequence(has_mean=self._has_mean)
        m.d.comb += [
            sequence.valid.eq(self.i.valid),
            sequence.pool.eq(task.pool),
            sequence.centred.eq(task.centred),
            sequence.illegal.eq(self._wrong(task)),
            sequence.stop.eq(flow.stop),
            sequence.room.eq(flow.room),
            sequence.fire.eq(flow.fire),
            sequence.last_channel.eq(walk.last_channel),
            sequence.last_tile.eq(walk.last_tile),
            sequence.finished.eq(finished),
            sequence.empty.eq(empty),
            self.i.ready.eq(sequence.accept),
            self.r.valid.eq(sequence.read),
            self.busy.eq(sequence.active & ~flow.stop),
            self.done.eq(sequence.done),
        ]
        return sequence

    def _accept(self, m: Module, guard: Guard, task: data.View[NormTask], walk: Walk) -> None:
        """Keep what is needed of the instruction in the cycle in which it is taken; its two forms agree up to
        ``row_tiles``."""
        word = self.i.payload.word
        norm = data.View(instruction_layout(Opcode.NORM), word)
        pool = data.View(instruction_layout(Opcode.POOL), word)
        is_pool = norm.opcode == Opcode.POOL
        m.d[guard.domain] += [
            task.pc.eq(self.i.payload.pc),
            task.pool.eq(is_pool),
            task.zero_point.eq(Mux(is_pool, 0, norm.zero_point)),
            task.multiplier.eq(Mux(is_pool, pool.multiplier, norm.multiplier)),
            task.shift.eq(Mux(is_pool, pool.shift, norm.shift)),
            task.shifted.eq(norm.shifted & ~is_pool),
            *(
                task[name].eq(norm[name])
                for name in (
                    *("r_stride", "channels", "row_tiles", "x_stride"),
                    *("epsilon", "centred", "shift_base"),
                )
            ),
            task.tokens.eq(pool.tokens),
            task.first.eq(pool.first),
        ]
        m.d.sync += [
            walk.base.eq(norm.r_base),
            walk.address.eq(norm.r_base),
            walk.column.eq(0),
            walk.tile.eq(0),
            walk.starts.eq(1),
        ]

    def _wrong(self, task: data.View[NormTask]) -> Value:
        """Whether a field of the instruction is outside its range."""
        last_token = task.tokens - 1
        outside = (last_token >> exact_log2(self.lanes)) != task.row_tiles - 1
        wrong_first = (task.first >= task.tokens) | (task.first >= self.lanes)
        wrong_tokens = (task.tokens == 0) | (task.tokens > POOL_TOKENS) | outside | wrong_first
        return (
            (task.channels == 0)
            | (task.channels > NORM_CHANNELS)
            | (task.row_tiles == 0)
            | Mux(task.pool, task.multiplier == 0, ~task.multiplier[-1])  # NORM multiplies a normalized one
            | (task.shift == 0)
            | Mux(task.pool, wrong_tokens, task.epsilon == 0)
        )

    def _build_reads(
        self,
        m: Module,
        task: data.View[NormTask],
        walk: Walk,
        passes: data.View[NormPass],
        flow: Flow,
    ) -> data.View[NormTag]:
        """Addresses: NORM goes through a tile's channels in each pass, POOL through the tiles of each channel."""
        tag = Signal(NormTag(self.depth), name="tag")
        last = tag.last
        m.d.comb += [
            walk.last_channel.eq(walk.column == task.channels - 1),
            walk.last_tile.eq(walk.tile == task.row_tiles - 1),
            tag.first.eq(Mux(task.pool, walk.tile == 0, walk.column == 0)),
            tag.last.eq(Mux(task.pool, walk.last_tile, walk.last_channel)),
            tag.position.eq(walk.column),
            self.r.addr.eq(walk.address),
            flow.fire.eq(self.r.valid & self.r.ready & ~self.r.fault),
        ]
        with m.If(flow.fire):
            with m.If(task.pool):
                m.d.sync += [
                    walk.address.eq(Mux(last, walk.base + 1, walk.address + task.r_stride)),
                    walk.base.eq(walk.base + last),
                    walk.tile.eq(Mux(last, 0, walk.tile + 1)),
                    walk.column.eq(walk.column + last),
                    walk.starts.eq(last),
                ]
            with m.Else():
                following = (walk.base + Mux(passes.normalize, task.r_stride, 0))[:WORD_ADDRESS_BITS]
                m.d.sync += [
                    walk.address.eq(Mux(last, following, walk.address + 1)),
                    walk.base.eq(Mux(last, following, walk.base)),
                    walk.tile.eq(walk.tile + (last & passes.normalize)),
                    walk.column.eq(Mux(last, 0, walk.column + 1)),
                    walk.starts.eq(last | walk.column[: exact_log2(self.depth)].all()),
                ]
        return tag

    def _build_shifts(
        self,
        m: Module,
        shifts: ChannelShifts,
        task: data.View[NormTask],
        walk: Walk,
        sequence: VectorSequence,
        tag: data.View[NormTag],
        flow: Flow,
    ) -> None:
        """Those of a tile are asked for from its first pass on, and taken in the pass that normalizes it."""
        place = walk.column[: exact_log2(SHIFTS_PER_WORD)]
        wiring.connect(m, shifts.p, wiring.flipped(self.p))
        m.d.comb += [
            shifts.begin.eq(sequence.begin_tile & task.shifted),
            shifts.base.eq(task.shift_base),
            shifts.channels.eq(task.channels),
            shifts.take.eq(flow.fire & sequence.passes.normalize),
            shifts.last.eq(place.all() | walk.last_channel),
            shifts.stop.eq(flow.stop),
            tag.channel_shift.eq(shifts.shift),
        ]

    def _build_pipeline(
        self,
        m: Module,
        pipeline: NormPipeline,
        words: NormWords,
        task: data.View[NormTask],
        sequence: VectorSequence,
        tag: data.View[NormTag],
        fire: Value,
    ) -> None:
        """Its registers are enabled while an instruction is executed: nothing is on its way when one is done."""
        m.submodules.pipeline = EnableInserter(sequence.active)(pipeline)
        m.d.comb += [
            pipeline.begin.eq(sequence.begin),
            pipeline.task.eq(task),
            pipeline.read.eq(Mux(fire, sequence.passes.as_value(), 0)),
            pipeline.tag.eq(tag),
            pipeline.column.eq(self.r.data),
            words.push.eq(pipeline.push),
            words.word.eq(pipeline.word),
            words.last.eq(pipeline.last),
            self.events.norm_column.eq(pipeline.normalized),
        ]

    def _build_words(
        self,
        m: Module,
        words: NormWords,
        task: data.View[NormTask],
        walk: Walk,
        passes: data.View[NormPass],
        flow: Flow,
        shift_there: Value,
    ) -> None:
        """The first column of a word reserves its place in the queue. POOL writes words without tiles."""
        word = self.i.payload.word
        norm = data.View(instruction_layout(Opcode.NORM), word)
        pool = data.View(instruction_layout(Opcode.POOL), word)
        wiring.connect(m, words.xo, wiring.flipped(self.xo))
        wiring.connect(m, words.ro, wiring.flipped(self.ro))
        m.d.comb += [
            words.start.eq(self.i.valid & self.i.ready),
            words.base.eq(Mux(norm.opcode == Opcode.POOL, pool.o_base, norm.x_base)),
            words.pool.eq(task.pool),
            words.stride.eq(task.x_stride),
            words.reserve.eq(flow.fire & walk.starts & (passes.pool | passes.normalize)),
            words.stop.eq(flow.stop),
            flow.room.eq((words.room | ~walk.starts) & shift_there),
        ]

    def _build_error(
        self, m: Module, task: data.View[NormTask], illegal: Value, write_fault: Value, stop: Signal
    ) -> None:
        """The first fault stops the unit; the code is held."""
        failed = Signal()
        code = Signal(8, reset_less=True)
        outside = (self.r.valid & self.r.ready & self.r.fault) | write_fault
        with m.If(~stop & (outside | illegal)):
            m.d.sync += [failed.eq(1), code.eq(Mux(outside, ErrorCode.ADDRESS, ErrorCode.ILLEGAL_FIELD))]
        m.d.comb += [
            stop.eq(self.halt | failed),
            self.error.valid.eq(failed),
            self.error.code.eq(code),
            self.error.pc.eq(task.pc),
        ]
