"""The simulation's side of ``sim.upsets.runs``, run by cocotb: one flip after the other, each in a run of its own.

It reads ``plan.json``, ``memory.npy`` and ``expected.npy`` in its folder and appends one JSON line for each flip to
``flips.jsonl``.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import cocotb
import numpy as np
from cocotb.handle import Immediate
from cocotb.triggers import First, RisingEdge, SimTimeoutError, Timer, with_timeout

from vitreous.sim.run.parent import die_with_parent
from vitreous.sim.run.session import POLL_NS, Host, prepare
from vitreous.sim.run.state import escaped
from vitreous.spec import isa
from vitreous.spec.isa import Register

T = TypeVar("T")
_RESTART_CYCLES = 4
_ACCESS_CYCLES = 200
"""In which an access to a register is over, unless the upset hit its port."""
_ENDED = isa.STATUS_DONE | isa.STATUS_ERROR
_DRIVEN = (
    *("host_request", "host_write", "host_address", "host_data"),
    *("file_request", "file_command", "file_offset", "file_bytes", "waves_start", "restart"),
)


class Machine:
    """The simulated accelerator as a host sees it, and the hand that turns a bit over."""

    def __init__(self, dut: Any, folder: Path, plan: dict[str, Any]) -> None:
        self.dut = dut
        self.plan = plan
        self.host = Host(dut, folder, plan["beat_bytes"])
        self.expected = np.load(folder / "expected.npy", allow_pickle=False)
        self.fill = ~self.expected
        self.window = self.expected
        self.handles: dict[str, Any] = {}

    async def learn(self) -> None:
        """Which bytes the program stores; the others (rows are padded to whole words) are to stay as they are."""
        self.fill = self.expected
        check(await self.clean())
        self.fill = ~self.expected
        await self.clean()
        self.expected = np.where(self.window == self.fill, self.fill, self.expected)
        check(await self.clean())

    async def clean(self) -> dict[str, Any]:
        """A run without a flip after a reset of accelerator and bench."""
        await self.restart()
        return await self.run()

    async def restart(self) -> None:
        """Reset accelerator and bench, forget what was stored, set the registers."""
        self.dut.restart.value = 1
        await Timer(_RESTART_CYCLES * POLL_NS, "ns")
        self.dut.restart.value = 0
        await Timer(_RESTART_CYCLES * POLL_NS, "ns")
        await self.begin()

    async def begin(self) -> None:
        """A write window in which every byte that the program stores is wrong, and the registers."""
        await self.host.load(self.plan["write_base"], self.fill)
        await prepare(self.host, self.plan)

    async def run(self, flip: dict[str, Any] | None = None) -> dict[str, Any]:
        """Start, turn a bit over in its cycle, wait until the machine has ended; what the host then sees."""
        dut, before = self.dut, self._counts()
        await self.host.write(Register.CONTROL, isa.CONTROL_START)
        start = int(dut.cycle.value)
        if flip:
            await Timer(flip["cycle"] * POLL_NS + 1, "ns")  # between two edges
            self._turn_over(flip)
        result = await self._wait(start)
        result["cycles"] = int(dut.cycle.value) - start
        self.window = await self.host.dump(self.plan["write_base"], self.expected.size)
        result["different"] = int((self.window != self.expected).sum())
        return result | {name: now - before[name] for name, now in self._counts().items()}

    async def _wait(self, start: int) -> dict[str, Any]:
        """Interrupt and STATUS at the end or at the bound. An interrupt of a machine that is busy is cleared."""
        interrupt = self.dut.interrupt
        while True:
            left = self.plan["maximum_cycles"] - (int(self.dut.cycle.value) - start)
            if not int(interrupt.value) and left > 0:
                await First(RisingEdge(interrupt), Timer(left * POLL_NS, "ns"))
            raised, status = int(interrupt.value), await self._status()
            if left <= 0 or not raised or status is None or status & _ENDED:
                return {"interrupt": raised, "status": status}
            await self._access(self.host.write(Register.CONTROL, isa.CONTROL_CLEAR_INTERRUPT))

    async def recovers(self) -> bool:
        """Whether CONTROL.reset, and nothing else, makes a machine that runs the program again and right."""
        bound = self.plan["maximum_cycles"] * POLL_NS
        try:
            await with_timeout(self._reset(), bound, "ns")
            return right(await with_timeout(self.run(), 2 * bound, "ns"))
        except (SimTimeoutError, AssertionError):
            return False

    async def _reset(self) -> None:
        await self.host.write(Register.CONTROL, isa.CONTROL_RESET)
        while await self.host.read(Register.STATUS) & isa.STATUS_BUSY:
            pass
        await self.begin()

    async def _status(self) -> int | None:
        """None where the register does not answer."""
        return await self._access(self.host.read(Register.STATUS))

    async def _access(self, access: Coroutine[Any, Any, T]) -> T | None:
        """What an access returns, or None where it is not answered in time."""
        try:
            return await with_timeout(access, _ACCESS_CYCLES * POLL_NS, "ns")
        except SimTimeoutError:
            return None

    def _counts(self) -> dict[str, int]:
        return {name: int(getattr(self.dut, name).value) for name in ("violations", "outside")}

    def _turn_over(self, flip: dict[str, Any]) -> None:
        path, word = flip["path"], flip["word"]
        if path not in self.handles:
            self.handles[path] = self.dut[f"dut.{escaped(path)}"]
        handle = self.handles[path] if word is None else self.handles[path][word]
        handle.value = Immediate(int(handle.value) ^ 1 << flip["bit"])


def right(result: dict[str, Any]) -> bool:
    """The machine says that it is done, every byte is what it should be, and none was written elsewhere."""
    wrong = result["different"] or result["violations"]
    return result["status"] == isa.STATUS_DONE and result["interrupt"] == 1 and not wrong


def check(result: dict[str, Any]) -> None:
    """Raises AssertionError where a run without a flip is not right."""
    assert right(result), f"Without a flip the machine is wrong: {result}"


@cocotb.test()
async def run_flips(dut: Any) -> None:
    """Every flip of the plan; before the first, after every ``check_every`` and at the end runs without one."""
    die_with_parent()
    folder = Path(str(cocotb.plusargs["folder"]))
    plan = json.loads((folder / "plan.json").read_text())
    machine = Machine(dut, folder, plan)
    for name in _DRIVEN:
        getattr(dut, name).value = 0
    dut.write_base.value = plan["write_base"]
    dut.write_size.value = plan["write_size"]
    await Timer(20 * POLL_NS, "ns")
    await machine.host.load(0, np.load(folder / "memory.npy", allow_pickle=False))
    await machine.learn()
    with (folder / "flips.jsonl").open("a") as lines:
        for number, flip in enumerate(plan["flips"], 1):
            await machine.restart()
            result = await machine.run(flip)
            recovered = right(result) or await machine.recovers()
            lines.write(json.dumps({"flip": flip, **result, "recovered": recovered}) + "\n")
            if number % plan["check_every"] == 0:
                check(await machine.clean())
                lines.flush()
    result = await machine.clean()
    check(result)
    (folder / "clean.json").write_text(json.dumps(result))
