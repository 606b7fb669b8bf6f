"""From rows of bytes in DRAM to AXI bursts: the walk over the rows of a two-dimensional transfer and the split
into bursts."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.axi.axi import ADDRESS_BITS, BURST_MAXIMUM, Burst
from vitreous.hw.checks import power_of_two
from vitreous.hw.protect.guard import Guard, upset_member
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

    Parameters
    ----------
    parity : whether its registers have parity bits; there is a member ``upset`` then.

    Members
    -------
    i : In(stream.Signature(Region())), with at least one row.
    o : Out(stream.Signature(Row())).
    """

    def __init__(self, *, parity: bool = False) -> None:
        self._parity = parity
        super().__init__(
            {"i": In(stream.Signature(Region())), "o": Out(stream.Signature(Row()))} | upset_member(parity)
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        guard = Guard(m, on=self._parity)
        left, next_left = guard.register(Signal(isa.ADDRESS_BITS, name="left", reset_less=not guard.on))
        stride, next_stride = guard.register(Signal(ADDRESS_BITS, name="stride", reset_less=not guard.on))
        row, next_row = guard.register(self.o.payload)
        _, next_valid = guard.register(self.o.valid)
        m.d.comb += self.i.ready.eq(~self.o.valid)
        with m.If(self.i.valid & self.i.ready):
            m.d[guard.domain] += [
                next_valid.eq(self.i.payload.rows != 0),
                next_left.eq(self.i.payload.rows),
                next_stride.eq(self.i.payload.stride),
                next_row.offset.eq(self.i.payload.offset),
                next_row.bytes.eq(self.i.payload.bytes),
            ]
        with m.If(self.o.valid & self.o.ready):
            m.d[guard.domain] += [next_left.eq(left - 1), next_row.offset.eq(row.offset + stride)]
            m.d[guard.domain] += next_valid.eq(left != 1)
        guard.report(self)
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


class _Ahead(NamedTuple):
    """The burst that is to be made now: its beats, and whether it is the last one of its row; each with its next
    value."""

    beats: tuple[Signal, Signal]
    last: tuple[Signal, Signal]


class BurstGenerator(wiring.Component):
    """Rows -> bursts of whole beats, at most ``burst_beats``, that never cross 4 KiB, after a check against the window:
    of each row, and once more of each burst, in case that a flip of a bit led it astray.

    Latency: 3 cycles. Throughput: one burst a cycle, a row in two cycles. Back-pressure: holds its burst and one row.

    Parameters
    ----------
    config : its bus gives the size of a beat; with ``protect.parity`` there is a member ``upset``.
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
        self._parity = config.protect.parity
        super().__init__(
            {
                "i": In(stream.Signature(Row())),
                "pc": In(isa.PC_BITS),
                "o": Out(stream.Signature(Burst(self._parity))),
                "base": In(ADDRESS_BITS),
                "size": In(ADDRESS_BITS),
                "halt": In(1),
                "outside": Out(1),
                "outside_pc": Out(isa.PC_BITS),
                "inside": Out(1),
                "strayed": Out(1),
                "busy": Out(1),
            }
            | upset_member(self._parity)
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        guard = Guard(m, on=self._parity)
        move, take, beyond = (Signal(name=name) for name in ("move", "take", "beyond"))
        active, next_active = guard.register(Signal(name="active"))
        address, next_address = guard.register(Signal(ADDRESS_BITS, name="address", reset_less=not guard.on))
        held, row_address, row_beats = self._build_row(m, guard, take, beyond)
        ahead = _Ahead(
            beats=guard.register(Signal(range(self._burst_beats + 1), name="beats", reset_less=not guard.on)),
            last=guard.register(Signal(name="last")),
        )
        beats, last = ahead.beats[0], ahead.last[0]
        made, next_made = guard.register(Signal(name="made"))
        fits = self._build_guard(m, guard, move, address)
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
            m.d[guard.domain] += next_made.eq(0)
        with m.If(move):
            length = (beats - 1)[: len(self.o.payload.length)]
            m.d[guard.domain] += next_made.eq(1)
            m.d.sync += [self.o.payload.address.eq(address), self.o.payload.length.eq(beats - 1)]
            if guard.on:
                m.d.sync += self.o.payload.parity.eq(Cat(address, length).xor())
            m.d[guard.domain] += [next_address.eq(address + (beats << self._shift)), next_active.eq(~last)]
        with m.If(take):
            m.d[guard.domain] += [next_active.eq(~beyond), next_address.eq(row_address)]
        self._build_length(m, guard, move | take, active & ~last, (row_address, row_beats), ahead)
        guard.report(self)
        return m

    def _build_guard(self, m: Module, guard: Guard, move: Signal, address: Signal) -> Signal:
        """Whether the burst at ``o`` lies in the window: the beats from its address to the window's end go into a
        register with it, and are compared with its length there."""
        beats_bits, bare = ADDRESS_BITS - self._shift, not guard.on
        end, next_end = guard.register(Signal(beats_bits + 1, name="window_end", reset_less=bare))
        room, next_room = guard.register(Signal(signed(beats_bits + 2), name="guard_room", reset_less=bare))
        below, next_below = guard.register(Signal(name="guard_below", reset_less=bare))
        first = address[self._shift :]
        m.d[guard.domain] += next_end.eq((self.base + self.size + (1 << self._shift) - 1) >> self._shift)
        with m.If(move):
            m.d[guard.domain] += [
                next_room.eq(end - first),
                next_below.eq(first < self.base[self._shift :]),
            ]
        fits = Signal(name="guard_fits")
        m.d.comb += fits.eq(~below & (room > self.o.payload.length))
        return fits

    def _build_row(
        self, m: Module, guard: Guard, take: Signal, beyond: Signal
    ) -> tuple[Signal, Signal, Signal]:
        """A row in registers, with its address, its beats, and its end, which is compared with the window. Returns
        whether one is there, its address, its beats."""
        bare = not guard.on
        held, next_held = guard.register(Signal(name="row_held"))
        address, next_address = guard.register(Signal(ADDRESS_BITS, name="row_address", reset_less=bare))
        beats, next_beats = guard.register(
            Signal(BYTES_BITS - self._shift + 1, name="row_beats", reset_less=bare)
        )
        end, next_end = guard.register(Signal(OFFSET_BITS + 1, name="row_end", reset_less=bare))
        m.d.comb += [
            # Not in the cycle in which the row goes on: who waits here would hang on the bus.
            self.i.ready.eq(~held & ~self.halt),
            beyond.eq(end > self.size),
        ]
        with m.If(take):
            m.d[guard.domain] += next_held.eq(0)
        with m.If(self.i.valid & self.i.ready):
            row = self.i.payload
            m.d[guard.domain] += [
                next_held.eq(1),
                next_address.eq(self.base + row.offset),
                next_beats.eq((row.bytes + (1 << self._shift) - 1) >> self._shift),
                next_end.eq(row.offset + row.bytes),
            ]
            m.d.sync += self.outside_pc.eq(self.pc)
        return held, address, beats

    def _build_length(
        self,
        m: Module,
        guard: Guard,
        step: Value,
        follows: Value,
        row: tuple[Signal, Signal],
        ahead: _Ahead,
    ) -> None:
        """Beats of the next burst, in a register: what is left of the row, the longest burst, what is left of the page.
        The last two are powers of two, so few bits are compared: only in the last ``burst_beats`` of a page does its
        end come first. ``follows``: the burst is of the row that the one before was of."""
        bits, width = exact_log2(self._burst_beats), _PAGE_BITS - self._shift
        bare = not guard.on
        then, next_then = guard.registers(
            _Next(
                left=Signal.like(row[1], name="next_left", reset_less=bare),
                longest=Signal.like(ahead.beats[0], name="next_longest", reset_less=bare),
                place=Signal(bits, name="next_place", reset_less=bare),
                block=Signal(width - bits, name="next_block", reset_less=bare),
            )
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
            m.d[guard.domain] += [
                ahead.beats[1].eq(Mux(few & (low < here.longest), low, here.longest)),
                ahead.last[1].eq(few & (low <= here.longest)),
                next_then.left.eq(here.left - here.longest),
                next_then.place.eq(place),
                next_then.block.eq(block),
                next_then.longest.eq(self._longest(place, block)),
            ]

    def _longest(self, place: Value, block: Value) -> Value:
        """The longest burst from ``place`` of ``block`` of a page: its last block may have begun."""
        return Mux(block.all(), self._burst_beats - place, self._burst_beats)
