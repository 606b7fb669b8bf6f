"""From rows of bytes in DRAM to AXI bursts: the walk over the rows of a two-dimensional transfer and the split
into bursts."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.axi.axi import ADDRESS_BITS, BURST_MAXIMUM, Burst
from vitreous.hw.checks import power_of_two
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.limits import AXI_PAGE_BYTES

OFFSET_BITS = ADDRESS_BITS + 1
"""One bit more than a window's size, so that an offset that left the window shows and does not wrap."""
BYTES_BITS = 24
"""Enough for 2**16 - 1 words of 256 bytes."""
_PAGE_BITS = exact_log2(AXI_PAGE_BYTES)


class Row(data.StructLayout):
    """``bytes`` contiguous bytes from byte ``offset`` of a window."""

    def __init__(self) -> None:
        super().__init__({"offset": OFFSET_BITS, "bytes": BYTES_BITS})


class Region(data.StructLayout):
    """``rows`` rows of ``bytes`` bytes, ``stride`` bytes from one to the next."""

    def __init__(self) -> None:
        super().__init__(
            {"offset": ADDRESS_BITS, "stride": ADDRESS_BITS, "rows": isa.ADDRESS_BITS, "bytes": BYTES_BITS}
        )


class RowWalker(wiring.Component):
    """``Region`` -> its ``Row``s in order.

    Latency: 1 cycle. Throughput: one row a cycle, one cycle between regions. Back-pressure: holds its row.

    Members
    -------
    i : In(stream.Signature(Region())), with at least one row.
    o : Out(stream.Signature(Row())).
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(Region())), "o": Out(stream.Signature(Row()))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(isa.ADDRESS_BITS, reset_less=True)
        stride = Signal(ADDRESS_BITS, reset_less=True)
        m.d.comb += self.i.ready.eq(~self.o.valid)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                self.o.valid.eq(self.i.payload.rows != 0),
                left.eq(self.i.payload.rows),
                stride.eq(self.i.payload.stride),
                self.o.payload.offset.eq(self.i.payload.offset),
                self.o.payload.bytes.eq(self.i.payload.bytes),
            ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [left.eq(left - 1), self.o.payload.offset.eq(self.o.payload.offset + stride)]
            m.d.sync += self.o.valid.eq(left != 1)
        return m


class _Next(NamedTuple):
    """Registers of what follows the burst that is to be made now.

    left : beats of its row. longest : the longest burst there. place, block : where it begins in its page, in beats
    modulo the longest burst and in longest bursts.
    """

    left: Signal
    longest: Signal
    place: Signal
    block: Signal


class BurstGenerator(wiring.Component):
    """Rows -> bursts of whole beats, at most ``burst_beats``, that never cross 4 KiB, after a check against the window:
    of each row, and once more of each burst, in case that a flip of a bit led it astray.

    Latency: 3 cycles. Throughput: one burst a cycle, a row in two cycles. Back-pressure: holds its burst and one row.

    Parameters
    ----------
    config : its bus gives the size of a beat.
    burst_beats : the longest burst, a power of two; it fits a page.

    Members
    -------
    i : In(stream.Signature(Row())), of at least one byte.
    pc : In, of the instruction whose row is at ``i``.
    o : Out(stream.Signature(Burst())).
    base, size : In(32), the window in bytes; ``base`` is a multiple of the beat.
    halt : In(1), takes no more rows and makes no more bursts.
    outside : Out(1), the row whose turn it is ends beyond the window; it makes no burst. outside_pc : Out, its ``pc``.
    inside : Out(1), it does not, and its bursts follow.
    strayed : Out(1), the burst that is due lies outside of the window, though its row did not; it never goes out.
    busy : Out(1), a burst is still to come.
    """

    ROW_LATENCY = 1
    """From ``i`` to the register from which the bursts of a row are made."""
    NEXT_ROW = 1
    """From the cycle in which a row goes to that register to the one in which the next row can come in."""
    LATENCY = ROW_LATENCY + 2
    """From ``i`` to ``o``."""

    def __init__(self, config: AcceleratorConfig, *, burst_beats: int) -> None:
        self._shift = exact_log2(config.bus.beat_bytes)
        most = min(BURST_MAXIMUM, AXI_PAGE_BYTES // config.bus.beat_bytes)
        self._burst_beats = power_of_two("Burst beats", burst_beats, most=most)
        super().__init__(
            {
                "i": In(stream.Signature(Row())),
                "pc": In(isa.PC_BITS),
                "o": Out(stream.Signature(Burst())),
                "base": In(ADDRESS_BITS),
                "size": In(ADDRESS_BITS),
                "halt": In(1),
                "outside": Out(1),
                "outside_pc": Out(isa.PC_BITS),
                "inside": Out(1),
                "strayed": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        active, last, move, take, beyond = (
            Signal(name=name) for name in ("active", "last", "move", "take", "beyond")
        )
        beats = Signal(range(self._burst_beats + 1), reset_less=True)
        address = Signal(ADDRESS_BITS, reset_less=True)
        held, row_address, row_beats = self._build_row(m, take, beyond)
        made = Signal(name="made")
        fits = self._build_guard(m, move, address)
        m.d.comb += [
            self.o.valid.eq(made & fits),
            self.strayed.eq(made & ~fits),
            move.eq(active & (~made | (self.o.valid & self.o.ready)) & ~self.halt),
            take.eq(held & (~active | (move & last)) & ~self.halt),
            self.outside.eq(take & beyond),
            self.inside.eq(take & ~beyond),
            self.busy.eq(held | active | made),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += made.eq(0)
        with m.If(move):
            m.d.sync += [
                made.eq(1),
                self.o.payload.address.eq(address),
                self.o.payload.length.eq(beats - 1),
                address.eq(address + (beats << self._shift)),
                active.eq(~last),
            ]
        with m.If(take):
            m.d.sync += [active.eq(~beyond), address.eq(row_address)]
        self._build_length(m, move | take, active & ~last, (row_address, row_beats), beats, last)
        return m

    def _build_guard(self, m: Module, move: Signal, address: Signal) -> Signal:
        """Whether the burst at ``o`` lies in the window: the beats from its address to the window's end go into a
        register with it, and are compared with its length there."""
        beats_bits = ADDRESS_BITS - self._shift
        end = Signal(beats_bits + 1, name="window_end", reset_less=True)
        room = Signal(signed(beats_bits + 2), name="guard_room", reset_less=True)
        below = Signal(name="guard_below", reset_less=True)
        first = address[self._shift :]
        m.d.sync += end.eq((self.base + self.size + (1 << self._shift) - 1) >> self._shift)
        with m.If(move):
            m.d.sync += [room.eq(end - first), below.eq(first < self.base[self._shift :])]
        fits = Signal(name="guard_fits")
        m.d.comb += fits.eq(~below & (room > self.o.payload.length))
        return fits

    def _build_row(self, m: Module, take: Signal, beyond: Signal) -> tuple[Signal, Signal, Signal]:
        """A row in registers, with its address, its beats, and its end, which is compared with the window. Returns
        whether one is there, its address, its beats."""
        held = Signal(name="row_held")
        address = Signal(ADDRESS_BITS, name="row_address", reset_less=True)
        beats = Signal(BYTES_BITS - self._shift + 1, name="row_beats", reset_less=True)
        end = Signal(OFFSET_BITS + 1, name="row_end", reset_less=True)
        m.d.comb += [
            # Not in the cycle in which the row goes on: who waits here would hang on the bus.
            self.i.ready.eq(~held & ~self.halt),
            beyond.eq(end > self.size),
        ]
        with m.If(take):
            m.d.sync += held.eq(0)
        with m.If(self.i.valid & self.i.ready):
            row = self.i.payload
            m.d.sync += [
                held.eq(1),
                address.eq(self.base + row.offset),
                beats.eq((row.bytes + (1 << self._shift) - 1) >> self._shift),
                end.eq(row.offset + row.bytes),
                self.outside_pc.eq(self.pc),
            ]
        return held, address, beats

    def _build_length(
        self,
        m: Module,
        step: Value,
        follows: Value,
        row: tuple[Signal, Signal],
        beats: Signal,
        last: Signal,
    ) -> None:
        """Beats of the next burst, in a register: what is left of the row, the longest burst, what is left of the page.
        The last two are powers of two, so few bits are compared: only in the last ``burst_beats`` of a page does its
        end come first. ``follows``: the burst is of the row that the one before was of."""
        bits, width = exact_log2(self._burst_beats), _PAGE_BITS - self._shift
        then = _Next(
            left=Signal.like(row[1], name="next_left", reset_less=True),
            longest=Signal.like(beats, name="next_longest", reset_less=True),
            place=Signal(bits, name="next_place", reset_less=True),
            block=Signal(width - bits, name="next_block", reset_less=True),
        )
        begin = row[0][self._shift : _PAGE_BITS]
        here = _Next(*(Signal.like(register, name=register.name.removeprefix("next_")) for register in then))
        first = (row[1], self._longest(begin[:bits], begin[bits:]), begin[:bits], begin[bits:])
        for value, register, new in zip(here, then, first, strict=True):
            m.d.comb += value.eq(Mux(follows, register, new))
        few, low = Signal(name="few"), here.left[: bits + 1]
        m.d.comb += few.eq(~here.left[bits + 1 :].any())
        place, block = Signal(bits, name="following_place"), Signal(width - bits, name="following_block")
        m.d.comb += [place.eq(Mux(here.block.all(), 0, here.place)), block.eq(here.block + 1)]
        with m.If(step):
            m.d.sync += [
                beats.eq(Mux(few & (low < here.longest), low, here.longest)),
                last.eq(few & (low <= here.longest)),
                then.left.eq(here.left - here.longest),
                then.place.eq(place),
                then.block.eq(block),
                then.longest.eq(self._longest(place, block)),
            ]

    def _longest(self, place: Value, block: Value) -> Value:
        """The longest burst from ``place`` of ``block`` of a page: its last block may have begun."""
        return Mux(block.all(), self._burst_beats - place, self._burst_beats)
