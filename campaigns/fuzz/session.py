"""The cocotb side of ``sim/bench/fuzz.sv``: each case of ``plan.json`` through one machine, one after another.

A case is three programs: one that puts known contents into every memory of the machine, the fuzzed one, and one that
stores X, W and R. It reads ``image-N.bin``, writes ``memories-N.bin`` and ``result-N.json``, and imports neither torch
nor golden.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import First, RisingEdge, Timer, ValueChange

from vitreous.sim.run.parent import die_with_parent
from vitreous.spec import isa
from vitreous.spec.isa import Register

CYCLE_NS = 2
SETTLE_CYCLES = 60
"""After the interrupt: what is written in this time comes too late."""
HELPER_CYCLES = 200_000
"""The bound of the programs before and after."""
RESET_CYCLES = 20_000
"""The bound of a reset: every accepted burst is answered by then."""
SETTINGS = ("READ_BASE", "READ_SIZE", "WRITE_BASE", "WRITE_SIZE", "PROGRAM_OFFSET", "PROGRAM_LENGTH")


class DeadError(Exception):
    """The machine does not come back from a reset."""


class Host:
    """Register accesses, DRAM files, the guard's windows, and whole runs."""

    def __init__(self, dut: Any, folder: Path, beat_bytes: int) -> None:
        self.dut, self.folder, self.beat = dut, folder, beat_bytes
        self._traced = 0
        self.interrupts = 0

    async def count_interrupts(self) -> None:
        """Beside everything else."""
        while True:
            await RisingEdge(self.dut.interrupt)
            self.interrupts += 1

    async def _host(self, write: int, address: int, data: int = 0) -> int:
        dut = self.dut
        dut.host_write.value = write
        dut.host_address.value = address
        dut.host_data.value = data
        dut.host_request.value = 1 - int(dut.host_acknowledge.value)
        await ValueChange(dut.host_acknowledge)
        return int(dut.host_result.value)

    async def write(self, address: int, data: int) -> None:
        await self._host(1, address, data)

    async def status(self) -> int:
        return await self._host(0, Register.STATUS)

    async def _file(self, command: int, offset: int, size: int) -> None:
        dut = self.dut
        dut.file_command.value = command
        dut.file_offset.value = offset
        dut.file_bytes.value = size
        dut.file_request.value = 1 - int(dut.file_acknowledge.value)
        await ValueChange(dut.file_acknowledge)

    async def load(self, address: int, data: bytes) -> None:
        """Bytes into DRAM; the bench's file has each beat reversed."""
        beat = self.beat
        data = data.ljust(-(-len(data) // beat) * beat, b"\0")
        turned = b"".join(data[at : at + beat][::-1] for at in range(0, len(data), beat))
        (self.folder / "load.bin").write_bytes(turned)
        await self._file(0, address & 0xFFFFFFFF, len(data))

    async def dump(self, address: int, size: int) -> bytes:
        await self._file(1, address & 0xFFFFFFFF, -(-size // self.beat) * self.beat)
        return (self.folder / "dump.bin").read_bytes()[:size]

    async def configure(self, settings: dict[str, int]) -> None:
        for name in SETTINGS:
            await self.write(Register[name], settings[name])
        dut = self.dut
        dut.read_base.value = settings["READ_BASE"]
        dut.read_end.value = settings["READ_BASE"] + settings["READ_SIZE"]
        dut.write_base.value = settings["WRITE_BASE"]
        dut.write_end.value = settings["WRITE_BASE"] + settings["WRITE_SIZE"]

    async def wait(self, cycles: int) -> bool:
        """Whether the interrupt came within so many cycles."""
        dut = self.dut
        if not int(dut.interrupt.value) and cycles > 0:
            await First(RisingEdge(dut.interrupt), Timer(CYCLE_NS * cycles, "ns"))
        return bool(int(dut.interrupt.value))

    async def reset(self) -> None:
        """Raises DeadError where the machine stays busy."""
        await self.write(Register.CONTROL, isa.CONTROL_RESET)
        await self.until_idle()

    async def until_idle(self) -> None:
        limit = int(self.dut.cycle.value) + RESET_CYCLES
        while await self.status() & isa.STATUS_BUSY:
            if int(self.dut.cycle.value) > limit:
                raise DeadError
        await self.write(Register.CONTROL, isa.CONTROL_CLEAR_INTERRUPT)

    async def helper(self, settings: dict[str, int]) -> None:
        """A program of our own: it must end without an error."""
        await self.configure(settings)
        await self.write(Register.CONTROL, isa.CONTROL_START)
        if not await self.wait(HELPER_CYCLES):
            raise DeadError
        status = await self.status()
        if not status & isa.STATUS_DONE:
            raise AssertionError(f"a program of the campaign stopped with status {status:#x}")
        await self.reset()

    def trace(self) -> str:
        """What was written since the last call; a dump flushes the file."""
        with (self.folder / "trace.txt").open() as file:
            file.seek(self._traced)
            text = file.read()
        self._traced += len(text)
        return text


async def _fuzzed(host: Host, case: dict[str, Any]) -> dict[str, Any]:
    """The program of the case, with the host's actions at their cycles after the start."""
    dut = host.dut
    await host.configure(case["settings"])
    dut.tracing.value = 1
    before = int(dut.written.value)
    await host.write(Register.CONTROL, isa.CONTROL_START)
    start, limit = int(dut.cycle.value), case["limit"]
    in_run, collided = [], False
    for after, register, value in case["actions"]:
        ended = await host.wait(after - (int(dut.cycle.value) - start))
        in_run.append(not ended)
        if not ended:
            interrupts = host.interrupts
            await host.write(register, value)
            collided |= host.interrupts > interrupts
            if register == Register.CONTROL and value & isa.CONTROL_RESET:
                await host.until_idle()
                break
    ended = any(in_run) and case["resets"]
    late = 0
    if not ended:
        ended = await host.wait(limit - (int(dut.cycle.value) - start))
        at_interrupt = int(dut.written.value)
        await Timer(CYCLE_NS * SETTLE_CYCLES, "ns")
        late = int(dut.written.value) - at_interrupt if ended else 0
    cycles = int(dut.cycle.value) - start
    status = await host.status()
    await host.reset()
    dut.tracing.value = 0
    settings = case["settings"]
    window = await host.dump(settings["WRITE_BASE"], case["write_bytes"])
    return {
        "status": status,
        "cycles": cycles,
        "ended": bool(ended),
        "in_run": in_run,
        "collided": collided,
        "late": late,
        "written": int(dut.written.value) - before,
        "window": window.hex(),
        "trace": host.trace(),
    }


async def _case(host: Host, plan: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    folder, dut = host.folder, host.dut
    settings = case["settings"]
    await host.helper(plan["before"])
    await host.load(settings["READ_BASE"], (folder / f"image-{case['index']}.bin").read_bytes())
    await host.load(settings["WRITE_BASE"], bytes.fromhex(case["window"]))
    before = [int(counter.value) for counter in (dut.outside_reads, dut.outside_writes, dut.protocol)]
    result = await _fuzzed(host, case)
    after = [int(counter.value) for counter in (dut.outside_reads, dut.outside_writes, dut.protocol)]
    names = ("outside_reads", "outside_writes", "protocol")
    result |= {name: b - a for name, a, b in zip(names, before, after, strict=True)}
    if result["outside_writes"]:
        for part in ("before", "after"):
            await host.load(plan[part]["READ_BASE"], (folder / f"{part}.bin").read_bytes())
    await host.helper(plan["after"])
    memories = await host.dump(plan["after"]["WRITE_BASE"], plan["after"]["WRITE_SIZE"])
    (folder / f"memories-{case['index']}.bin").write_bytes(memories)
    return result


@cocotb.test()
async def run_cases(dut: Any) -> None:
    """Every case, until one leaves the machine dead."""
    die_with_parent()
    folder = Path(str(cocotb.plusargs["folder"]))
    plan = json.loads((folder / "plan.json").read_text())
    host = Host(dut, folder, plan["beat_bytes"])
    for name in (
        "host_request",
        "host_write",
        "host_address",
        "host_data",
        "file_request",
        "file_command",
        "tracing",
    ):
        getattr(dut, name).value = 0
    cocotb.start_soon(host.count_interrupts())
    await Timer(20 * CYCLE_NS, "ns")
    await host.load(plan["before"]["READ_BASE"], (folder / "before.bin").read_bytes())
    await host.load(plan["after"]["READ_BASE"], (folder / "after.bin").read_bytes())
    await host.write(Register.INTERRUPT_ENABLE, 1)
    for case in plan["cases"]:
        try:
            result = await _case(host, plan, case)
        except DeadError:
            result = {"dead": True}
        text = json.dumps(result)
        (folder / f"result-{case['index']}.json").write_text(text)
        if "dead" in result:
            break
