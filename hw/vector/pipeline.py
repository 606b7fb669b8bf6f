"""The arithmetic of the vector unit: columns of the residual stream become statistics, then normalized words or sums.

Stages of a column, from the cycle in which its read is granted (L: those of the norm's variant, 1 or 2):
    1            data from R
    2            column register
    3 - 2+L      centring;  or (3 and following) statistics;  or the pool's adder tree
    3+L - 5+L    requantize a centred column, with the shift of its channel on top of those of its rows (a pool's sum:
                 the 3 cycles after it)
    6+L          packed into a word
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.arith.requantize import Requantize, Saturation
from vitreous.hw.matrix.packer import Packer
from vitreous.hw.norm.interface import NormPass, NormUnit
from vitreous.hw.norm.one_pass import OnePassNorm
from vitreous.hw.norm.two_pass import TwoPassNorm
from vitreous.hw.vector.pool import POOL_BITS, PoolSum
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Opcode
from vitreous.spec.numbers import CHANNEL_SHIFT_BITS
from vitreous.spec.variants import NormVariant

_X = 2
"""Stage of the column register."""
VARIANTS: Mapping[NormVariant, type[NormUnit]] = {
    NormVariant.ONE_PASS: OnePassNorm,
    NormVariant.TWO_PASS: TwoPassNorm,
}
"""By ``norm.variant``."""


@dataclass(frozen=True)
class NormLatency:
    """column : from the read of a word's last column to its push. pool : from that of a sum's last column.

    scale, mean : from the read of the last column of a statistics, mean pass to the cycle after ``done``, which for a
    mean is at least ``mean_after_begin`` after ``begin``.
    """

    column: int
    scale: int
    mean: int
    mean_after_begin: int
    pool: int


def norm_latency(config: AcceleratorConfig) -> NormLatency:
    """Of the vector unit's pipeline in ``config``."""
    variant, lanes = VARIANTS[config.norm.variant], config.array.lanes
    return NormLatency(
        column=_X + variant.LATENCY + Requantize.LATENCY + Packer.LATENCY,
        scale=_X + variant.SCALE_LATENCY + lanes,
        mean=_X + variant.MEAN_LATENCY + lanes,
        mean_after_begin=variant.MEAN_AFTER_BEGIN + lanes,
        pool=_X + 2 + exact_log2(lanes) + Requantize.LATENCY,
    )


class NormTask(data.StructLayout):
    """What of an instruction is kept; ``pool``: it is a POOL."""

    def __init__(self) -> None:
        fields = {f.name: f.width for op in (Opcode.NORM, Opcode.POOL) for f in isa.FIELDS[op]}
        names = (
            *("r_stride", "channels", "row_tiles", "x_stride", "epsilon"),
            *("multiplier", "shift", "centred", "shifted", "shift_base", "tokens", "first"),
        )
        kept = {name: fields[name] for name in names}
        super().__init__({"pc": isa.PC_BITS, "pool": 1, "zero_point": signed(8), **kept})


class NormTag(data.StructLayout):
    """Where a column stands: first, last of its tile (POOL: channel), its position in its word; and its channel's
    shift."""

    def __init__(self, depth: int) -> None:
        super().__init__(
            {"first": 1, "last": 1, "position": exact_log2(depth), "channel_shift": CHANNEL_SHIFT_BITS}
        )


