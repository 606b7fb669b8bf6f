"""Running a program on the simulated accelerator: one simulation process, any number of images, results kept on
disk.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cocotb_tools.check_results import get_results

from vitreous.sim.cycles.limit import cycle_limit, explanation
from vitreous.sim.dram import MemoryTiming, check_program, memory_bits, write_base
from vitreous.sim.errors import SimulationError
from vitreous.sim.run.build import TOP, Build, build, build_icarus
from vitreous.sim.run.cocotb_bench import run_bench
from vitreous.sim.run.trace import Span, read_trace
from vitreous.spec import isa, layout
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.program import Program

MAXIMUM_CYCLES = 2_000_000_000
"""A bound far above any program; the machine itself reports a deadlock long before."""

Progress = Callable[[int, int], None]
"""Called with images done and images in all."""


@dataclass(frozen=True, kw_only=True)
class ImageRun:
    """What the machine did with one image.

    window : uint8, the write window afterwards. counters : by name of ``isa.COUNTERS``. seconds : wall time of
    the run alone. processor_seconds : what the simulation worked in it; 0 where an earlier version ran it.
    spans : when each instruction issued and completed, in cycles since start.
    """

    index: int
    window: np.ndarray
    counters: dict[str, int]
    seconds: float
    simulated_cycles: int
    spans: tuple[Span, ...] = ()
    processor_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SimulationRun:
    """All images of one simulation; ``seconds`` is the wall time of the simulation process, start included."""

    images: tuple[ImageRun, ...]
    build: Build
    seconds: float
    folder: Path

    @property
    def windows(self) -> list[np.ndarray]:
        """What each image left in the write window, uint8."""
        return [image.window for image in self.images]

    @property
    def cycles_per_second(self) -> float:
        """Simulated clock cycles per second of wall time while images ran."""
        return sum(i.simulated_cycles for i in self.images) / max(sum(i.seconds for i in self.images), 1e-9)


def _prepare_folder(
    folder: Path, plan: dict[str, Any], program: Program, inputs: Sequence[np.ndarray]
) -> None:
    """Keep the results of an identical earlier plan, delete those of any other."""
    state = hashlib.sha256(
        json.dumps({k: v for k, v in plan.items() if k != "images"}, sort_keys=True).encode()
    )
    state.update(program.image.tobytes())
    packed = [np.frombuffer(layout.pack_image(image), np.uint8) for image in inputs]
    for data in packed:
        state.update(data.tobytes())
    plan["fingerprint"] = state.hexdigest()
    old = folder / "plan.json"
    if old.is_file():
        try:
            same = json.loads(old.read_text()).get("fingerprint") == plan["fingerprint"]
        except json.JSONDecodeError:
            same = False
        if not same:
            shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "memory.npy", program.image)
    for index, data in enumerate(packed):
        np.save(folder / f"input-{index:04d}.npy", data)
    plan["images"] = [i for i in range(len(inputs)) if not (folder / f"image-{i:04d}.json").is_file()]
    old.write_text(json.dumps(plan))


def simulate(
    program: Program,
    inputs: Sequence[np.ndarray],
    config: AcceleratorConfig,
    *,
    folder: str | Path,
    timing: MemoryTiming | None = None,
    build_root: str | Path = SIMULATORS,
    waves: tuple[int, int] | None = None,
    trace: bool = True,
    maximum_cycles: int = MAXIMUM_CYCLES,
    limit: int | None = None,
    progress: Progress | None = None,
    simulator: str = "verilator",
) -> SimulationRun:
    """Simulate ``program`` on every int8 [C, H, W] image of ``inputs``, in RTL.

    Results go to ``folder`` one by one; a call that is interrupted and repeated simulates only what is missing.
    ``waves`` = (first, last) records ``waves.vcd`` of these cycles since the simulation began (the first program
    starts about 100 cycles in) and ends the simulation after the last one; there are no images then.
    ``limit`` is the most cycles that the machine may take (0: any number), by default what ``cycle_limit`` says; beyond
    ``maximum_cycles`` the bench itself gives up.
    ``simulator`` is "verilator" or, for a second opinion on small programs, "icarus".
    Raises SimulationError when the machine stops with an error or does not end, the bench fails, the simulator breaks
    or the window of waves is empty.
    """
    check_program(program, config)
    if waves is not None and not 0 <= waves[0] < waves[1]:
        raise SimulationError(f"A window of waves is (first, last) cycle with first below last, not {waves}")
    if simulator == "icarus" and waves is None:
        made = build_icarus(config, root=build_root, memory_bits=memory_bits(program))
    elif simulator == "verilator":
        made = build(config, root=build_root, waves=waves is not None, memory_bits=memory_bits(program))
    else:
        raise SimulationError(f"The simulator must be verilator, or icarus without waves, not {simulator}")
    folder = Path(folder).absolute()
    timing = timing or MemoryTiming()
    plan = make_plan(
        program,
        config,
        made,
        timing,
        waves=waves,
        trace=trace,
        maximum_cycles=maximum_cycles,
        limit=cycle_limit(program, config, timing) if limit is None else limit,
    )
    seconds = run_plan(program, inputs, made, plan, folder, progress)
    if waves is not None:
        if not (folder / "waves.vcd").is_file():
            raise SimulationError(f"The simulation ended before cycle {waves[0]}, so there are no waves")
        return SimulationRun(images=(), build=made, seconds=seconds, folder=folder)
    runs = tuple(_read_image(folder, index, program, plan["cycle_limit"]) for index in range(len(inputs)))
    return SimulationRun(images=runs, build=made, seconds=seconds, folder=folder)


def clear(folder: str | Path) -> None:
    """Forget the results in ``folder``, so that the next run simulates everything again."""
    shutil.rmtree(folder, ignore_errors=True)


def make_plan(
    program: Program,
    config: AcceleratorConfig,
    made: Build,
    timing: MemoryTiming,
    *,
    waves: tuple[int, int] | None = None,
    trace: bool = True,
    external_clock: bool = False,
    maximum_cycles: int = MAXIMUM_CYCLES,
    limit: int = 0,
) -> dict[str, Any]:
    """What ``sim.run.session`` needs to know, as JSON; ``limit``: the cycles that the machine may take, 0 for any."""
    return {
        "config": config.digest32,
        "beat_bytes": config.bus.beat_bytes,
        "read_size": program.read_size,
        "write_base": write_base(program),
        "write_size": program.write_size,
        "program_offset": program.program_offset,
        "program_length": len(program.instructions),
        "input_offset": program.input_offset,
        "maximum_cycles": maximum_cycles,
        "cycle_limit": limit,
        "external_clock": external_clock,
        "waves_start": max(waves[0], 1) if waves else 0,  # 0: never
        "waves_stop": waves[1] if waves else 0,
        "build": made.folder.name,
        "latency": timing.latency,
        "throughput": timing.throughput,
        "trace": int(trace),
    }


def run_plan(
    program: Program,
    inputs: Sequence[np.ndarray],
    made: Build,
    plan: dict[str, Any],
    folder: Path,
    progress: Progress | None = None,
) -> float:
    """Simulate the images of ``inputs`` that have no result in ``folder`` yet; the seconds that it took (0:
    none).
    """
    _prepare_folder(folder, plan, program, inputs)
    return _launch(made, folder, plan, len(inputs), progress) if plan["images"] else 0.0


def _launch(made: Build, folder: Path, plan: dict[str, Any], total: int, progress: Progress | None) -> float:
    """Run the simulation process and report progress from the result files as they appear."""
    failure: list[BaseException] = []

    def work() -> None:
        try:
            settings = (f"{name}={plan[name]}" for name in ("latency", "throughput", "trace"))
            run_bench(
                made.folder,
                folder,
                top=TOP,
                session="vitreous.sim.run.session",
                arguments=(f"folder={folder}", *settings),
                simulator=made.simulator,
            )
        except BaseException as error:  # handed to the caller's thread below
            failure.append(error)

    started = time.monotonic()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
        if progress:
            progress(len(list(folder.glob("image-*.json"))), total)
    results = folder / "results.xml"
    if failure or not results.is_file() or get_results(results)[1]:
        crashed = failure and not isinstance(
            failure[0], SystemExit
        )  # the runner's way to say that a bench failed
        reason = f"{failure[0]}" if crashed else "the bench failed"
        raise SimulationError(
            f"The simulation did not finish ({reason}); {folder / 'simulation.log'} says: {failure_text(folder)}"
        )
    return time.monotonic() - started


def failure_text(folder: Path) -> str:
    """The lines of the simulation log that say what went wrong."""
    log = folder / "simulation.log"
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    errors = [line.strip() for line in lines if "Error" in line or "error" in line or "bench:" in line]
    return " | ".join((errors or lines)[-3:]) or "(nothing)"


def _read_image(folder: Path, index: int, program: Program, limit: int) -> ImageRun:
    result = json.loads((folder / f"image-{index:04d}.json").read_text())
    status = result["status"]
    if result["violations"]:
        raise SimulationError(f"The memory saw {result['violations']} protocol violations in image {index}")
    if status & isa.STATUS_ERROR:
        number, pc = isa.status_error(status)
        code = isa.ErrorCode(number)
        where = program.instructions[pc] if pc < len(program.instructions) else None
        what = f" ({where.opcode.name}, {where.label})" if where else ""
        raise SimulationError(
            f"The machine stopped with error {code.name} at instruction {pc}{what}{explanation(code, limit)}"
        )
    cycles = result["last_cycle"] - result["first_cycle"]
    if not status & isa.STATUS_DONE:
        raise SimulationError(f"Image {index} did not finish: status {status:#x} after {cycles} cycles")
    trace = folder / f"trace-{index:04d}.txt"
    spans: tuple[Span, ...] = ()
    if trace.is_file():
        spans = read_trace(trace, result["first_cycle"], result["last_cycle"])
    return ImageRun(
        index=index,
        window=np.load(folder / f"window-{index:04d}.npy", allow_pickle=False),
        counters=result["counters"],
        seconds=result["seconds"],
        simulated_cycles=cycles,
        spans=spans,
        processor_seconds=result.get("processor_seconds", 0.0),
    )
