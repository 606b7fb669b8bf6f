"""The passes of NORM and POOL: what the vector unit does with the columns of a tile, one pass after another.

NORM  CHECK -> [MEAN -> CENTRE ->] STATISTICS -> SCALE -> NORMALIZE -> the next tile, or FLUSH
POOL  CHECK -> POOL -> FLUSH
"""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.norm.interface import NormPass


class VectorSequence(wiring.Component):
    """The state machine of the vector unit. A pass ends with the read of its last column.

    Latency: outputs are of the same cycle as the inputs that they depend on.

    Parameters
    ----------
    has_mean : whether the variant of the norm has a pass for the mean.

    Members
    -------
    valid : In, an instruction waits. accept : Out, it is taken in this cycle if there is one.
    pool, centred, illegal : In, of the instruction that was taken, from the cycle after.
    stop : In, nothing is done any more. room : In, there is a place for the word of the next column, and its channel's
    shift is known. fire : In, a column is read. last_channel, last_tile : In, what it belongs to is the last one.
    finished : In, pulse: what was to be made of a pass is there (``NormUnit.done``). empty : In, all words are written.
    passes : Out, the pass that is on. read : Out, a column of it is asked for.
    begin : Out, pulse: an instruction begins, and is checked. begin_tile : Out, pulse: the first pass of a tile begins
    in the next cycle. refused : Out, the instruction must not be executed. active : Out, there is one.
    done : Out, pulse: it is complete.
    """

    def __init__(self, *, has_mean: bool) -> None:
        self._has_mean = has_mean
        ins = ("valid", "pool", "centred", "illegal", "stop", "room", "fire", "last_channel", "last_tile")
        outs = ("accept", "read", "begin", "begin_tile", "refused", "active", "done")
        super().__init__(
            {name: In(1) for name in (*ins, "finished", "empty")}
            | {name: Out(1) for name in outs}
            | {"passes": Out(NormPass(mean=has_mean))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.FSM() as states:
            with m.State("IDLE"):
                m.d.comb += self.accept.eq(~self.stop)
                with m.If(self.valid & ~self.stop):
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += [self.refused.eq(self.illegal), self.begin.eq(1)]
                with m.If(~self.illegal):
                    m.d.comb += self.begin_tile.eq(1)
                    self._begin_tile(m)
                    with m.If(self.pool):
                        m.next = "POOL"
            self._norm(m)
            with m.State("POOL"):
                m.d.comb += [self.passes.pool.eq(1), self.read.eq(self.room & ~self.stop)]
                with m.If(self.fire & self.last_channel & self.last_tile):
                    m.next = "FLUSH"
            with m.State("FLUSH"):
                m.d.comb += self.done.eq(self.empty & ~self.stop)
                with m.If(self.done):
                    m.next = "IDLE"
        m.d.comb += self.active.eq(~states.ongoing("IDLE"))
        return m

    def _norm(self, m: Module) -> None:
        """The states of NORM. Statistics and means are asked for without room: nothing is written of them."""
        if self._has_mean:
            with m.State("MEAN"):
                m.d.comb += [self.passes.mean.eq(1), self.read.eq(~self.stop)]
                with m.If(self.fire & self.last_channel):
                    m.next = "CENTRE"
            with m.State("CENTRE"), m.If(self.finished):
                m.next = "STATISTICS"
        with m.State("STATISTICS"):
            m.d.comb += [self.passes.statistics.eq(1), self.read.eq(~self.stop)]
            with m.If(self.fire & self.last_channel):
                m.next = "SCALE"
        with m.State("SCALE"), m.If(self.finished):
            m.next = "NORMALIZE"
        with m.State("NORMALIZE"):
            m.d.comb += [self.passes.normalize.eq(1), self.read.eq(self.room & ~self.stop)]
            with m.If(self.fire & self.last_channel):
                m.d.comb += self.begin_tile.eq(~self.last_tile)
                self._begin_tile(m)
                with m.If(self.last_tile):
                    m.next = "FLUSH"

    def _begin_tile(self, m: Module) -> None:
        """The first pass of a tile is that for the mean where the variant has one and the norm is centred."""
        m.next = "STATISTICS"
        if self._has_mean:
            with m.If(self.centred):
                m.next = "MEAN"