class NormPipeline(wiring.Component):
    """Columns -> words of normalized values, or sums over tokens (docs/numerics.md, layer norm and mean).

    Latency: ``norm_latency(config)``.
    Throughput: one column a cycle.
    Back-pressure: none.

    Parameters
    ----------
    config : gives ``array.lanes`` (N), ``array.depth`` (V) and ``norm.variant``.

    Members
    -------
    begin : In, pulse: ``task`` is new.
    task : In, constant while columns are on their way.
    read, tag : In, a column of this pass is read in this cycle, and where it stands.
    column : In, its data, one cycle later.
    done : Out, pulse: the means or the row scales of a tile are final, its next pass may begin.
    push, word, last : Out, a finished word; it is its tile's last one.
    normalized : Out, a column of a normalize pass was read in the previous cycle.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.lanes, self.depth = config.array.lanes, config.array.depth
        self.variant = variant = VARIANTS[config.norm.variant]
        self.latency = norm_latency(config).column
        super().__init__(
            {
                "begin": In(1),
                "task": In(NormTask()),
                "read": In(NormPass(mean=variant.MEAN)),
                "tag": In(NormTag(self.depth)),
                "column": In(8 * config.residual_word_bytes),
                "done": Out(1),
                "push": Out(1),
                "word": Out(8 * config.panel_word_bytes),
                "last": Out(1),
                "normalized": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.norm = norm = self.variant(lanes=self.lanes)
        m.submodules.pool_sum = pool_sum = PoolSum(lanes=self.lanes)
        task = self.task
        last_lane = (task.tokens - 1)[: exact_log2(self.lanes)]
        # The longest way is that of a centred column: register, centre, requantize, pack.
        passes = delay_line(m, self.read, self.latency, name="pass")
        tags = delay_line(m, self.tag, self.latency, name="tag", reset_less=True)
        # Cycle 2
        x = Signal.like(norm.x, name="x", reset_less=True)
        m.d.sync += x.eq(self.column)
        m.d.comb += [
            norm.begin.eq(self.begin),
            norm.read.eq(passes[_X]),
            *(unit.x.eq(x) for unit in (norm, pool_sum)),
            *(unit.first.eq(tags[_X].first) for unit in (norm, pool_sum)),
            *(unit.last.eq(tags[_X].last) for unit in (norm, pool_sum)),
            *(norm.constants[name].eq(task[name]) for name in norm.constants.shape().members),
            pool_sum.valid.eq(passes[_X].pool),
            pool_sum.mask.eq(Cat(1, *(lane <= last_lane for lane in range(1, self.lanes)))),
            pool_sum.begin.eq(Cat(lane >= task.first for lane in range(self.lanes))),
            self.normalized.eq(passes[1].normalize),
            self.done.eq(norm.done),
        ]
        columns = self._build_requantize(m, norm, pool_sum, tags[_X + norm.LATENCY].channel_shift)
        self._build_words(m, columns, pool_sum.o_last, passes, tags)
        return m

    def _build_requantize(
        self, m: Module, norm: OnePassNorm | TwoPassNorm, pool_sum: PoolSum, channel_shift: Value
    ) -> list[Any]:
        """Cycles 3+L to 5+L. Lane 0 also requantizes the sums of a pool, and so may be wider than the others."""
        task, width = self.task, self.variant.WIDTH
        m.submodules.requantize_first = first = Requantize(
            lanes=1, width=max(width, POOL_BITS), widest=Saturation.INT16
        )
        m.submodules.requantize = others = Requantize(
            lanes=self.lanes - 1, width=width, widest=Saturation.INT16
        )
        # Copies of one bit that much hangs on; a task is there long before its first column.
        pools, norms = Signal(name="pools"), Signal(name="norms")
        m.d.sync += [pools.eq(task.pool), norms.eq(~task.pool)]
        m.d.comb += [
            first.acc[0].eq(Mux(pools, pool_sum.sum, norm.u[0])),
            first.multiplier[0].eq(Mux(norms, norm.row_multiplier[0], task.multiplier)),
            first.shift[0].eq(Mux(norms, norm.row_shift[0] + channel_shift, task.shift)),
            first.saturation.eq(Mux(norms, Saturation.INT8, Saturation.INT16)),
            others.saturation.eq(Saturation.INT8),
            *(unit.zero_point.eq(task.zero_point) for unit in (first, others)),
        ]
        for lane in range(1, self.lanes):
            m.d.comb += [
                others.acc[lane - 1].eq(norm.u[lane]),
                others.multiplier[lane - 1].eq(norm.row_multiplier[lane]),
                others.shift[lane - 1].eq(norm.row_shift[lane] + channel_shift),
            ]
        return [first.o[0], *(others.o[lane] for lane in range(self.lanes - 1))]

    def _build_words(
        self, m: Module, columns: list[Any], o_last: Signal, passes: list[Any], tags: list[Any]
    ) -> None:
        """Cycle 6+L; a pool's sums are words as they are."""
        m.submodules.packer = packer = Packer(self.config)
        pooled = delay_line(m, o_last, Requantize.LATENCY, name="pooled")[-1]
        complete = passes[-1].normalize & (tags[-1].last | (tags[-1].position == self.depth - 1))
        m.d.comb += [
            *(packer.column[lane].eq(column) for lane, column in enumerate(columns)),
            packer.valid.eq(passes[-2].normalize),
            packer.index.eq(tags[-2].position),
            self.word.eq(Mux(self.task.pool, columns[0].as_unsigned(), packer.o)),
            self.last.eq(~self.task.pool & tags[-1].last),
            self.push.eq(pooled | complete),
        ]
