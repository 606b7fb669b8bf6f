"""Cases through the RTL: one simulation for a batch of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from campaigns.fuzz.case import Case
from campaigns.fuzz.configurations import CONFIGURATIONS
from campaigns.fuzz.world import after, before
from vitreous.golden.machine.observed import Event
from vitreous.hw.verilog import emit
from vitreous.sim.bench import checked
from vitreous.sim.dram import MemoryTiming
from vitreous.sim.errors import SimulationError
from vitreous.sim.run.build import Build, build_bench
from vitreous.sim.run.cocotb_bench import run_bench
from vitreous.sim.run.runtime import failure_text
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.isa import PC_BITS, Queue

TOP = "fuzz_bench"
BENCH = Path(checked.__file__).absolute().parent / "fuzz.sv"
PORTS = (
    *("host_request", "host_write", "host_address", "host_data", "host_acknowledge", "host_result"),
    *("file_request", "file_command", "file_offset", "file_bytes", "file_acknowledge", "interrupt", "cycle"),
    *("read_base", "read_end", "write_base", "write_end", "outside_reads", "outside_writes", "protocol"),
    *("written", "tracing"),
)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the host and the guard saw of one case.

    dead : the machine did not come back from a reset, or a program after it did not run; the rest is empty then.
    ended : the interrupt came, or a reset of the host ended the run. in_run : which of the host's actions fell into it.
    late : write beats after the interrupt. outside_reads, outside_writes, protocol : what was against the rules.
    window : the write window and the guard bytes behind it. memories : X, W and R.
    """

    dead: bool = False
    status: int = 0
    cycles: int = 0
    ended: bool = False
    in_run: tuple[bool, ...] = ()
    collided: bool = False
    late: int = 0
    outside_reads: int = 0
    outside_writes: int = 0
    protocol: int = 0
    window: bytes = b""
    memories: bytes = b""
    events: tuple[Event, ...] = ()


def build(name: str, root: str | Path = SIMULATORS) -> Build:
    """The bench around one configuration, compiled now or before."""
    config = CONFIGURATIONS[name]
    return build_bench(
        f"fuzz-{name.replace(' ', '-')}",
        emit(config),
        BENCH,
        top=TOP,
        ports=PORTS,
        parameters={"DATA_BITS": config.bus.data_bits},
        root=root,
    )


def simulate(
    made: Build,
    name: str,
    cases: Mapping[int, Case],
    limits: Mapping[int, int],
    timing: MemoryTiming,
    folder: Path,
) -> dict[int, Seen]:
    """Each case by its number, up to the first that leaves the machine dead. limits : cycles that each may take."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    helpers = {"before": before(name), "after": after(name)}
    for part, helper in helpers.items():
        (folder / f"{part}.bin").write_bytes(helper.image)
    plan: dict[str, Any] = {part: helper.settings for part, helper in helpers.items()}
    plan["beat_bytes"] = CONFIGURATIONS[name].bus.beat_bytes
    plan["cases"] = [_plan(index, case, limits[index]) for index, case in cases.items()]
    for index, case in cases.items():
        (folder / f"image-{index}.bin").write_bytes(case.image)
    (folder / "plan.json").write_text(json.dumps(plan))
    arguments = (f"folder={folder}", f"latency={timing.latency}", f"throughput={timing.throughput}")
    with suppress(
        SystemExit
    ):  # the runner's way to say that a bench failed; the results that are there say more
        run_bench(made.folder, folder, top=TOP, session="campaigns.fuzz.session", arguments=arguments)
    seen = {index: found for index in cases if (found := _read(folder, index)) is not None}
    if not seen:
        raise SimulationError(f"The fuzzing bench failed: {failure_text(folder)}")
    return seen


def _plan(index: int, case: Case, limit: int) -> dict[str, Any]:
    return {
        "index": index,
        "settings": case.settings,
        "actions": [list(action) for action in case.actions],
        "resets": any(action.resets for action in case.actions),
        "limit": limit,
        "write_bytes": len(case.window),
        "window": case.window.hex(),
    }


def _read(folder: Path, index: int) -> Seen | None:
    path = folder / f"result-{index}.json"
    if not path.is_file():
        return None
    result = json.loads(path.read_text())
    if result.get("dead"):
        return Seen(dead=True)
    names = ("status", "cycles", "ended", "collided", "late", "outside_reads", "outside_writes", "protocol")
    return Seen(
        **{name: result[name] for name in names},
        in_run=tuple(result["in_run"]),
        window=bytes.fromhex(result["window"]),
        memories=(folder / f"memories-{index}.bin").read_bytes(),
        events=tuple(_events(result["trace"].splitlines())),
    )


def _events(lines: Sequence[str]) -> list[Event]:
    """Of one cycle first what retires, because what is issued with it reads later."""
    events = []
    for line in lines:
        _, issue_text, done_text, pc_text = line.split()
        issue, done, counters = int(issue_text, 16), int(done_text, 16), int(pc_text, 16)
        events += [Event("retire", queue, 0) for queue in Queue if done >> queue & 1]
        events += [
            Event("issue", queue, counters >> PC_BITS * queue & ((1 << PC_BITS) - 1))
            for queue in Queue
            if issue >> queue & 1
        ]
    return events
