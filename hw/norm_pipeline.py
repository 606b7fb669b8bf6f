"""The arithmetic of the row unit: columns of the residual stream become statistics, then normalized words or sums.

Stages of a column, from the cycle in which its read is granted:
    1       data from R
    2       column register
    3 - 4   statistics;  or centring;  or (3 and following) the pool's adder tree
    5 - 7   requantize a centred column (a pool's sum: the 3 cycles after it)
    8       packed into a word
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.delay import delay_line
from vitreous.hw.norm_columns import CENTRED_BITS, Centre, PoolSum, RowStatistics
from vitreous.hw.norm_scale import NormScale
from vitreous.hw.packer import Packer
from vitreous.hw.requantize import Requantize, Saturation
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Opcode

_X = 2
"""Stage of the column register."""


class NormTask(data.StructLayout):
    """What of an instruction is kept; ``pool``: it is a POOL."""

    def __init__(self) -> None:
        fields = {f.name: f.width for op in (Opcode.NORM, Opcode.POOL) for f in isa.FIELDS[op]}
        names = ("r_stride", "channels", "row_tiles", "x_stride", "epsilon", "multiplier", "shift", "tokens")
        kept = {name: fields[name] for name in names}
        super().__init__({"pc": isa.PC_BITS, "pool": 1, "zero_point": signed(8), **kept})


class NormPass(data.StructLayout):
    """One bit for each of the three ways to go through the columns; at most one is set."""

    def __init__(self) -> None:
        super().__init__({"statistics": 1, "normalize": 1, "pool": 1})


class NormTag(data.StructLayout):
    """Where a column stands: first, last of its tile (POOL: channel), its position in its word."""

    def __init__(self, depth: int) -> None:
        super().__init__({"first": 1, "last": 1, "position": exact_log2(depth)})


class NormPipeline(wiring.Component):
    """Columns -> words of normalized values, or sums over tokens (docs/numerics.md, layer norm and mean).

    Latency: ``LATENCY`` cycles from the read of a word's last column to ``push``; ``SCALE_LATENCY`` + N from the read
    of the last column of a statistics pass to ``scaled``; a sum of POOL ``POOL_LATENCY`` + log2 N.
    Throughput: one column a cycle.
    Back-pressure: none.

    Parameters
    ----------
    config : gives ``array.lanes`` (N) and ``array.depth`` (V).

    Members
    -------
    task : In, constant while columns are on their way.
    read, tag : In, a column of this pass is read in this cycle, and where it stands.
    column : In, its data, one cycle later.
    scaled : Out, pulse: the row scales of a tile are final, its normalize pass may begin.
    push, word, last : Out, a finished word; it is its tile's last one.
    normalized : Out, a column of a normalize pass was read in the cycle before.
    """

    LATENCY = _X + Centre.LATENCY + Requantize.LATENCY + Packer.LATENCY
    SCALE_LATENCY = _X + RowStatistics.LATENCY + NormScale.LATENCY
    POOL_LATENCY = _X + 2 + Requantize.LATENCY

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.lanes, self.depth = config.array.lanes, config.array.depth
        super().__init__(
            {
                "task": In(NormTask()),
                "read": In(NormPass()),
                "tag": In(NormTag(self.depth)),
                "column": In(8 * config.residual_word_bytes),
                "scaled": Out(1),
                "push": Out(1),
                "word": Out(8 * config.panel_word_bytes),
                "last": Out(1),
                "normalized": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.statistics = statistics = RowStatistics(lanes=self.lanes)
        m.submodules.centre = centre = Centre(lanes=self.lanes)
        m.submodules.pool_sum = pool_sum = PoolSum(lanes=self.lanes)
        m.submodules.scale = self._scale = scale = NormScale(lanes=self.lanes)
        task = self.task
        last_lane = (task.tokens - 1)[: exact_log2(self.lanes)]
        # The longest way is that of a centred column: register, centre, requantize, pack.
        passes = delay_line(m, self.read, self.LATENCY, name="pass")
        tags = delay_line(m, self.tag, self.LATENCY, name="tag", reset_less=True)
        # Cycle 2
        x = Signal.like(statistics.x, name="x", reset_less=True)
        m.d.sync += x.eq(self.column)
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
            self.normalized.eq(passes[1].normalize),
            self.scaled.eq(scale.done),
        ]
        self._build_requantize(m, centre, pool_sum, passes, tags)
        return m

    def _build_requantize(
        self, m: Module, centre: Centre, pool_sum: PoolSum, passes: list[Any], tags: list[Any]
    ) -> None:
        """Cycles 5 to 8. Lane 0 also requantizes the sums of a pool."""
        m.submodules.requantize = requantize = Requantize(lanes=self.lanes, width=CENTRED_BITS)
        m.submodules.packer = packer = Packer(self.config, width=8)
        task, scale = self.task, self._scale
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
            self.word.eq(Mux(task.pool, requantize.o[0].as_unsigned(), packer.o)),
            self.last.eq(~task.pool & tags[-1].last),
            self.push.eq(pooled | complete),
        ]
