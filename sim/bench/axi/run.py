"""One run of a program between the unkind memory and host: its plan, its simulation, what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitreous.sim.bench.axi import power_up
from vitreous.sim.bench.axi.memory import WRITES
from vitreous.sim.errors import SimulationError
from vitreous.sim.run.build import Build, build_text
from vitreous.sim.run.cocotb_bench import run_bench
from vitreous.sim.run.runtime import failure_text
from vitreous.spec import layout
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.limits import WINDOW_ALIGN
from vitreous.spec.program import Program

POWER_UPS = ("zero", "random", "unknown")
"""What registers and memories hold at first; ``unknown`` (X) needs a simulator of four states, which is Icarus."""
READ_BASE = 0x3000
_RESET_CYCLES = 2


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """How the memory behaves (``Memory``), the same numbers for the same seed; the host pauses with it."""

    latency: tuple[int, int] = (0, 20)
    stall: float = 0.3
    writes: str = WRITES[0]

    def __post_init__(self) -> None:
        low, high = self.latency
        if not 0 <= low <= high:
            raise SimulationError(f"Latencies must be from a least of 0 cycles to a most, not {self.latency}")
        if not 0 <= self.stall < 1:
            raise SimulationError(f"The stall must be at least 0 and below 1, not {self.stall}")
        if self.writes not in WRITES:
            raise SimulationError(f"Writes must be one of {', '.join(WRITES)}, not {self.writes!r}")


@dataclass(frozen=True, kw_only=True)
class AxiRun:
    """What the bench saw. ``statuses``: STATUS after each reset (0) and after the last run. ``window``: uint8, the
    write window after the last. The rest: ``sim.bench.axi.memory.Tally``, over all runs."""

    statuses: tuple[int, ...]
    window: np.ndarray
    cycles: int
    read_beats: int
    write_beats: int
    inserted: int
    overtaken: int
    bytes_written: int
    violations: tuple[str, ...]


def build_axi(
    config: AcceleratorConfig,
    *,
    simulator: str,
    power: str = "zero",
    seed: int = 0,
    root: str | Path = SIMULATORS,
) -> Build:
    """The simulation for ``simulate_axi``. ``seed`` is for random values in Icarus; Verilator takes that of a run.

    Raises SimulationError for an unknown simulator or power-up, and where the two do not go together.
    """
    # Imported late, as in sim.run.build.
    from vitreous.hw.verilog import emit

    if simulator not in ("verilator", "icarus") or power not in POWER_UPS:
        raise SimulationError(
            f"A simulator is verilator or icarus and a power-up one of {', '.join(POWER_UPS)}, "
            f"not {simulator!r} and {power!r}"
        )
    if simulator == "verilator" and power == "unknown":
        raise SimulationError("Verilator knows 0 and 1 alone; a power-up with unknown values needs icarus")
    text, noise = emit(config), power == "random" and simulator == "verilator"
    if power == "unknown" or noise:
        text = power_up.unknown(text)
    elif power == "random":
        text = power_up.random_values(text, seed)
    return build_text(f"{config.name}-axi", text, simulator=simulator, noise=noise, root=root)


def simulate_axi(
    program: Program,
    image: np.ndarray,
    config: AcceleratorConfig,
    made: Build,
    *,
    folder: str | Path,
    traffic: Traffic,
    seed: int = 0,
    resets: Sequence[int] = (),
    limit: int = 0,
    timeout_cycles: int = 400_000,
) -> AxiRun:
    """Run ``program`` on one int8 [C, H, W] image: for each of ``resets`` a start and, so many cycles later, a reset in
    the middle of what happens then; at last a start and the whole run, of at most ``limit`` cycles (0: any).

    Raises SimulationError when the bench does not end (a hang is one).
    """
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    plan = _plan(program, config, traffic, limit) | {
        "seed": seed,
        "resets": list(resets),
        "timeout_cycles": timeout_cycles,
    }
    np.save(folder / "axi-memory.npy", np.frombuffer(program.with_input(image).tobytes(), np.uint8))
    (folder / "axi.json").write_text(json.dumps(plan))
    (folder / "axi-result.json").unlink(missing_ok=True)
    with suppress(SystemExit):  # the runner ends the process when a bench fails; what it wrote says more
        run_bench(
            made.folder,
            folder,
            top="accelerator",
            session="vitreous.sim.bench.axi.session",
            arguments=(f"folder={folder}", "verilator+rand+reset+2", f"verilator+seed+{seed + 1}"),
            simulator=made.simulator,
            results="axi.xml",
            seed=seed,
        )
    if not (folder / "axi-result.json").is_file():
        raise SimulationError(f"The bench failed ({traffic}, seed {seed}): {failure_text(folder)}")
    return _read_result(folder)


def _plan(program: Program, config: AcceleratorConfig, traffic: Traffic, limit: int) -> dict[str, Any]:
    """What ``sim.bench.axi.session`` needs to know of the machine and the memory, as JSON."""
    write_base = layout.align(READ_BASE + program.read_size, WINDOW_ALIGN) + WINDOW_ALIGN
    registers = {
        "READ_BASE": READ_BASE,
        "READ_SIZE": program.read_size,
        "WRITE_BASE": write_base,
        "WRITE_SIZE": program.write_size,
        "PROGRAM_OFFSET": program.program_offset,
        "PROGRAM_LENGTH": len(program.instructions),
        "INTERRUPT_ENABLE": 1,
        "CYCLE_LIMIT": limit,
    }
    return {
        "config": config.digest32,
        "registers": registers,
        "memory_size": layout.align(write_base + program.write_size, WINDOW_ALIGN) + WINDOW_ALIGN,
        "inputs": _inputs(config),
        "rules": {
            "beat": config.bus.beat_bytes,
            "burst_beats": config.bus.burst_beats,
            "outstanding": config.bus.outstanding_reads,
        },
        "traffic": asdict(traffic),
        "reset_cycles": _RESET_CYCLES,
    }


def _inputs(config: AcceleratorConfig) -> list[str]:
    """What the bench drives: every input but the clock and the reset."""
    from vitreous.hw.verilog import ports

    return [
        name
        for name, port in ports(config).items()
        if port["direction"] == "input" and name not in ("clk", "rst")
    ]


def _read_result(folder: Path) -> AxiRun:
    result = json.loads((folder / "axi-result.json").read_text())
    window = np.load(folder / "axi-window.npy", allow_pickle=False)
    statuses, violations = (tuple(result.pop(name)) for name in ("statuses", "violations"))
    return AxiRun(window=window, statuses=statuses, violations=violations, **result)
