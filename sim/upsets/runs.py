"""Runs of one program in RTL, in each of which one bit of the machine's state is turned over once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cocotb_tools.check_results import get_results

from vitreous.sim.dram import MemoryTiming, check_program
from vitreous.sim.errors import SimulationError
from vitreous.sim.run.build import TOP, Build
from vitreous.sim.run.cocotb_bench import run_bench
from vitreous.sim.run.runtime import failure_text, make_plan
from vitreous.spec import isa, layout
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.limits import SILENT_CYCLES
from vitreous.spec.program import Program

CHECK_EVERY = 100
"""Flips between two runs without one, which must be right: what a flip leaves behind would show there."""
LIMIT = 2
"""What the host allows in register CYCLE_LIMIT: this many times the cycles of a run without a flip."""
_SLACK = 1000


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Turn over bit ``bit`` of the element at ``path`` (of its word ``word``, where it is a memory) between two
    edges, ``cycle`` cycles after the start."""

    index: int
    path: str
    word: int | None
    bit: int
    cycle: int


@dataclass(frozen=True, kw_only=True)
class Upset:
    """What one flip did, as the host sees it.

    interrupt : it came. cycles : until then, or the bound. status : the register; None where it does not answer.
    different : stored bytes that are wrong. violations : writes outside the window and bursts that AXI forbids.
    outside : of these, the writes. recovered : CONTROL.reset brought back a machine that runs the program right;
    true where no reset was needed.
    """

    flip: Flip
    interrupt: bool
    cycles: int
    status: int | None
    different: int
    violations: int
    outside: int
    recovered: bool

    @property
    def done(self) -> bool:
        return self.status is not None and bool(self.status & isa.STATUS_DONE)

    @property
    def error(self) -> isa.ErrorCode | None:
        """The code of a machine that stopped with one; NONE for a code that does not exist."""
        if self.status is None or not self.status & isa.STATUS_ERROR:
            return None
        code, _ = isa.status_error(self.status)
        return isa.ErrorCode(code) if code in set(isa.ErrorCode) else isa.ErrorCode.NONE


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What runs: a program with its image and the write window that golden leaves, on a build of ``build_exposed``."""

    config: AcceleratorConfig
    program: Program
    image: np.ndarray
    window: np.ndarray
    made: Build
    timing: MemoryTiming = field(default_factory=MemoryTiming)

    def memory(self) -> np.ndarray:
        """uint8, the DRAM from byte 0: program, weights and image."""
        packed = np.frombuffer(layout.pack_image(self.image), np.uint8)
        end = self.program.input_offset + packed.size
        memory = np.zeros(max(self.program.image.size, end), np.uint8)
        memory[: self.program.image.size] = self.program.image
        memory[self.program.input_offset : end] = packed
        return memory


def clean_cycles(subject: Subject, folder: Path) -> int:
    """Of a run without a flip, from start to interrupt. Raises SimulationError where it is not right."""
    return _simulate(subject, [], folder, limit=0)


def run_flips(subject: Subject, flips: Sequence[Flip], folder: Path, *, cycles: int) -> list[Upset]:
    """What each flip did, in order, in one simulation process; ``cycles`` as ``clean_cycles`` said.

    Lines go to ``folder`` one by one; a call that is interrupted and repeated runs only the flips that are missing.
    Raises SimulationError when the bench fails or a run without a flip is not right.
    """
    known = read_upsets(folder)
    missing = [flip for flip in flips if flip.index not in known]
    if missing:
        _simulate(subject, missing, folder, limit=LIMIT * cycles)
        known = read_upsets(folder)
    return [known[flip.index] for flip in flips]


def read_upsets(folder: Path) -> dict[int, Upset]:
    """By the number of its flip, everything that ``folder`` has; a last line that was cut off is removed."""
    path = folder / "flips.jsonl"
    if not path.is_file():
        return {}
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    return {upset.flip.index: upset for upset in map(_upset, whole.splitlines())}


def _upset(line: str) -> Upset:
    facts: dict[str, Any] = json.loads(line)
    flip = Flip(**facts.pop("flip"))
    return Upset(flip=flip, interrupt=bool(facts.pop("interrupt")), **facts)


def _simulate(subject: Subject, flips: Sequence[Flip], folder: Path, *, limit: int) -> int:
    """The session of these flips; the cycles of a run without one. A run hangs when the machine has not ended after
    the ``limit`` that it knows and the time after which it no longer waits for the bus."""
    check_program(subject.program, subject.config)
    plan = make_plan(
        subject.program,
        subject.config,
        subject.made,
        subject.timing,
        trace=False,
        maximum_cycles=limit + SILENT_CYCLES + _SLACK,
        limit=limit,
    )
    plan |= {"flips": [asdict(flip) for flip in flips], "check_every": CHECK_EVERY}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(plan))
    np.save(folder / "memory.npy", subject.memory())
    np.save(folder / "expected.npy", subject.window)
    settings = (f"{name}={plan[name]}" for name in ("latency", "throughput", "trace"))
    results = folder / "results.xml"
    results.unlink(missing_ok=True)
    try:
        run_bench(
            subject.made.folder,
            folder,
            top=TOP,
            session="vitreous.sim.upsets.session",
            arguments=(f"folder={folder}", *settings),
        )
    except (RuntimeError, SystemExit) as error:
        raise SimulationError(
            f"The simulation of upsets did not finish ({error}): {failure_text(folder)}"
        ) from None
    if not results.is_file() or get_results(results)[1]:
        raise SimulationError(f"The simulation of upsets failed: {failure_text(folder)}")
    cycles: int = json.loads((folder / "clean.json").read_text())["cycles"]
    return cycles
