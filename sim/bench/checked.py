"""The checking path: the accelerator's AXI ports driven by an independent protocol model, with stalls and error
responses.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitreous.sim.errors import SimulationError
from vitreous.sim.run.build import Build, build_ports
from vitreous.sim.run.cocotb_bench import run_bench
from vitreous.sim.run.runtime import failure_text
from vitreous.spec import isa, layout
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.limits import WINDOW_ALIGN
from vitreous.spec.program import Program

STALLS = ("none", "regular", "random", "bursts")


@dataclass(frozen=True, kw_only=True)
class CheckedRun:
    """What the host and the memory saw.

    statuses : the STATUS register after each run. window : uint8, the write window at the end.
    late_writes : writes after the interrupt was seen. outside_writes : writes outside of the window.
    violations : broken protocol rules, one sentence each.
    """

    statuses: tuple[int, ...]
    window: np.ndarray
    late_writes: int
    outside_writes: int
    writes: int
    violations: tuple[str, ...]

    def error(self, run: int = 0) -> tuple[isa.ErrorCode, int] | None:
        """The error code and program counter of a run that stopped with one."""
        status = self.statuses[run]
        code, pc = isa.status_error(status)
        return (isa.ErrorCode(code), pc) if status & isa.STATUS_ERROR else None


def simulate_checked(
    program: Program,
    image: np.ndarray,
    config: AcceleratorConfig,
    *,
    folder: str | Path,
    stalls: str = "random",
    seed: int = 0,
    read_error: int | None = None,
    write_error: int | None = None,
    runs: int = 1,
    heal: bool = False,
    settings: dict[str, int] | None = None,
    build_root: str | Path = SIMULATORS,
    timeout_cycles: int = 2_000_000,
) -> CheckedRun:
    """Run ``program`` on one int8 [C, H, W] image ``runs`` times with stalls on all ten channels.

    read_error, write_error : byte offset in the read or write window whose access is answered with SLVERR;
    ``heal`` takes the fault away after the first run. ``settings`` overrides registers (by name), e.g. a
    window that is too small.
    Raises SimulationError when the bench does not end (a hang is one).
    """
    if stalls not in STALLS:
        raise SimulationError(f"Stalls must be one of {', '.join(STALLS)}, not {stalls!r}")
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    read_base = 0x3000
    write_base = layout.align(read_base + program.read_size, WINDOW_ALIGN) + WINDOW_ALIGN
    plan: dict[str, Any] = {
        "config": config.digest32,
        "READ_BASE": read_base,
        "READ_SIZE": program.read_size,
        "WRITE_BASE": write_base,
        "WRITE_SIZE": program.write_size,
        "PROGRAM_OFFSET": program.program_offset,
        "PROGRAM_LENGTH": len(program.instructions),
        "memory_size": layout.align(write_base + program.write_size, WINDOW_ALIGN) + WINDOW_ALIGN,
        "read_error": None if read_error is None else read_base + read_error,
        "write_error": None if write_error is None else write_base + write_error,
        "stalls": stalls,
        "seed": seed,
        "runs": runs,
        "heal": heal,
        "settle_cycles": 400,
        "timeout_cycles": timeout_cycles,
        **(settings or {}),
    }
    np.save(folder / "checked-memory.npy", np.frombuffer(program.with_input(image).tobytes(), np.uint8))
    (folder / "checked.json").write_text(json.dumps(plan))
    (folder / "checked-result.json").unlink(missing_ok=True)
    _run_bench(build_ports(config, root=build_root), folder, seed)
    if not (folder / "checked-result.json").is_file():
        raise SimulationError(
            f"The checking bench failed (stalls {stalls}, seed {seed}): {failure_text(folder)}"
        )
    return _read_result(folder)


def _run_bench(made: Build, folder: Path, seed: int) -> None:
    # The runner ends the process (SystemExit) when a bench fails; what it wrote says more.
    with suppress(SystemExit):
        run_bench(
            made.folder,
            folder,
            top="accelerator",
            session="vitreous.sim.bench.checked_session",
            arguments=(f"folder={folder}",),
            results="checked.xml",
            seed=seed,
        )


def _read_result(folder: Path) -> CheckedRun:
    result = json.loads((folder / "checked-result.json").read_text())
    return CheckedRun(
        statuses=tuple(result["statuses"]),
        window=np.load(folder / "checked-window.npy", allow_pickle=False),
        late_writes=result["late_writes"],
        outside_writes=result["outside_writes"],
        writes=result["writes"],
        violations=tuple(result["violations"]),
    )
