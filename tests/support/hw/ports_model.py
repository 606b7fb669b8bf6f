"""On-chip memories as a testbench plays them: ports that grant at random, record every write and answer every read."""

from __future__ import annotations

import random
from typing import Any

from amaranth.hdl import Module
from amaranth.sim import Simulator


class WriteMemory:
    """Behind a ``WritePort``: ``data`` is what has been written, ``depth`` words of ``width`` bits."""

    def __init__(
        self, m: Module, port: Any, width: int, depth: int, *, seed: int = 0, stall: float = 0.0
    ) -> None:
        m.d.comb += port.fault.eq(port.valid & (port.addr >= depth))
        self.data = [0] * depth
        self.writes = 0
        self._port, self._width = port, width
        self._random, self._stall = random.Random(seed), stall

    def attach(self, simulator: Simulator) -> None:
        simulator.add_testbench(self._serve, background=True)

    async def _serve(self, ctx: Any) -> None:
        port = self._port
        masked = hasattr(port, "mask")
        while True:
            ctx.set(port.ready, self._random.random() >= self._stall)
            extra = [port.mask] if masked else []
            _, _, taken, address, value, *mask = await ctx.tick().sample(
                port.valid & port.ready & ~port.fault, port.addr, port.data, *extra
            )
            if taken:
                self.writes += 1
                bits = sum(0xFF << 8 * b for b in range(self._width // 8) if not masked or mask[0] >> b & 1)
                self.data[address] = self.data[address] & ~bits | value & bits


class ReadMemory:
    """Behind a ``ReadPort``: answers in the next cycle, with garbage whenever nothing was asked."""

    def __init__(
        self, m: Module, port: Any, width: int, depth: int, *, seed: int = 0, stall: float = 0.0
    ) -> None:
        m.d.comb += port.fault.eq(port.valid & (port.addr >= depth))
        self._random, self._stall = random.Random(seed), stall
        self.data = [self._random.getrandbits(width) for _ in range(depth)]
        self._port, self._width = port, width

    def attach(self, simulator: Simulator) -> None:
        simulator.add_testbench(self._serve, background=True)

    async def _serve(self, ctx: Any) -> None:
        port = self._port
        while True:
            ctx.set(port.ready, self._random.random() >= self._stall)
            _, _, taken, address = await ctx.tick().sample(port.valid & port.ready & ~port.fault, port.addr)
            ctx.set(port.data, self.data[address] if taken else self._random.getrandbits(self._width))
