"""The row unit: executes NORM and POOL on tiles of the residual stream (docs/machine.md).

Stages of a column, from the cycle in which its read is granted:
    1       data from R
    2       column register
    3 - 4   statistics;  or centring;  or (3 and following) the pool's adder tree
    5 - 7   requantize a centred column (a pool's sum: the 3 cycles after it)
    8       packed into a word, which then waits for its port
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.delay import delay_line
from vitreous.hw.norm_columns import CENTRED_BITS, Centre, PoolSum, RowStatistics
from vitreous.hw.norm_scale import CHANNELS_MAXIMUM, NormScale
from vitreous.hw.norm_words import NormWords
from vitreous.hw.packer import Packer
from vitreous.hw.ports import WORD_ADDRESS_BITS, Command, ErrorReport, ReadPort, WritePort, instruction_layout
from vitreous.hw.requantize import Requantize, Saturation
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import ErrorCode, Opcode

TOKENS_MAXIMUM = 4096
_X = 2
"""Stage of the column register."""


def _task_layout() -> data.StructLayout:
    """What of an instruction is kept."""
    fields = {f.name: f.width for op in (Opcode.NORM, Opcode.POOL) for f in isa.FIELDS[op]}
    names = ("r_stride", "channels", "row_tiles", "x_stride", "epsilon", "multiplier", "shift", "tokens")
    kept = {name: fields[name] for name in names}
    return data.StructLayout({"pc": isa.PC_BITS, "pool": 1, "zero_point": signed(8), **kept})


class RowUnit(wiring.Component):
    """Layer norm of tiles (R to X) and the mean over tokens (R to R).

    Latency: when no port stalls, NORM takes ``2 * channels + N + SCALE_CYCLES`` cycles for each tile and
    ``NORM_OVERHEAD`` more; POOL ``channels * row_tiles + log2 N + POOL_OVERHEAD`` from 4 tiles on, with fewer it waits
    for places in the queue of words.
    Throughput: one column a cycle in each pass; one instruction at a time.
    Back-pressure: a stalled read or write port holds it; words that were begun have room in a queue.

    Parameters
    ----------
    config : gives ``array.lanes`` (N) and ``array.depth`` (V).

    Members
    -------
    i : In, stream of ``Command``: NORM or POOL.
    done : Out, pulse: an instruction's last word is written.
    busy : Out, an instruction is being executed.
    error : Out, ILLEGAL_FIELD or ADDRESS, held until reset; the unit does nothing more.
    halt : In, no reads and writes from this cycle on.
    r : Out, read port of R. ro : Out, write port of R. xo : Out, write port of X.
    events : Out, ``norm_column``: a column is normalized.
    """

    SCALE_CYCLES = _X + RowStatistics.LATENCY + NormScale.LATENCY - 1
    """Cycles, beside N, from the end of a tile's first pass to the start of its second one."""
    NORM_OVERHEAD = 2 + _X + Centre.LATENCY + Requantize.LATENCY + Packer.LATENCY + 1
    """Cycles of a NORM beside those of its tiles, from the cycle in which it is taken to ``done``."""
    POOL_OVERHEAD = 2 + _X + 2 + Requantize.LATENCY + 1
    """The same for a POOL, beside ``channels * row_tiles`` and the log2 N levels of the adder tree."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.lanes, self.depth = config.array.lanes, config.array.depth
        super().__init__(
            {
                "i": In(stream.Signature(Command())),
                "done": Out(1),
                "busy": Out(1),
                "error": Out(ErrorReport()),
                "halt": In(1),
                "r": Out(ReadPort(8 * config.residual_word_bytes)),
                "ro": Out(WritePort(8 * config.residual_word_bytes)),
                "xo": Out(WritePort(8 * config.panel_word_bytes)),
                "events": Out(data.StructLayout({"norm_column": 1})),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._task = Signal(_task_layout(), name="task", reset_less=True)
        self._stop, self._illegal = Signal(), Signal()
        self._fire, self._room = Signal(), Signal()
        self._last_channel, self._last_tile = Signal(), Signal()
        self._address, self._base = (
            Signal(WORD_ADDRESS_BITS, name=n, reset_less=True) for n in ("address", "base")
        )
        self._column = Signal(range(CHANNELS_MAXIMUM + 1), reset_less=True)
        self._tile = Signal(len(self._task.row_tiles), reset_less=True)
        self._passes = Signal(data.StructLayout({"statistics": 1, "normalize": 1, "pool": 1}), name="pass")
        self._tag = Signal(
            data.StructLayout({"first": 1, "last": 1, "position": exact_log2(self.depth)}), name="tag"
        )
        m.submodules.scale = self._scale = NormScale(lanes=self.lanes)
        m.submodules.words = self._words = NormWords(self.config)
        self._build_sequence(m)
        self._build_reads(m)
        self._build_columns(m)
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
                with m.If(~self._illegal):
                    m.next = "STATISTICS"
                    with m.If(self._task.pool):
                        m.next = "POOL"
            with m.State("STATISTICS"):
                m.d.comb += [self._passes.statistics.eq(1), self.r.valid.eq(~self._stop)]
                with m.If(self._fire & last_channel):
                    m.next = "SCALE"
            with m.State("SCALE"):
                with m.If(self._scale.done):
                    m.next = "NORMALIZE"
            with m.State("NORMALIZE"):
                m.d.comb += [self._passes.normalize.eq(1), self.r.valid.eq(self._room & ~self._stop)]
                with m.If(self._fire & last_channel):
                    m.next = "STATISTICS"
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
        m.d.comb += self.busy.eq(~sequence.ongoing("IDLE") & ~self._stop)

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
                for name in ("r_stride", "channels", "row_tiles", "x_stride", "epsilon")
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
            | (task.pool & wrong_tokens)
        )

    def _build_reads(self, m: Module) -> None:
        """Addresses: NORM goes through a tile's channels twice, POOL through the tiles of each channel."""
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

    def _build_columns(self, m: Module) -> None:
        m.submodules.statistics = statistics = RowStatistics(lanes=self.lanes)
        m.submodules.centre = centre = Centre(lanes=self.lanes)
        m.submodules.pool_sum = pool_sum = PoolSum(lanes=self.lanes)
        task, scale = self._task, self._scale
        last_lane = (task.tokens - 1)[: exact_log2(self.lanes)]
        read = Signal.like(self._passes, name="read")
        m.d.comb += read.eq(Mux(self._fire, self._passes.as_value(), 0))
        # The longest way is that of a centred column: register, centre, requantize, pack.
        stages = _X + Centre.LATENCY + Requantize.LATENCY + Packer.LATENCY
        passes = delay_line(m, read, stages, name="pass")
        tags = delay_line(m, self._tag, stages, name="tag", reset_less=True)
        # Cycle 2
        x = Signal.like(statistics.x, name="x", reset_less=True)
        m.d.sync += x.eq(self.r.data)
        final = _X + RowStatistics.LATENCY
        m.d.comb += [
            statistics.valid.eq(passes[_X].statistics),
            statistics.first.eq(tags[_X].first),
            *(unit.x.eq(x) for unit in (statistics, centre, pool_sum)),
            scale.start.eq(passes[final].statistics & tags[final].last),
            *(unit.channels.eq(task.channels) for unit in (scale, centre)),
            *(unit.sum.eq(statistics.sum) for unit in (scale, centre)),
            scale.squares.eq(statistics.squares),
            *(getattr(scale, name).eq(getattr(task, name)) for name in ("epsilon", "multiplier", "shift")),
            pool_sum.valid.eq(passes[_X].pool),
            pool_sum.first.eq(tags[_X].first),
            pool_sum.last.eq(tags[_X].last),
            pool_sum.mask.eq(Cat(1, *(lane <= last_lane for lane in range(1, self.lanes)))),
            self.events.norm_column.eq(passes[1].normalize),
        ]
        self._build_requantize(m, centre, pool_sum, passes, tags)

    def _build_requantize(
        self, m: Module, centre: Centre, pool_sum: PoolSum, passes: list[Any], tags: list[Any]
    ) -> None:
        """Cycles 5 to 8. Lane 0 also requantizes the sums of a pool."""
        m.submodules.requantize = requantize = Requantize(lanes=self.lanes, width=CENTRED_BITS)
        m.submodules.packer = packer = Packer(self.config, width=8)
        task, scale = self._task, self._scale
        for lane in range(self.lanes):
            take_pool = task.pool if lane == 0 else Const(0, 1)
            m.d.comb += [
                requantize.acc[lane].eq(Mux(take_pool, pool_sum.sum, centre.u[lane])),
                requantize.multiplier[lane].eq(Mux(take_pool, task.multiplier, scale.row_multiplier[lane])),
                requantize.shift[lane].eq(Mux(take_pool, task.shift, scale.row_shift[lane])),
                packer.column[lane].eq(requantize.o[lane]),
            ]
        pooled = delay_line(m, pool_sum.o_last, Requantize.LATENCY, name="pooled")[-1]
        complete = passes[-1].normalize & (tags[-1].last | (tags[-1].position == self.depth - 1))
        m.d.comb += [
            requantize.zero_point.eq(task.zero_point),
            requantize.saturation.eq(Mux(task.pool, Saturation.INT16, Saturation.INT8)),
            packer.valid.eq(passes[-2].normalize),
            packer.index.eq(tags[-2].position),
            self._words.word.eq(Mux(task.pool, requantize.o[0].as_unsigned(), packer.o)),
            self._words.last.eq(~task.pool & tags[-1].last),
            self._words.push.eq(pooled | complete),
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
