"""AXI4 and AXI4-Lite as signatures, the beats and bursts that the units speak, and the read channel that two
units share."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.checks import positive, power_of_two
from vitreous.hw.protect.guard import Guard, upset_member

ADDRESS_BITS = 32
ID_BITS = 1
FETCH_ID = 0
LOAD_ID = 1
BURST_INCR = 1
CACHE_NORMAL = 0b0011
"""AxCACHE: bufferable and modifiable, so that an interconnect may pack beats into wider ones."""
PROT_DATA = 0
"""AxPROT: unprivileged, secure, data."""
BURST_MAXIMUM = 256
"""Beats."""


def bus_width(data_bits: int) -> int:
    """``data_bits``; raises ValueError when AXI4 has no bus as wide."""
    return power_of_two("Data bits", data_bits, least=8, most=1024)


class Axi4(wiring.Signature):
    """AXI4 seen from the manager, named as in the specification: all but LOCK, QOS, REGION and USER, which may be left
    out at their default values."""

    def __init__(self, data_bits: int) -> None:
        bus_width(data_bits)
        address = {"id": ID_BITS, "addr": ADDRESS_BITS, "len": 8, "size": 3, "burst": 2}
        address |= {"cache": 4, "prot": 3, "valid": 1}
        super().__init__(
            {f"aw{name}": Out(width) for name, width in address.items()}
            | {"awready": In(1)}
            | {
                "wdata": Out(data_bits),
                "wstrb": Out(data_bits // 8),
                "wlast": Out(1),
                "wvalid": Out(1),
                "wready": In(1),
            }
            | {"bid": In(ID_BITS), "bresp": In(2), "bvalid": In(1), "bready": Out(1)}
            | {f"ar{name}": Out(width) for name, width in address.items()}
            | {"arready": In(1)}
            | {
                "rid": In(ID_BITS),
                "rdata": In(data_bits),
                "rresp": In(2),
                "rlast": In(1),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class Axi4Lite(wiring.Signature):
    """AXI4-Lite with 32-bit data seen from the manager."""

    def __init__(self, address_bits: int) -> None:
        positive("Address bits", address_bits)
        super().__init__(
            {
                "awaddr": Out(address_bits),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(address_bits),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(32),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class Burst(data.StructLayout):
    """``length`` + 1 beats from byte ``address``; with ``parity`` a bit that makes the number of ones even."""

    def __init__(self, parity: bool = False) -> None:
        super().__init__({"address": ADDRESS_BITS, "length": 8} | ({"parity": 1} if parity else {}))


class ReadBeat(data.StructLayout):
    """One beat of read data; ``error``: the response was SLVERR or DECERR; ``last``: of its burst."""

    def __init__(self, data_bits: int) -> None:
        super().__init__({"data": data_bits, "error": 1, "last": 1})


class ReadClient(wiring.Signature):
    """What a unit that reads DRAM has: ``burst``, a stream of requests, and ``beat``, the stream of their data
    in order. ``beat.ready`` comes from registers of the unit alone."""

    def __init__(self, data_bits: int, *, parity: bool = False) -> None:
        super().__init__(
            {"burst": Out(stream.Signature(Burst(parity))), "beat": In(stream.Signature(ReadBeat(data_bits)))}
        )


class ReadChannel(wiring.Component):
    """Fetch and load on one AXI4 read channel, told apart by their id; fetch goes first.

    Latency: request 1 cycle (a register, so that ARVALID and its payload hold), data 0. Throughput: one
    request and one beat a cycle. Back-pressure: RREADY is high while both clients have room, whoever's the beat
    is, so that no path leads from the port back to it; fetch asks only for what it has room for.

    Parameters
    ----------
    data_bits : width of the bus.
    parity : whether bursts have a parity bit; a request that does not agree with its own never shows on the bus, and
        there is a member ``upset``.

    Members
    -------
    fetch, load : In(ReadClient(data_bits, parity)).
    bus : Out(Axi4(data_bits)); only the read channels are driven.
    busy : Out(1), a request is waiting to be accepted.
    """

    def __init__(self, *, data_bits: int, parity: bool = False) -> None:
        self._data_bits = bus_width(data_bits)
        self._parity = parity
        super().__init__(
            {
                "fetch": In(ReadClient(data_bits, parity=parity)),
                "load": In(ReadClient(data_bits, parity=parity)),
                "bus": Out(Axi4(data_bits)),
                "busy": Out(1),
            }
            | upset_member(parity)
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        guard = Guard(m, on=self._parity)
        valid, next_valid = guard.register(Signal(name="valid"))
        free = ~valid | bus.arready
        if not guard.on:
            m.d.comb += bus.arvalid.eq(valid)
        m.d.comb += [
            bus.arsize.eq((self._data_bits // 8).bit_length() - 1),
            bus.arburst.eq(BURST_INCR),
            bus.arcache.eq(CACHE_NORMAL),
            bus.arprot.eq(PROT_DATA),
            self.busy.eq(valid),
            self.fetch.burst.ready.eq(free),
            self.load.burst.ready.eq(free & ~self.fetch.burst.valid),
        ]
        parity = Signal(name="parity")  # of the request, its id included
        with m.If(free):
            m.d[guard.domain] += next_valid.eq(self.fetch.burst.valid | self.load.burst.valid)
            for client, number in ((self.load, LOAD_ID), (self.fetch, FETCH_ID)):
                with m.If(client.burst.valid):
                    m.d.sync += [
                        bus.araddr.eq(client.burst.payload.address),
                        bus.arlen.eq(client.burst.payload.length),
                        bus.arid.eq(number),
                    ]
                    if guard.on:
                        m.d.sync += parity.eq(client.burst.payload.parity ^ number)
        if guard.on:
            request = Cat(bus.araddr, bus.arlen, bus.arid, parity)
            guard.watch(valid & request.xor())
            m.d.comb += bus.arvalid.eq(guard.unless_upset(valid))
        guard.report(self)
        m.d.comb += bus.rready.eq(self.load.beat.ready & self.fetch.beat.ready)
        for client, other, number in (
            (self.load, self.fetch, LOAD_ID),
            (self.fetch, self.load, FETCH_ID),
        ):
            m.d.comb += [
                client.beat.valid.eq(bus.rvalid & (bus.rid == number) & other.beat.ready),
                client.beat.payload.data.eq(bus.rdata),
                client.beat.payload.error.eq(bus.rresp[1]),
                client.beat.payload.last.eq(bus.rlast),
            ]
        return m
