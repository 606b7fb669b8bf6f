"""From rows of bytes in DRAM to AXI bursts: the walk over the rows of a two-dimensional transfer and the split
into bursts."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
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


class BurstGenerator(wiring.Component):
    """Rows -> bursts of whole beats, at most ``burst_beats``, that never cross 4 KiB, after a check against the window.

    Latency: 2 cycles. Throughput: one burst a cycle. Back-pressure: holds its burst.

    Parameters
    ----------
    config : its bus gives the size of a beat.
    burst_beats : the longest burst, a power of two; it fits a page.

    Members
    -------
    i : In(stream.Signature(Row())).
    o : Out(stream.Signature(Burst())).
    base, size : In(32), the window in bytes; ``base`` is a multiple of the beat.
    halt : In(1), takes no more rows and makes no more bursts.
    outside : Out(1), the row that is being taken ends beyond the window; it makes no burst.
    busy : Out(1), a burst is still to come.
    """

    def __init__(self, config: AcceleratorConfig, *, burst_beats: int) -> None:
        self._beat_bytes = config.bus.beat_bytes
        most = min(BURST_MAXIMUM, AXI_PAGE_BYTES // config.bus.beat_bytes)
        self._burst_beats = power_of_two("Burst beats", burst_beats, most=most)
        super().__init__(
            {
                "i": In(stream.Signature(Row())),
                "o": Out(stream.Signature(Burst())),
                "base": In(ADDRESS_BITS),
                "size": In(ADDRESS_BITS),
                "halt": In(1),
                "outside": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat = self._beat_bytes
        shift = beat.bit_length() - 1
        left = Signal(BYTES_BITS - shift + 1)
        address = Signal(ADDRESS_BITS, reset_less=True)

        # Beats of the next burst: what is left, the longest burst, what is left of the page. The last two are powers of
        # two, so few bits are compared: only in the last `burst_beats` of a page does its end come first.
        bits = exact_log2(self._burst_beats)
        place, low = address[shift : shift + bits], left[: bits + 1]
        longest = Signal(range(self._burst_beats + 1))
        few, short, last = Signal(), Signal(), Signal()
        beats = Signal.like(longest)
        m.d.comb += [
            longest.eq(
                Mux(address[shift + bits : _PAGE_BITS].all(), self._burst_beats - place, self._burst_beats)
            ),
            few.eq(~left[bits + 1 :].any()),
            short.eq(few & (low < longest)),
            last.eq(few & (low <= longest)),
            beats.eq(Mux(short, low, longest)),
        ]

        move = Signal()  # a burst goes to the output register
        m.d.comb += move.eq((left != 0) & (~self.o.valid | self.o.ready) & ~self.halt)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(move):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.address.eq(address),
                self.o.payload.length.eq(beats - 1),
                address.eq(address + (beats << shift)),
                left.eq(left - beats),
            ]

        end, beyond = Signal(OFFSET_BITS + 1), Signal()
        m.d.comb += [
            self.i.ready.eq(((left == 0) | (move & last)) & ~self.halt),
            end.eq(self.i.payload.offset + self.i.payload.bytes),
            beyond.eq(end > self.size),
            self.outside.eq(self.i.valid & self.i.ready & beyond),
            self.busy.eq((left != 0) | self.o.valid),
        ]
        with m.If(self.i.valid & self.i.ready & ~beyond):
            whole_beats = (self.i.payload.bytes + beat - 1) >> shift
            m.d.sync += [left.eq(whole_beats), address.eq(self.base + self.i.payload.offset)]
        return m
