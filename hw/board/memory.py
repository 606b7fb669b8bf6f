"""The on-chip memory that takes the place of DRAM: block RAM behind AXI4, and behind the loader's bus."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.axi.axi import ADDRESS_BITS, ID_BITS, Axi4, bus_width
from vitreous.hw.board.host_bus import WORD_BYTES, HostBus

OKAY, SLVERR = 0, 2
_READ_LATENCY = 3
"""From an address to its beat: address register, block RAM, a register after the multiplexer of the block RAMs."""
_QUEUE = 8
"""Beats that may be read and not taken."""


class _Tag(data.StructLayout):
    """What goes with a beat through the memory: of whom, in which burst, and whether it lies beyond the end."""

    def __init__(self) -> None:
        super().__init__({"id": ID_BITS, "last": 1, "error": 1})


class AxiRam(wiring.Component):
    """``beats`` words of the bus from byte 0, zero after configuration; INCR bursts of full beats.

    Latency: 5 cycles from a read's address to its first beat, 2 from a write's last beat to its response; the host's
    read 4, write 1. Throughput: one beat a cycle inside a burst, one burst at a time in each direction.
    Back-pressure: AXI4 handshakes; the host goes first and takes a cycle from a burst. A beat beyond the end reads
    zero or is not written, with SLVERR.

    Parameters
    ----------
    data_bits : width of the bus.
    beats : size, in words of the bus.

    Members
    -------
    bus : In(Axi4(data_bits)). host : In(HostBus()); it stays within the memory, beyond the end it reads zero.

    Raises ValueError when ``beats`` is below 2, or AXI4 has no bus as wide.
    """

    def __init__(self, *, data_bits: int, beats: int) -> None:
        if beats < 2:
            raise ValueError(f"The memory must have at least 2 beats, not {beats!r}")
        self._data_bits, self._beats = bus_width(data_bits), beats
        self._shift = (data_bits // 8).bit_length() - 1
        self._index_bits = ADDRESS_BITS - self._shift
        super().__init__({"bus": In(Axi4(data_bits)), "host": In(HostBus())})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.cells = cells = memory.Memory(shape=self._data_bits, depth=self._beats, init=[])
        self._reader, self._writer = cells.read_port(), cells.write_port(granularity=8)
        self._lane = self.host.address[WORD_BYTES.bit_length() - 1 : self._shift]
        self._build_write(m)
        self._build_read(m)
        return m

    def _inside(self, index: Value) -> Value:
        return index < self._beats

    def _build_write(self, m: Module) -> None:
        bus, host, writer = self.bus, self.host, self._writer
        index, failed = Signal(self._index_bits, name="write_index"), Signal(name="write_failed")
        beat, hosted = Signal(), host.valid & host.write
        m.d.comb += [bus.wready.eq(beat & ~hosted), bus.bresp.eq(Mux(failed, SLVERR, OKAY))]
        # Block RAM gets its address, data and strobes from registers.
        strobes, value = Signal.like(writer.en), Signal.like(writer.data)
        address = Signal(self._index_bits, name="write_address")
        m.d.comb += [address.eq(index), value.eq(bus.wdata)]
        m.d.comb += strobes.eq(Mux(bus.wvalid & bus.wready, bus.wstrb, 0))
        with m.If(hosted):
            m.d.comb += [
                address.eq(host.address[self._shift :]),
                value.eq(host.data.replicate(self._data_bits // 32)),
                strobes.eq(0b1111 << (self._lane << 2) if len(self._lane) else 0b1111),
            ]
        m.d.sync += [
            writer.addr.eq(address),
            writer.data.eq(value),
            writer.en.eq(Mux(self._inside(address), strobes, 0)),
        ]
        with m.FSM(name="write"):
            with m.State("Address"):
                m.d.comb += bus.awready.eq(1)
                m.d.sync += failed.eq(0)
                with m.If(bus.awvalid):
                    m.d.sync += [index.eq(bus.awaddr[self._shift :]), bus.bid.eq(bus.awid)]
                    m.next = "Data"
            with m.State("Data"):
                m.d.comb += beat.eq(1)
                with m.If(bus.wvalid & bus.wready):
                    m.d.sync += [index.eq(index + 1), failed.eq(failed | ~self._inside(index))]
                    with m.If(bus.wlast):
                        m.next = "Written"
            with m.State("Written"):  # the write itself: a read that follows the response finds it
                m.d.sync += bus.bvalid.eq(1)
                m.next = "Response"
            with m.State("Response"):
                with m.If(bus.bready):
                    m.d.sync += bus.bvalid.eq(0)
                    m.next = "Address"

    def _build_read(self, m: Module) -> None:
        bus, host, reader = self.bus, self.host, self._reader
        index, tag = Signal(self._index_bits, name="read_index"), Signal(_Tag())
        left, active = Signal(8), Signal()
        room = Signal(range(_QUEUE + 1), init=_QUEUE)
        asked = self._build_host_read(m)
        issue = active & (room != 0) & ~asked
        m.d.comb += [tag.last.eq(left == 0), tag.error.eq(~self._inside(index)), bus.arready.eq(~active)]
        m.d.sync += room.eq(room - issue + (bus.rvalid & bus.rready))
        with m.If(bus.arready & bus.arvalid):
            m.d.sync += [
                index.eq(bus.araddr[self._shift :]),
                left.eq(bus.arlen),
                active.eq(1),
                tag.id.eq(bus.arid),
            ]
        with m.If(issue):
            m.d.sync += [index.eq(index + 1), left.eq(left - 1), active.eq(left != 0)]
        # Cycle 1: address. Cycle 2: block RAM. Cycle 3: the register after it.
        beat = Signal(self._data_bits, reset_less=True)
        m.d.comb += reader.en.eq(1)
        m.d.sync += [
            reader.addr.eq(Mux(asked, host.address[self._shift :], index)),
            beat.eq(reader.data),
        ]
        come = delay_line(m, issue, _READ_LATENCY, name="read_valid")[-1]
        tags = delay_line(m, tag, _READ_LATENCY, name="read_tag", reset_less=True)[-1]
        m.submodules.queue = queue = SyncFIFOBuffered(width=self._data_bits + tag.shape().size, depth=_QUEUE)
        m.d.comb += [
            queue.w_en.eq(come),
            queue.w_data.eq(Cat(Mux(tags.error, 0, beat), tags)),
            bus.rvalid.eq(queue.r_rdy),
            queue.r_en.eq(bus.rready),
            bus.rdata.eq(queue.r_data),
        ]
        out = data.View(_Tag(), queue.r_data[self._data_bits :])
        m.d.comb += [bus.rid.eq(out.id), bus.rlast.eq(out.last), bus.rresp.eq(Mux(out.error, SLVERR, OKAY))]
        m.d.comb += host.result.eq(beat.word_select(self._lane, 32))

    def _build_host_read(self, m: Module) -> Signal:
        """High in the cycle in which the host's address goes first; answers when its word has come."""
        host = self.host
        waits, asked = Signal(name="host_waits"), Signal(name="host_asked")
        m.d.comb += asked.eq(host.valid & ~host.write & ~waits)
        come = delay_line(m, asked, _READ_LATENCY, name="host_read")[-1]
        m.d.sync += waits.eq(asked | (waits & ~come))
        m.d.comb += host.ready.eq(host.write | come)
        return asked
