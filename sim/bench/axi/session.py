"""The bench that cocotb runs: one coroutine, one step of memory and host a cycle, on the accelerator's own ports.

It reads ``axi.json`` and ``axi-memory.npy`` in the run's folder and writes ``axi-result.json`` and ``axi-window.npy``.
Inputs are driven at the falling edge, outputs looked at there too: both stand still around the rising edge.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from vitreous.sim.bench.axi.host import Host
from vitreous.sim.bench.axi.memory import CHANNELS, Levels, Memory, Rules
from vitreous.sim.run.parent import die_with_parent
from vitreous.spec import isa
from vitreous.spec.isa import Register

SETTLE = 60
"""Cycles after the interrupt in which nothing may happen any more."""
_HOST = {"awready": (), "wready": (), "arready": (), "bvalid": ("bresp",), "rvalid": ("rdata", "rresp")}
"""Outputs of the host port, and what counts beside one that is high."""


def level(handle: Any) -> int | None:
    """An integer, or None where bits are unknown."""
    try:
        return int(handle.value)
    except ValueError:
        return None


def stored(data: Any, strobes: int) -> int | None:
    """Write data of which the bytes without a strobe are taken for zero; None where another is unknown."""
    bits = str(data.value)
    size = len(bits) // 8
    chosen = [bits[8 * k : 8 * k + 8] if strobes >> size - 1 - k & 1 else "0" * 8 for k in range(size)]
    text = "".join(chosen)
    return int(text, 2) if set(text) <= {"0", "1"} else None


class Bench:
    """Memory and host around the accelerator ``dut``."""

    def __init__(self, dut: Any, plan: dict[str, Any], memory: Memory, host: Host) -> None:
        self._dut, self._plan, self.memory, self.host = dut, plan, memory, host
        self._inputs: dict[str, int] = {}
        self.cycles = 0

    def handle(self, name: str) -> Any:
        return getattr(self._dut, name)

    def drive(self, prefix: str, levels: dict[str, int]) -> None:
        for name, value in levels.items():
            if self._inputs.get(prefix + name) != value:
                self._inputs[prefix + name] = value
                self.handle(prefix + name).value = value

    def _bus(self) -> Levels:
        seen: dict[str, int | None] = {
            name: level(self.handle(f"m_axi_{name}")) for name in ("rready", "bready")
        }
        for channel, payload in CHANNELS.items():
            valid = seen[f"{channel}valid"] = level(self.handle(f"m_axi_{channel}valid"))
            if valid:
                seen |= {name: level(self.handle(f"m_axi_{name}")) for name in payload}
        if seen["wvalid"] and seen["wdata"] is None:
            seen["wdata"] = stored(self.handle("m_axi_wdata"), seen["wstrb"] or 0)
        return seen

    def _host(self) -> Levels:
        seen: dict[str, int | None] = {}
        for name, payload in _HOST.items():
            seen[name] = level(self.handle(f"s_axil_{name}"))
            if seen[name]:
                seen |= {value: level(self.handle(f"s_axil_{value}")) for value in payload}
        return seen

    async def cycle(self) -> bool:
        """One cycle; whether the interrupt is high in it."""
        await FallingEdge(self._dut.clk)
        self.cycles += 1
        self.drive("m_axi_", self.memory.step(self._bus()))
        self.drive("s_axil_", self.host.step(self._host()))
        irq = level(self._dut.irq)
        if irq is None or (irq and not self.memory.quiet):
            self.memory.tally.broken("irq is unknown, or the bus is not quiet while it is high")
        return bool(irq)

    async def write(self, address: int, data: int) -> None:
        self.host.write(address, data)
        while not self.host.done:
            await self.cycle()

    async def read(self, address: int) -> int:
        self.host.read(address)
        while not self.host.done:
            await self.cycle()
        return -1 if self.host.answer is None else self.host.answer

    async def prepare(self) -> None:
        """Reset, identify, set the registers."""
        plan, dut = self._plan, self._dut
        for name in plan["inputs"]:
            self.handle(name).value = 0
        dut.rst.value = 1
        Clock(dut.clk, 2, "ns").start()
        for _ in range(plan["reset_cycles"]):
            await FallingEdge(dut.clk)
        dut.rst.value = 0
        assert await self.read(Register.MAGIC) == isa.MAGIC_VALUE
        assert await self.read(Register.CONFIG) == plan["config"]
        for name, value in plan["registers"].items():
            await self.write(Register[name], value)
            assert await self.read(Register[name]) == value, name

    async def run(self, reset_after: int | None) -> int:
        """Start, to the interrupt, or to a reset so many cycles later; STATUS, after a reset until it is zero."""
        await self.write(Register.CONTROL, isa.CONTROL_START)
        if reset_after is not None:
            for _ in range(reset_after):
                await self.cycle()
            await self.write(Register.CONTROL, isa.CONTROL_RESET)
            for _ in range(self._plan["timeout_cycles"]):
                status = await self.read(Register.STATUS)
                if not status:
                    break
            else:
                raise AssertionError("a reset does not end")
            if not self.memory.quiet:
                self.memory.tally.broken("STATUS is zero after a reset and the bus is not quiet")
            return status
        for _ in range(self._plan["timeout_cycles"]):
            if await self.cycle():
                break
        else:
            raise AssertionError("no interrupt: the machine hangs")
        before = self.memory.tally.read_beats, self.memory.tally.write_beats
        for _ in range(SETTLE):
            await self.cycle()
        if before != (self.memory.tally.read_beats, self.memory.tally.write_beats):
            self.memory.tally.broken("a transfer after the interrupt")
        status = await self.read(Register.STATUS)
        again = isa.CONTROL_RESET if status & isa.STATUS_ERROR else 0
        await self.write(Register.CONTROL, isa.CONTROL_CLEAR_INTERRUPT | again)
        return status


@cocotb.test()
async def run_axi(dut: Any) -> None:
    """Every run of the plan, one after the other; the write window is cleared before each."""
    die_with_parent()
    folder = Path(str(cocotb.plusargs["folder"]))
    plan = json.loads((folder / "axi.json").read_text())
    registers = plan["registers"]
    first, size = registers["WRITE_BASE"], registers["WRITE_SIZE"]
    data = bytearray(random.Random(plan["seed"]).randbytes(plan["memory_size"]))
    image = np.load(folder / "axi-memory.npy", allow_pickle=False)
    data[registers["READ_BASE"] : registers["READ_BASE"] + image.size] = image.tobytes()
    rng = random.Random(plan["seed"])
    rules = Rules(
        **plan["rules"],
        read_window=(registers["READ_BASE"], registers["READ_BASE"] + registers["READ_SIZE"]),
        write_window=(first, first + size),
    )
    memory = Memory(data, rules, rng=rng, **plan["traffic"])
    host = Host(memory.tally, rng=rng, stall=plan["traffic"]["stall"])
    bench = Bench(dut, plan, memory, host)
    await bench.prepare()
    statuses = []
    for reset_after in [*plan["resets"], None]:
        data[first : first + size] = bytes(size)
        statuses.append(await bench.run(reset_after))
    np.save(folder / "axi-window.npy", np.frombuffer(bytes(data[first : first + size]), np.uint8))
    result = {"statuses": statuses, "cycles": bench.cycles, **vars(memory.tally)}
    (folder / "axi-result.json").write_text(json.dumps(result))
