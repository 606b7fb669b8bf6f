"""The readout's sequencer: one column of the shadow a cycle, with everything that must accompany it."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.matrix.columns import ColumnFlags, ColumnTag
from vitreous.hw.matrix.operand_sequencer import TileFlags
from vitreous.hw.memory.ports import WORD_ADDRESS_BITS, instruction_layout
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig


class Descriptor(data.StructLayout):
    """An instruction and its program counter, as the readout takes them over from the operand sequencer."""

    def __init__(self) -> None:
        super().__init__({"fields": instruction_layout(isa.Opcode.MATMUL), "pc": isa.PC_BITS})


class Position(NamedTuple):
    """Registers of the tile in the shadow, and the column of it that is read.

    current : its instruction. row : word address of its row of tiles. tile : where it stands there.
    column : of the row of tiles. active : one is read. bad : not all that it was made of was there.
    """

    current: data.View[Descriptor]
    row: Signal
    column: Value
    tile: data.View[TileFlags]
    active: Signal
    bad: Signal


class Readout(wiring.Component):
    """``for j in range(N) while c*N + j < columns``: column ``j`` of each tile, its parameter address and its tag.

    The columns of high byte planes come first, with nothing but their place; those of the low ones are like any other.
    ``first_block`` and ``last_block`` of an instruction count with operands SW and destination S alone.

    Latency: 1 cycle from ``start`` to column 0.
    Throughput: one column a cycle, N cycles a tile.
    Back-pressure: none; ``start`` comes at least N cycles after the previous one, and the descriptor is there when
    a tile starts an instruction.

    Parameters
    ----------
    config : gives N and V.

    Members
    -------
    start, tile : In, a tile will be in the shadow in two cycles. bad : In, with it: a word or a lane parameter of this
        tile or of one before was beyond the end of its memory.
    descriptor : In, the oldest instruction whose readout has not begun.
    flags, tag : Out, the column.
    p_valid, p_addr : Out, the parameter word to read now for it.
    """

    LATENCY = 1

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "tile": In(TileFlags()),
                "bad": In(1),
                "descriptor": In(stream.Signature(Descriptor())),
                "flags": Out(ColumnFlags()),
                "tag": Out(ColumnTag(config)),
                "p_valid": Out(1),
                "p_addr": Out(WORD_ADDRESS_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        at = self._build_position(m)
        self._build_column(m, at)
        self._build_addresses(m, at)
        return m

    def _build_position(self, m: Module) -> Position:
        """From column to column while a tile is in the shadow."""
        place = Signal(range(self.config.array.lanes), name="_place")
        tiles = Signal(isa.ADDRESS_BITS + 1 - len(place), name="_tiles", reset_less=True)
        at = Position(
            current=Signal(Descriptor(), name="_current", reset_less=True),
            row=Signal(WORD_ADDRESS_BITS, name="_row", reset_less=True),
            column=Cat(place, tiles),
            tile=Signal(TileFlags(), name="_tile", reset_less=True),
            active=Signal(name="_active"),
            bad=Signal(name="_bad"),
        )
        following = self.descriptor.payload.fields
        m.d.comb += self.tag.select.eq(at.column)
        with m.If(at.active):
            m.d.sync += place.eq(place + 1)
            with m.If(place == self.config.array.lanes - 1):
                m.d.sync += [at.active.eq(0), tiles.eq(tiles + ~at.tile.plane.high)]
        with m.If(self.start):
            m.d.sync += [at.active.eq(1), at.tile.eq(self.tile), at.bad.eq(self.bad)]
            with m.If(self.tile.row_first):
                m.d.sync += [tiles.eq(0), at.row.eq(at.row + at.current.fields.o_stride)]
            with m.If(self.tile.instruction_first):
                m.d.comb += self.descriptor.ready.eq(1)
                m.d.sync += [at.current.eq(self.descriptor.payload)]
                # A score row starts at word 0 of its slot.
                m.d.sync += at.row.eq(Mux(following.destination == isa.Memory.S, 0, following.o_base))
        return at

    def _build_column(self, m: Module, at: Position) -> None:
        """What the column carries."""
        fields, tag, flags = at.current.fields, self.tag, self.flags
        panel = (fields.destination == isa.Memory.X) | (fields.destination == isa.Memory.W)
        here = Signal(name="_here")
        context, whole = fields.operands == isa.Operands.SW, fields.first_block & fields.last_block
        m.d.comb += [
            here.eq(at.active & (at.column < fields.columns)),
            flags.valid.eq(here & ~at.tile.plane.high),
            flags.hold.eq(here & at.tile.plane.high),
            flags.bad.eq(flags.valid & at.bad),
            tag.part.low.eq(at.tile.plane.low),
            tag.part.summed.eq(at.tile.plane.high | at.tile.plane.low | (context & ~whole)),
            tag.part.older.eq(at.tile.plane.low | ~fields.first_block),
            tag.kept.eq(context & ~fields.last_block),
            flags.emit.eq(
                flags.valid
                & (
                    (fields.destination == isa.Memory.R)
                    | tag.last
                    | (tag.index == self.config.array.depth - 1)
                )
            ),
            flags.done.eq(flags.valid & tag.last & at.tile.instruction_last),
            tag.first.eq(at.column == 0),
            tag.last.eq(at.column == fields.columns - 1),
            tag.index.eq(at.column),
            tag.residual.eq(fields.residual & (fields.destination == isa.Memory.R) & ~tag.kept),
            tag.zero_point.eq(Mux(panel, fields.zero_point, 0)),
            tag.pc.eq(at.current.pc),
        ]
        for name in (
            *("destination", "slot", "scale", "activation", "multiplier", "shift"),
            *("first_block", "last_block"),
        ):
            m.d.comb += getattr(tag, name).eq(getattr(fields, name))

    def _build_addresses(self, m: Module, at: Position) -> None:
        """Where its word goes, and where its parameters are."""
        fields = at.current.fields
        word = at.column >> exact_log2(self.config.array.depth)
        per_column = fields.scale == isa.Scale.COLUMN
        m.d.comb += [
            self.tag.addr.eq(at.row + Mux(fields.destination == isa.Memory.R, at.column, word)),
            self.p_valid.eq(self.flags.valid & (per_column | (fields.scale == isa.Scale.TENSOR))),
            self.p_addr.eq(fields.p_base + Mux(per_column, at.column, 0)),
        ]
