"""The checking path, run by cocotb: cocotbext-axi as host and memory on the accelerator's own ports, pauses on
every channel.

It reads ``checked.json`` in the run's folder and writes ``checked-result.json`` and ``checked-window.npy``. A
monitor checks in every
cycle that a raised ``valid`` and its payload hold until the transfer.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, ReadOnly, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiSlave

from vitreous.sim.run.parent import die_with_parent
from vitreous.spec import isa
from vitreous.spec.isa import Register

CHANNELS = {
    "m_axi_aw": ("addr", "len", "id", "size", "burst", "cache", "prot"),
    "m_axi_w": ("data", "strb", "last"),
    "m_axi_ar": ("addr", "len", "id", "size", "burst", "cache", "prot"),
    "s_axil_b": ("resp",),
    "s_axil_r": ("data", "resp"),
}
"""Channels on which the accelerator is the source, with the payload that must hold."""


class Memory:
    """A byte array behind AXI that answers errors at chosen addresses and keeps a log of its writes."""

    def __init__(self, size: int, read_error: int | None, write_error: int | None) -> None:
        self.bytes = bytearray(size)
        self.read_error = read_error
        self.write_error = write_error
        self.writes: list[tuple[int, int]] = []

    async def read(self, address: int, length: int) -> bytes:
        """Raises (an AXI SLVERR for the reader) when the error address is in the range or the range is outside."""
        if self.read_error is not None and address <= self.read_error < address + length:
            raise ValueError("read error requested")
        if address + length > len(self.bytes):
            raise ValueError("read outside of the memory")
        return bytes(self.bytes[address : address + length])

    async def write(self, address: int, data: bytes) -> None:
        self.writes.append((address, len(data)))
        if self.write_error is not None and address <= self.write_error < address + len(data):
            raise ValueError("write error requested")
        if address + len(data) > len(self.bytes):
            raise ValueError("write outside of the memory")
        self.bytes[address : address + len(data)] = data


def pauses(kind: str, seed: int) -> Iterator[bool] | None:
    """``none``; ``regular``: every second cycle; ``random``: half of them; ``bursts``: up to 40 cycles on and
    off.
    """
    if kind == "none":
        return None
    source = random.Random(seed)

    def generate() -> Iterator[bool]:
        pause = False
        while True:
            pause = not pause
            length = {"regular": 1, "random": source.randint(1, 3), "bursts": source.randint(1, 40)}[kind]
            for _ in range(length):
                yield pause

    return generate()


async def monitor(dut: Any, prefix: str, payload: tuple[str, ...], violations: list[str]) -> None:
    """Record a violation when ``valid`` falls or the payload changes before the transfer."""
    valid, ready = getattr(dut, f"{prefix}valid"), getattr(dut, f"{prefix}ready")
    signals = [getattr(dut, prefix + name) for name in payload]
    held: list[str] | None = None
    while True:
        await RisingEdge(dut.clk)
        await ReadOnly()
        values = [str(signal.value) for signal in signals]
        now = str(valid.value) == "1"
        if held is not None and (not now or values != held):
            violations.append(f"{prefix}: valid or payload changed before the transfer")
        held = values if now and str(ready.value) != "1" else None


def _connect(dut: Any, plan: dict[str, Any], memory: Memory) -> AxiLiteMaster:
    host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    slave = AxiSlave(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, target=memory)
    channels = (
        slave.write_if.aw_channel,
        slave.write_if.w_channel,
        slave.write_if.b_channel,
        slave.read_if.ar_channel,
        slave.read_if.r_channel,
        host.write_if.aw_channel,
        host.write_if.w_channel,
        host.write_if.b_channel,
        host.read_if.ar_channel,
        host.read_if.r_channel,
    )
    for index, channel in enumerate(channels):
        generator = pauses(plan["stalls"], plan["seed"] + index)
        if generator is not None:
            channel.set_pause_generator(generator)
    return host


async def _registers(host: AxiLiteMaster, plan: dict[str, Any]) -> None:
    assert await host.read_dword(Register.MAGIC) == isa.MAGIC_VALUE
    assert await host.read_dword(Register.CONFIG) == plan["config"]
    for name in ("READ_BASE", "READ_SIZE", "WRITE_BASE", "WRITE_SIZE", "PROGRAM_OFFSET", "PROGRAM_LENGTH"):
        await host.write_dword(Register[name], plan[name])
        assert await host.read_dword(Register[name]) == plan[name], name
    await host.write_dword(Register.INTERRUPT_ENABLE, 1)


@cocotb.test()
async def run_checked(dut: Any) -> None:
    """One program under stalls; the result says status, writes after the stop, protocol violations."""
    die_with_parent()
    folder = Path(str(cocotb.plusargs["folder"]))
    plan = json.loads((folder / "checked.json").read_text())
    Clock(dut.clk, 2, "ns").start()
    memory = Memory(plan["memory_size"], plan["read_error"], plan["write_error"])
    image = np.load(folder / "checked-memory.npy", allow_pickle=False)
    memory.bytes[plan["READ_BASE"] : plan["READ_BASE"] + image.size] = image.tobytes()
    dut.rst.value = 1
    host = _connect(dut, plan, memory)
    await ClockCycles(dut.clk, 8)
    dut.rst.value = 0
    violations: list[str] = []
    for prefix, payload in CHANNELS.items():
        cocotb.start_soon(monitor(dut, prefix, payload, violations))
    await _registers(host, plan)
    statuses, late = [], 0
    for _ in range(plan["runs"]):
        await host.write_dword(Register.CONTROL, isa.CONTROL_START)
        if str(dut.irq.value) != "1":
            await with_timeout(First(RisingEdge(dut.irq)), plan["timeout_cycles"] * 2, "ns")
        before = len(memory.writes)
        status = await host.read_dword(Register.STATUS)
        statuses.append(status)
        await ClockCycles(dut.clk, plan["settle_cycles"])
        late += len(memory.writes) - before
        await host.write_dword(
            Register.CONTROL, isa.CONTROL_CLEAR_INTERRUPT | (isa.CONTROL_RESET if status & 4 else 0)
        )
        await ClockCycles(dut.clk, 4)
        if plan["heal"]:
            memory.read_error = memory.write_error = None
    cycles = await host.read_dword(Register.COUNTERS)
    window = np.frombuffer(bytes(memory.bytes), np.uint8)[plan["WRITE_BASE"] :][: plan["WRITE_SIZE"]]
    np.save(folder / "checked-window.npy", window)
    outside = [
        a
        for a, n in memory.writes
        if a < plan["WRITE_BASE"] or a + n > plan["WRITE_BASE"] + plan["WRITE_SIZE"]
    ]
    result = {
        "statuses": statuses,
        "late_writes": late,
        "outside_writes": len(outside),
        "writes": len(memory.writes),
        "violations": violations,
        "cycles": cycles,
    }
    (folder / "checked-result.json").write_text(json.dumps(result))
