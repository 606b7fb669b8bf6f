"""The vector unit: executes NORM and POOL on tiles of the residual stream (docs/machine.md).

i -> sequence -> r ---> NormPipeline -> NormWords -> xo, ro
"""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import EnableInserter, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out
from amaranth.utils import exact_log2

from vitreous.hw.memory.ports import WORD_ADDRESS_BITS, ReadPort, WritePort, instruction_layout, unit_members
from vitreous.hw.norm.interface import CHANNELS_MAXIMUM, NormPass
from vitreous.hw.vector.pipeline import VARIANTS, NormPipeline, NormTag, NormTask, norm_latency
from vitreous.hw.vector.pool import TOKENS_MAXIMUM
from vitreous.hw.vector.words import NormWords
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import ErrorCode, Opcode


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


class VectorUnit(wiring.Component):
    """Layer norm and RMS norm of tiles (R to X) and the mean over tokens (R to R).

    Latency: when no port stalls, with the members of ``row_cycles``, NORM takes ``2 * channels + scale`` cycles for
    each tile (two_pass and centred: ``3 * channels + scale + mean``, in the first one perhaps more for
    ``mean_after_check``) and ``norm`` more; POOL ``channels * row_tiles + pool`` from 4 tiles on, with fewer it waits
    for places in the queue of words.
    Throughput: one column a cycle in each pass; one instruction at a time.
    Back-pressure: a stalled read or write port holds it; words that were begun have room in a queue.

    Parameters
    ----------
    config : gives ``array.lanes`` (N), ``array.depth`` (V) and ``norm.variant``.

    Members
    -------
    those of ``unit_members``; commands are NORM and POOL.
    r : Out, read port of R. ro : Out, write port of R. xo : Out, write port of X.
    events : ``norm_column``: a column is normalized.

    Raises (as ``error``, held until reset): ILLEGAL_FIELD, ADDRESS.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.lanes, self.depth = config.array.lanes, config.array.depth
        self._has_mean = VARIANTS[config.norm.variant].MEAN
        super().__init__(
            unit_members(["norm_column"])
            | {
                "r": Out(ReadPort(8 * config.residual_word_bytes)),
                "ro": Out(WritePort(8 * config.residual_word_bytes)),
                "xo": Out(WritePort(8 * config.panel_word_bytes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._pipeline = NormPipeline(self.config)
        self._task = Signal(NormTask(), name="task", reset_less=True)
        self._stop, self._illegal = Signal(), Signal()
        self._fire, self._room = Signal(), Signal()
        self._last_channel, self._last_tile = Signal(), Signal()
        self._address, self._base = (
            Signal(WORD_ADDRESS_BITS, name=n, reset_less=True) for n in ("address", "base")
        )
        self._column = Signal(range(CHANNELS_MAXIMUM + 1), reset_less=True)
        self._tile = Signal(len(self._task.row_tiles), reset_less=True)
        self._passes = Signal(NormPass(mean=self._has_mean), name="pass")
        self._tag = Signal(NormTag(self.depth), name="tag")
        self._active, self._begin = Signal(), Signal()
        m.submodules.words = self._words = NormWords(self.config)
        self._build_sequence(m)
        self._build_reads(m)
        self._build_pipeline(m)
        self._build_words(m)
        self._build_error(m)
        return m

    def _build_sequence(self, m: Module) -> None:
        """Which pass is on; a pass ends with the read of its last column."""
        last_channel, last_tile = self._last_channel, self._last_tile
        with m.FSM() as sequence:
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(~self._stop)
                with m.If(self.i.valid & ~self._stop):
                    self._accept(m)
                    m.next = "CHECK"
            with m.State("CHECK"):
                self._check(m)
                m.d.comb += self._begin.eq(1)
                with m.If(~self._illegal):
                    self._begin_tile(m)
                    with m.If(self._task.pool):
                        m.next = "POOL"
            if self._has_mean:
                with m.State("MEAN"):
                    self._build_pass(m, "mean", "CENTRE")
                with m.State("CENTRE"), m.If(self._pipeline.done):
                    m.next = "STATISTICS"
            with m.State("STATISTICS"):
                self._build_pass(m, "statistics", "SCALE")
            with m.State("SCALE"), m.If(self._pipeline.done):
                m.next = "NORMALIZE"
            with m.State("NORMALIZE"):
                m.d.comb += [self._passes.normalize.eq(1), self.r.valid.eq(self._room & ~self._stop)]
                with m.If(self._fire & last_channel):
                    self._begin_tile(m)
                    with m.If(last_tile):
                        m.next = "FLUSH"
            with m.State("POOL"):
                m.d.comb += [self._passes.pool.eq(1), self.r.valid.eq(self._room & ~self._stop)]
                with m.If(self._fire & last_channel & last_tile):
                    m.next = "FLUSH"
            with m.State("FLUSH"):
                m.d.comb += self.done.eq(self._words.empty & ~self._stop)
                with m.If(self.done):
                    m.next = "IDLE"
        m.d.comb += [self._active.eq(~sequence.ongoing("IDLE")), self.busy.eq(self._active & ~self._stop)]

    def _begin_tile(self, m: Module) -> None:
        """The first pass of a tile is that for the mean where the variant has one and the norm is centred."""
        m.next = "STATISTICS"
        if self._has_mean:
            with m.If(self._task.centred):
                m.next = "MEAN"

    def _build_pass(self, m: Module, name: str, following: str) -> None:
        """A pass that writes nothing, and the state after it."""
        m.d.comb += [self._passes[name].eq(1), self.r.valid.eq(~self._stop)]
        with m.If(self._fire & self._last_channel):
            m.next = following

    def _accept(self, m: Module) -> None:
        """Keep what is needed of the instruction; its two forms agree up to ``row_tiles``."""
        word = self.i.payload.word
        norm = data.View(instruction_layout(Opcode.NORM), word)
        pool = data.View(instruction_layout(Opcode.POOL), word)
        task, is_pool = self._task, norm.opcode == Opcode.POOL
        m.d.sync += [
            task.pc.eq(self.i.payload.pc),
            task.pool.eq(is_pool),
            task.zero_point.eq(Mux(is_pool, 0, norm.zero_point)),
            task.multiplier.eq(Mux(is_pool, pool.multiplier, norm.multiplier)),
            task.shift.eq(Mux(is_pool, pool.shift, norm.shift)),
            *(
                task[name].eq(norm[name])
                for name in ("r_stride", "channels", "row_tiles", "x_stride", "epsilon", "centred")
            ),
            task.tokens.eq(pool.tokens),
            self._base.eq(norm.r_base),
            self._address.eq(norm.r_base),
            self._column.eq(0),
            self._tile.eq(0),
        ]

    def _check(self, m: Module) -> None:
        task = self._task
        last_token = task.tokens - 1
        outside = (last_token >> exact_log2(self.lanes)) != task.row_tiles - 1
        wrong_tokens = (task.tokens == 0) | (task.tokens > TOKENS_MAXIMUM) | outside
        m.d.comb += self._illegal.eq(
            (task.channels == 0)
            | (task.channels > CHANNELS_MAXIMUM)
            | (task.row_tiles == 0)
            | (task.multiplier == 0)
            | (task.shift == 0)
            | Mux(task.pool, wrong_tokens, task.epsilon == 0)
        )

    def _build_reads(self, m: Module) -> None:
        """Addresses: NORM goes through a tile's channels in each pass, POOL through the tiles of each channel."""
        task, last, base = self._task, self._tag.last, self._base
        m.d.comb += [
            self._last_channel.eq(self._column == task.channels - 1),
            self._last_tile.eq(self._tile == task.row_tiles - 1),
            self._tag.first.eq(Mux(task.pool, self._tile == 0, self._column == 0)),
            self._tag.last.eq(Mux(task.pool, self._last_tile, self._last_channel)),
            self._tag.position.eq(self._column),
            self.r.addr.eq(self._address),
            self._fire.eq(self.r.valid & self.r.ready & ~self.r.fault),
        ]
        with m.If(self._fire):
            with m.If(task.pool):
                m.d.sync += [
                    self._address.eq(Mux(last, base + 1, self._address + task.r_stride)),
                    base.eq(base + last),
                    self._tile.eq(Mux(last, 0, self._tile + 1)),
                    self._column.eq(self._column + last),
                ]
            with m.Else():
                following = (base + Mux(self._passes.normalize, task.r_stride, 0))[:WORD_ADDRESS_BITS]
                m.d.sync += [
                    self._address.eq(Mux(last, following, self._address + 1)),
                    base.eq(Mux(last, following, base)),
                    self._tile.eq(self._tile + (last & self._passes.normalize)),
                    self._column.eq(Mux(last, 0, self._column + 1)),
                ]

    def _build_pipeline(self, m: Module) -> None:
        """Its registers are enabled while an instruction is executed: nothing is on its way when one is done."""
        pipeline, words = self._pipeline, self._words
        m.submodules.pipeline = EnableInserter(self._active)(pipeline)
        m.d.comb += [
            pipeline.begin.eq(self._begin),
            pipeline.task.eq(self._task),
            pipeline.read.eq(Mux(self._fire, self._passes.as_value(), 0)),
            pipeline.tag.eq(self._tag),
            pipeline.column.eq(self.r.data),
            words.push.eq(pipeline.push),
            words.word.eq(pipeline.word),
            words.last.eq(pipeline.last),
            self.events.norm_column.eq(pipeline.normalized),
        ]

    def _build_words(self, m: Module) -> None:
        """The first column of a word reserves its place in the queue. POOL writes words without tiles."""
        words, word = self._words, self.i.payload.word
        norm = data.View(instruction_layout(Opcode.NORM), word)
        pool = data.View(instruction_layout(Opcode.POOL), word)
        begins = Mux(self._task.pool, self._tag.first, self._passes.normalize & (self._tag.position == 0))
        wiring.connect(m, words.xo, wiring.flipped(self.xo))
        wiring.connect(m, words.ro, wiring.flipped(self.ro))
        m.d.comb += [
            words.start.eq(self.i.valid & self.i.ready),
            words.base.eq(Mux(norm.opcode == Opcode.POOL, pool.o_base, norm.x_base)),
            words.pool.eq(self._task.pool),
            words.stride.eq(self._task.x_stride),
            words.reserve.eq(self._fire & begins),
            words.stop.eq(self._stop),
            self._room.eq(words.room | ~begins),
        ]

    def _build_error(self, m: Module) -> None:
        """The first fault stops the unit; the code is held."""
        failed = Signal()
        code = Signal(8, reset_less=True)
        outside = (self.r.valid & self.r.ready & self.r.fault) | self._words.fault
        with m.If(~self._stop & (outside | self._illegal)):
            m.d.sync += [failed.eq(1), code.eq(Mux(outside, ErrorCode.ADDRESS, ErrorCode.ILLEGAL_FIELD))]
        m.d.comb += [
            self._stop.eq(self.halt | failed),
            self.error.valid.eq(failed),
            self.error.code.eq(code),
            self.error.pc.eq(self._task.pc),
        ]
