"""The Python side of ``bench.sv``, run by cocotb inside the simulation: whole transactions only, never a clock
edge.

It reads ``plan.json`` in the run's folder (written by ``sim.run.runtime``), and for each image writes
``window-NNNN.npy``
(the bytes that the program stored), ``trace-NNNN.txt`` and at last ``image-NNNN.json`` (status, counters, times). It
imports neither torch nor golden.
"""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import First, RisingEdge, Timer, ValueChange

from vitreous.sim.run.parent import die_with_parent
from vitreous.spec import isa
from vitreous.spec.isa import Register
from vitreous.spec.storage import write_bytes, write_text

READ_BASE = 0
POLL_NS = 2


class Host:
    """Transactions of the bench: register accesses and DRAM loads and dumps."""

    def __init__(self, dut: Any, folder: Path, beat_bytes: int) -> None:
        self.dut = dut
        self.folder = folder
        self.beat = beat_bytes
        self.traced = 0

    async def _host(self, write: int, address: int, data: int = 0) -> int:
        self.dut.host_write.value = write
        self.dut.host_address.value = address
        self.dut.host_data.value = data
        self.dut.host_request.value = 1 - int(self.dut.host_acknowledge.value)
        await ValueChange(self.dut.host_acknowledge)
        return int(self.dut.host_result.value)

    async def write(self, address: int, data: int) -> None:
        await self._host(1, address, data)

    async def read(self, address: int) -> int:
        return await self._host(0, address)

    async def _file(self, command: int, offset: int, size: int) -> None:
        self.dut.file_command.value = command
        self.dut.file_offset.value = offset
        self.dut.file_bytes.value = size
        self.dut.file_request.value = 1 - int(self.dut.file_acknowledge.value)
        await ValueChange(self.dut.file_acknowledge)

    async def load(self, offset: int, data: np.ndarray) -> None:
        """Put uint8 ``data`` into DRAM at byte ``offset``, a multiple of the beat."""
        padded = np.zeros(-(-data.size // self.beat) * self.beat, np.uint8)
        padded[: data.size] = data
        (self.folder / "load.bin").write_bytes(padded.reshape(-1, self.beat)[:, ::-1].tobytes())
        await self._file(0, offset, padded.size)

    async def dump(self, offset: int, size: int) -> np.ndarray:
        rounded = -(-size // self.beat) * self.beat
        await self._file(1, offset, rounded)
        return np.fromfile(self.folder / "dump.bin", np.uint8)[:size]

    def take_trace(self) -> bytes:
        """The lines that ``trace.txt`` got since the last call; whole lines, because a dump flushes the file."""
        path = self.folder / "trace.txt"
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            file.seek(self.traced)
            lines = file.read()
        self.traced += len(lines)
        return lines

    async def counters(self) -> dict[str, int]:
        values = {}
        for index, (name, _) in enumerate(isa.COUNTERS):
            low = await self.read(Register.COUNTERS + 8 * index)
            high = await self.read(Register.COUNTERS + 8 * index + 4)
            values[name] = high << 32 | low
        return values


async def prepare(host: Host, plan: dict[str, Any]) -> None:
    """Reset is over when the magic number can be read; then check the configuration and set the windows."""
    if await host.read(Register.MAGIC) != isa.MAGIC_VALUE:
        raise AssertionError("The MAGIC register does not answer")
    if await host.read(Register.CONFIG) != plan["config"]:
        raise AssertionError("The simulated accelerator and the program have different configurations")
    settings = {
        Register.READ_BASE: READ_BASE,
        Register.READ_SIZE: plan["read_size"],
        Register.WRITE_BASE: plan["write_base"],
        Register.WRITE_SIZE: plan["write_size"],
        Register.PROGRAM_OFFSET: plan["program_offset"],
        Register.PROGRAM_LENGTH: plan["program_length"],
        Register.INTERRUPT_ENABLE: 1,
        Register.CYCLE_LIMIT: plan["cycle_limit"],
    }
    for register, value in settings.items():
        await host.write(register, value)


async def _run_image(host: Host, plan: dict[str, Any], index: int) -> bool:
    """Run one image and write its files; whether the machine can take another one."""
    dut = host.dut
    await host.load(plan["input_offset"], np.load(host.folder / f"input-{index:04d}.npy", allow_pickle=False))
    started, worked, first_cycle = time.monotonic(), time.process_time(), int(dut.cycle.value)
    await host.write(Register.CONTROL, isa.CONTROL_START)
    if not int(dut.interrupt.value):
        await First(RisingEdge(dut.interrupt), Timer(POLL_NS * plan["maximum_cycles"], "ns"))
    last_cycle, seconds = int(dut.cycle.value), time.monotonic() - started
    processor_seconds = time.process_time() - worked
    status = await host.read(Register.STATUS)
    counters = await host.counters()
    window = await host.dump(plan["write_base"], plan["write_size"])
    await host.write(Register.CONTROL, isa.CONTROL_CLEAR_INTERRUPT)
    array = io.BytesIO()
    np.save(array, window)
    write_bytes(host.folder / f"window-{index:04d}.npy", array.getvalue())
    if plan["trace"]:
        # One file for each image: a process that resumes after an interruption starts trace.txt and its cycles again.
        write_bytes(host.folder / f"trace-{index:04d}.txt", host.take_trace())
    result = {
        "status": status,
        "counters": counters,
        "first_cycle": first_cycle,
        "last_cycle": last_cycle,
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "violations": int(dut.violations.value),
    }
    write_text(host.folder / f"image-{index:04d}.json", json.dumps(result))
    return bool(status & isa.STATUS_DONE) and not result["violations"]


@cocotb.test()
async def run_plan(dut: Any) -> None:
    """Run every image of the plan that has no result yet."""
    die_with_parent()
    folder = Path(str(cocotb.plusargs["folder"]))
    plan = json.loads((folder / "plan.json").read_text())
    host = Host(dut, folder, plan["beat_bytes"])
    for name in ("host_request", "host_write", "host_address", "host_data", "file_request", "file_command"):
        getattr(dut, name).value = 0
    dut.file_offset.value = 0
    dut.file_bytes.value = 0
    dut.waves_start.value = plan["waves_start"]
    dut.write_base.value = plan["write_base"]
    dut.write_size.value = plan["write_size"]
    if plan["external_clock"]:
        Clock(dut.clk, POLL_NS, "ns").start()
    await Timer(20 * POLL_NS, "ns")
    await host.load(0, np.load(folder / "memory.npy", allow_pickle=False))
    await prepare(host, plan)
    if plan["waves_stop"]:
        cocotb.start_soon(_stop_waves(dut, plan["waves_stop"]))
    for index in plan["images"]:
        if not await _run_image(host, plan, index):
            break  # start does nothing after an error; the caller finds the reason in the image's file


async def _stop_waves(dut: Any, stop: int) -> None:
    """End the simulation after the window: Verilator cannot stop a dump, and what follows is not wanted."""
    await Timer(POLL_NS * max(1, stop - int(dut.cycle.value)), "ns")
    cocotb.pass_test(f"waves recorded up to cycle {int(dut.cycle.value)}")
