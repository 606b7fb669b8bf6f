"""LOAD_PATCHES: the pixel rows of an image in the order in which they are read (docs/machine.md)."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.axi.axi import ADDRESS_BITS
from vitreous.hw.axi.bursts import BYTES_BITS, OFFSET_BITS, Row
from vitreous.hw.memory.ports import instruction_layout
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

    Members
    -------
    i : In(stream.Signature(Image())), no size zero.
    o : Out(stream.Signature(Row())).
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(Image())), "o": Out(stream.Signature(Row()))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        image = Signal(Image(), reset_less=True)
        bands_left = Signal(_PATCHES["grid_rows"].shape, reset_less=True)
        y = Signal(_PATCHES["patch"].shape)
        channel = Signal(_PATCHES["channels"].shape)
        plane, next_band = (
            Signal(OFFSET_BITS, reset_less=True, name="plane"),
            Signal(OFFSET_BITS, reset_less=True, name="next_band"),
        )
        row = self.o.payload.offset
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
            m.d.sync += [
                image.eq(self.i.payload),
                bands_left.eq(self.i.payload.grid_rows),
                self.o.valid.eq(self.i.payload.grid_rows != 0),
            ]
            m.d.sync += [
                row.eq(self.i.payload.offset),
                plane.eq(self.i.payload.offset),
                y.eq(0),
                channel.eq(0),
            ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [row.eq(below), y.eq(y + 1)]
            with m.If(y + 1 == image.patch):
                m.d.sync += [row.eq(beside), plane.eq(beside), y.eq(0), channel.eq(channel + 1)]
                with m.If(channel == 0):
                    m.d.sync += next_band.eq(below)
                with m.If(channel + 1 == image.channels):
                    band = Mux(channel == 0, below, next_band)
                    m.d.sync += [row.eq(band), plane.eq(band), channel.eq(0), bands_left.eq(bands_left - 1)]
                    m.d.sync += self.o.valid.eq(bands_left != 1)
        return m
