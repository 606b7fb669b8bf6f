"""A memory behind AXI4 for the Amaranth simulator, with stalls on every channel, error responses and protocol
checks."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from amaranth.sim import Simulator

from vitreous.hw.axi.axi import BURST_INCR, Axi4
from vitreous.spec.limits import AXI_PAGE_BYTES

_CHANNELS = {
    "aw": ("awid", "awaddr", "awlen", "awsize", "awburst", "awcache", "awprot"),
    "w": ("wdata", "wstrb", "wlast"),
    "ar": ("arid", "araddr", "arlen", "arsize", "arburst", "arcache", "arprot"),
}


async def taken(ctx: Any, ready: Any) -> None:
    """Until the cycle in which ``ready`` is high has passed."""
    while not (await ctx.tick().sample(ready))[2]:
        pass


class AxiMemory:
    """Answers on ``bus`` (an object with the signals of ``Axi4`` under ``prefix``) out of ``self.data``.

    stall : probability that a channel pauses in a cycle. Read data of different ids is interleaved at random.
    fail_read, fail_write : byte addresses; a beat that touches one gets SLVERR, a burst that writes one too
        (and is not written).
    Checks, by assertion: INCR bursts of full beats, no burst across 4 KiB or longer than ``burst_beats``, valid
    and payload hold, WLAST on the last beat and only there, at most ``outstanding`` unanswered reads with id 1.
    """

    def __init__(
        self,
        bus: Any,
        data_bits: int,
        size: int,
        *,
        prefix: str = "",
        seed: int = 0,
        stall: float = 0.0,
        burst_beats: int = 16,
        outstanding: int = 8,
        latency: int = 3,
        readable: tuple[int, int] | None = None,
        writable: tuple[int, int] | None = None,
    ) -> None:
        self.data = bytearray(size)
        self.fail_read: set[int] = set()
        self.fail_write: set[int] = set()
        self.bytes_written = 0
        self.read_bursts: list[tuple[int, int]] = []
        self._s = {name: getattr(bus, prefix + name) for name in Axi4(data_bits).members}
        self._beat = data_bits // 8
        self._random = random.Random(seed)
        self._stall, self._burst_beats, self._outstanding, self._latency = (
            stall,
            burst_beats,
            outstanding,
            latency,
        )
        self._readable, self._writable = readable or (0, size), writable or (0, size)
        self._reads: dict[int, deque[tuple[int, int, int]]] = {0: deque(), 1: deque()}
        self._writes: deque[tuple[int, int]] = deque()
        self._beats: deque[tuple[int, int, int]] = deque()
        self._responses: deque[tuple[int, int]] = deque()
        self._now = 0

    @property
    def quiet(self) -> bool:
        """Nothing is outstanding."""
        return not (any(self._reads.values()) or self._writes or self._beats or self._responses)

    def attach(self, simulator: Simulator) -> None:
        for process in (
            self._time,
            self._read_address,
            self._read_data,
            self._write_side,
            self._write_response,
        ):
            simulator.add_testbench(process, background=True)
        for channel in _CHANNELS:
            simulator.add_testbench(self._hold(channel), background=True)

    def _paused(self) -> bool:
        return self._random.random() < self._stall

    async def _time(self, ctx: Any) -> None:
        while True:
            await ctx.tick()
            self._now += 1

    def _hold(self, channel: str) -> Any:
        """A monitor: what is valid and not taken is there in the next cycle, unchanged."""
        names = _CHANNELS[channel]

        async def monitor(ctx: Any) -> None:
            before = None
            while True:
                _, _, valid, ready, *payload = await ctx.tick().sample(
                    self._s[f"{channel}valid"], self._s[f"{channel}ready"], *(self._s[name] for name in names)
                )
                if before is not None:
                    assert valid, f"{channel}valid fell before it was taken"
                    assert payload == before, f"{channel}: the payload changed before it was taken"
                before = payload if valid and not ready else None

        return monitor

    def _check_burst(self, address: int, length: int, size: int, burst: int, window: tuple[int, int]) -> None:
        total = (length + 1) * self._beat
        assert burst == BURST_INCR
        assert 1 << size == self._beat
        assert address % self._beat == 0
        assert length < self._burst_beats
        assert address // AXI_PAGE_BYTES == (address + total - 1) // AXI_PAGE_BYTES, "a burst crosses 4 KiB"
        assert window[0] <= address, "a burst begins before the window"
        assert address + total - self._beat < window[1], "a burst has a whole beat beyond the window"

    async def _read_address(self, ctx: Any) -> None:
        s = self._s
        while True:
            ctx.set(s["arready"], not self._paused())
            _, _, taken, number, address, length, size, burst = await ctx.tick().sample(
                s["arvalid"] & s["arready"], s["arid"], s["araddr"], s["arlen"], s["arsize"], s["arburst"]
            )
            if taken:
                self._check_burst(address, length, size, burst, self._readable)
                self.read_bursts.append((number, length + 1))
                for index in range(length + 1):
                    entry = (address + index * self._beat, int(index == length), self._now + self._latency)
                    self._reads[number].append(entry)
                assert sum(last for _, last, _ in self._reads[1]) <= self._outstanding

    async def _read_data(self, ctx: Any) -> None:
        s = self._s
        while True:
            ready = [n for n, queue in self._reads.items() if queue and queue[0][2] <= self._now]
            if not ready or self._paused():
                ctx.set(s["rvalid"], 0)
                await ctx.tick()
                continue
            number = self._random.choice(ready)
            address, last, _ = self._reads[number].popleft()
            value = int.from_bytes(self.data[address : address + self._beat], "little")
            failed = any(address <= f < address + self._beat for f in self.fail_read)
            for name, level in (
                ("rdata", value),
                ("rid", number),
                ("rlast", last),
                ("rresp", 2 * failed),
                ("rvalid", 1),
            ):
                ctx.set(s[name], level)
            await taken(ctx, s["rready"])

    async def _write_side(self, ctx: Any) -> None:
        """Address and data channel; a burst is performed when both have come."""
        s = self._s
        while True:
            ctx.set(s["awready"], not self._paused())
            ctx.set(s["wready"], not self._paused())
            (
                _,
                _,
                addressed,
                address,
                length,
                size,
                burst,
                beat,
                value,
                strobe,
                last,
            ) = await ctx.tick().sample(
                s["awvalid"] & s["awready"],
                *(s[name] for name in ("awaddr", "awlen", "awsize", "awburst")),
                s["wvalid"] & s["wready"],
                *(s[name] for name in _CHANNELS["w"]),
            )
            if addressed:
                self._check_burst(address, length, size, burst, self._writable)
                self._writes.append((address, length + 1))
            if beat:
                self._beats.append((value, strobe, last))
            if self._writes and len(self._beats) >= self._writes[0][1]:
                self._perform(*self._writes.popleft())

    def _perform(self, address: int, count: int) -> None:
        failed = any(address <= f < address + count * self._beat for f in self.fail_write)
        for index in range(count):
            value, strobe, last = self._beats.popleft()
            assert last == (index == count - 1), "WLAST is not on the last beat"
            for byte in range(self._beat):
                where = address + index * self._beat + byte
                if strobe >> byte & 1:
                    assert self._writable[0] <= where < self._writable[1], "a strobe beyond the window"
                    if not failed:
                        self.data[where] = value >> 8 * byte & 0xFF
                        self.bytes_written += 1
        self._responses.append((2 * failed, self._now + self._latency))

    async def _write_response(self, ctx: Any) -> None:
        s = self._s
        while True:
            if not self._responses or self._responses[0][1] > self._now or self._paused():
                ctx.set(s["bvalid"], 0)
                await ctx.tick()
                continue
            response, _ = self._responses.popleft()
            ctx.set(s["bresp"], response)
            ctx.set(s["bvalid"], 1)
            await taken(ctx, s["bready"])
