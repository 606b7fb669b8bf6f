"""The readout's sequencer: one column of the shadow a cycle, with everything that must accompany it."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
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


class Readout(wiring.Component):
    """``for j in range(N) while c*N + j < columns``: column ``j`` of each tile, its parameter address and its tag.

    The columns of high byte planes come first, with nothing but their place; those of the low ones are like any other.

    Latency: 1 cycle from ``start`` to column 0.
    Throughput: one column a cycle, N cycles a tile.
    Back-pressure: none; ``start`` comes at least N cycles after the previous one, and the descriptor is there when
    a tile starts an instruction.

    Parameters
    ----------
    config : gives N and V.

    Members
    -------
    start, tile : In, a tile will be in the shadow in two cycles.
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
                "descriptor": In(stream.Signature(Descriptor())),
                "flags": Out(ColumnFlags()),
                "tag": Out(ColumnTag(config)),
                "p_valid": Out(1),
                "p_addr": Out(WORD_ADDRESS_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._current = Signal(Descriptor(), reset_less=True)
        self._row = Signal(WORD_ADDRESS_BITS, reset_less=True)  # word address of the row of tiles
        self._place = Signal(range(self.config.array.lanes))  # j
        self._tiles = Signal(isa.ADDRESS_BITS + 1 - len(self._place), reset_less=True)  # c
        self._column = Cat(self._place, self._tiles)
        self._tile = Signal(TileFlags(), reset_less=True)
        self._active = Signal()
        self._build_position(m)
        self._build_column(m)
        self._build_addresses(m)
        return m

    def _build_position(self, m: Module) -> None:
        following = self.descriptor.payload.fields
        m.d.comb += self.tag.select.eq(self._place)
        with m.If(self._active):
            m.d.sync += self._place.eq(self._place + 1)
            with m.If(self._place == self.config.array.lanes - 1):
                m.d.sync += [self._active.eq(0), self._tiles.eq(self._tiles + ~self._tile.plane.high)]
        with m.If(self.start):
            m.d.sync += [self._active.eq(1), self._tile.eq(self.tile)]
            with m.If(self.tile.row_first):
                m.d.sync += [self._tiles.eq(0), self._row.eq(self._row + self._current.fields.o_stride)]
            with m.If(self.tile.instruction_first):
                m.d.comb += self.descriptor.ready.eq(1)
                m.d.sync += [self._current.eq(self.descriptor.payload)]
                # A score row starts at word 0 of its slot.
                m.d.sync += self._row.eq(Mux(following.destination == isa.Memory.S, 0, following.o_base))

    def _build_column(self, m: Module) -> None:
        fields, tag, flags = self._current.fields, self.tag, self.flags
        panel = (fields.destination == isa.Memory.X) | (fields.destination == isa.Memory.W)
        m.d.comb += [
            flags.valid.eq(self._active & (self._column < fields.columns) & ~self._tile.plane.high),
            flags.hold.eq(self._active & self._tile.plane.high),
            tag.low.eq(self._tile.plane.low),
            flags.emit.eq(
                flags.valid
                & (
                    (fields.destination == isa.Memory.R)
                    | tag.last
                    | (tag.index == self.config.array.depth - 1)
                )
            ),
            flags.done.eq(flags.valid & tag.last & self._tile.instruction_last),
            tag.first.eq(self._column == 0),
            tag.last.eq(self._column == fields.columns - 1),
            tag.index.eq(self._column),
            tag.residual.eq(fields.residual & (fields.destination == isa.Memory.R)),
            tag.zero_point.eq(Mux(panel, fields.zero_point, 0)),
            tag.pc.eq(self._current.pc),
        ]
        for name in ("destination", "slot", "scale", "activation", "multiplier", "shift"):
            m.d.comb += getattr(tag, name).eq(getattr(fields, name))

    def _build_addresses(self, m: Module) -> None:
        fields = self._current.fields
        word = self._column >> exact_log2(self.config.array.depth)
        per_column = fields.scale == isa.Scale.COLUMN
        m.d.comb += [
            self.tag.addr.eq(self._row + Mux(fields.destination == isa.Memory.R, self._column, word)),
            self.p_valid.eq(self.flags.valid & (per_column | (fields.scale == isa.Scale.TENSOR))),
            self.p_addr.eq(fields.p_base + Mux(per_column, self._column, 0)),
        ]
