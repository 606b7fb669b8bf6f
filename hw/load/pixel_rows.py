"""LOAD_PATCHES: the pixel rows of an image in the order in which they are read (docs/machine.md)."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.axi.axi import ADDRESS_BITS
from vitreous.hw.axi.bursts import BYTES_BITS, OFFSET_BITS, Row
from vitreous.hw.memory.ports import instruction_layout
from vitreous.hw.protect.guard import Guard, upset_member
from vitreous.spec import isa

_PATCHES = instruction_layout(isa.Opcode.LOAD_PATCHES)


class Image(data.StructLayout):
    """The fields of a LOAD_PATCHES that say which pixel rows are read; ``bytes`` of each."""

    def __init__(self) -> None:
        names = ("patch", "grid_rows", "channels", "row_stride", "channel_stride")
        super().__init__(
            {"offset": ADDRESS_BITS, "bytes": BYTES_BITS} | {name: _PATCHES[name].shape for name in names}
        )


class PixelRows(wiring.Component):
    """``for gy, c, y: offset + gy*patch*row_stride + c*channel_stride + y*row_stride``, by additions alone.

    Latency: 1 cycle. Throughput: one row a cycle. Back-pressure: holds its row.

    Parameters
    ----------
    parity : whether its registers have parity bits; there is a member ``upset`` then.

    Members
    -------
    i : In(stream.Signature(Image())), no size zero.
    o : Out(stream.Signature(Row())).
    """

    def __init__(self, *, parity: bool = False) -> None:
        self._parity = parity
        super().__init__(
            {"i": In(stream.Signature(Image())), "o": Out(stream.Signature(Row()))} | upset_member(parity)
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        guard = Guard(m, on=self._parity)
        bare = not guard.on
        image, next_image = guard.register(Signal(Image(), name="image", reset_less=bare))
        bands_left, next_bands = guard.register(
            Signal(_PATCHES["grid_rows"].shape, name="bands_left", reset_less=bare)
        )
        y, next_y = guard.register(Signal(_PATCHES["patch"].shape, name="y"))
        channel, next_channel = guard.register(Signal(_PATCHES["channels"].shape, name="channel"))
        plane, next_plane = guard.register(Signal(OFFSET_BITS, name="plane", reset_less=bare))
        next_band, band_then = guard.register(Signal(OFFSET_BITS, name="next_band", reset_less=bare))
        row, next_row = self._build_offset(m, guard)
        _, next_valid = guard.register(self.o.valid)
        below, beside = (
            Signal(OFFSET_BITS, name="below"),
            Signal(OFFSET_BITS, name="beside"),
        )  # the next row of this plane, the same band of the next plane
        m.d.comb += [
            self.i.ready.eq(~self.o.valid),
            self.o.payload.bytes.eq(image.bytes),
            below.eq(row + image.row_stride),
            beside.eq(plane + image.channel_stride),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d[guard.domain] += [
                next_image.eq(self.i.payload),
                next_bands.eq(self.i.payload.grid_rows),
                next_valid.eq(self.i.payload.grid_rows != 0),
            ]
            m.d[guard.domain] += [
                next_row.eq(self.i.payload.offset),
                next_plane.eq(self.i.payload.offset),
                next_y.eq(0),
                next_channel.eq(0),
            ]
        with m.If(self.o.valid & self.o.ready):
            m.d[guard.domain] += [next_row.eq(below), next_y.eq(y + 1)]
            with m.If(y + 1 == image.patch):
                m.d[guard.domain] += [next_row.eq(beside), next_plane.eq(beside)]
                m.d[guard.domain] += [next_y.eq(0), next_channel.eq(channel + 1)]
                with m.If(channel == 0):
                    m.d[guard.domain] += band_then.eq(below)
                with m.If(channel + 1 == image.channels):
                    band = Mux(channel == 0, below, next_band)
                    m.d[guard.domain] += [next_row.eq(band), next_plane.eq(band), next_channel.eq(0)]
                    m.d[guard.domain] += [next_bands.eq(bands_left - 1), next_valid.eq(bands_left != 1)]
        guard.report(self)
        return m

    def _build_offset(self, m: Module, guard: Guard) -> tuple[Value, Value]:
        """The register of the row's offset and its next value: the half of the payload that is a register."""
        if not guard.on:
            return self.o.payload.offset, self.o.payload.offset
        row, following = guard.register(Signal(OFFSET_BITS, name="row"))
        m.d.comb += self.o.payload.offset.eq(row)
        return row, following
