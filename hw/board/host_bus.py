"""The loader's bus: one 32-bit word at a time, to the on-chip memory or to the accelerator's registers."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.axi.axi import ADDRESS_BITS, Axi4Lite
from vitreous.hw.control.registers import BUS_ADDRESS_BITS

REGISTERS_BIT = ADDRESS_BITS - 1
"""An address with this bit is a register of the accelerator, without it a byte of the on-chip memory."""
WORD_BYTES = 4


class HostBus(wiring.Signature):
    """Seen from the loader: ``valid`` and the request hold until the cycle with ``ready``, in which ``result`` is the
    word read. ``address`` is a multiple of 4."""

    def __init__(self) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "write": Out(1),
                "address": Out(ADDRESS_BITS),
                "data": Out(8 * WORD_BYTES),
                "ready": In(1),
                "result": In(8 * WORD_BYTES),
            }
        )


class HostSplit(wiring.Component):
    """Hands a request to ``memory`` or to ``registers``, by the highest bit of its address.

    Latency: 0. Throughput, back-pressure: those of the one that answers.

    Members
    -------
    host : In(HostBus()). memory, registers : Out(HostBus()).
    """

    def __init__(self) -> None:
        super().__init__({"host": In(HostBus()), "memory": Out(HostBus()), "registers": Out(HostBus())})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        chosen = self.host.address[REGISTERS_BIT]
        for side, mine in ((self.memory, ~chosen), (self.registers, chosen)):
            m.d.comb += [
                side.valid.eq(self.host.valid & mine),
                side.write.eq(self.host.write),
                side.address.eq(self.host.address[:REGISTERS_BIT]),
                side.data.eq(self.host.data),
            ]
            with m.If(mine):
                m.d.comb += [self.host.ready.eq(side.ready), self.host.result.eq(side.result)]
        return m


class RegisterBridge(wiring.Component):
    """Requests as AXI4-Lite transfers, one at a time; the response code is ignored (always OKAY here).

    Latency: 4 cycles with a register file that answers in two. Throughput: one request in that time.

    Members
    -------
    host : In(HostBus()). bus : Out(Axi4Lite(12)).
    """

    def __init__(self) -> None:
        super().__init__({"host": In(HostBus()), "bus": Out(Axi4Lite(BUS_ADDRESS_BITS))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, host = self.bus, self.host
        m.d.comb += [
            bus.awaddr.eq(host.address),
            bus.araddr.eq(host.address),
            bus.wdata.eq(host.data),
            bus.wstrb.eq(-1),
            host.result.eq(bus.rdata),
        ]
        with m.FSM():
            with m.State("Idle"):
                with m.If(host.valid):
                    m.d.sync += [
                        bus.awvalid.eq(host.write),
                        bus.wvalid.eq(host.write),
                        bus.arvalid.eq(~host.write),
                    ]
                    m.next = "Transfer"
            with m.State("Transfer"):
                for name in ("aw", "w", "ar"):
                    with m.If(getattr(bus, f"{name}ready")):
                        m.d.sync += getattr(bus, f"{name}valid").eq(0)
                m.d.comb += [bus.bready.eq(1), bus.rready.eq(1)]
                with m.If(bus.bvalid | bus.rvalid):
                    m.d.comb += host.ready.eq(1)
                    m.next = "Idle"
        return m
