"""``python -m campaigns.fuzz``: fuzzed programs through the RTL and through the functional machine.

``--programs`` cases, as many on each of ``--configurations``; what is known of this state of the sources is kept in
``--folder``, so that an interrupted run goes on where it was. ``--report FILE`` writes docs/results/fuzz.md. A case
that goes wrong is written, as it is and as short as it goes, to ``wrong`` in the folder; ``--case NAME INDEX`` runs one
case again.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from campaigns.fuzz.campaign import Record, decided, default_jobs, run, run_cases, tally, timing_of
from campaigns.fuzz.configurations import CONFIGURATIONS
from campaigns.fuzz.referee import Finding
from campaigns.fuzz.reproduce import minimize, write_case
from campaigns.fuzz.simulation import build
from campaigns.fuzz.world import make_case
from vitreous.sim.run.toolchain import verilator

_MEANINGS = {
    Finding.EQUAL: "one end (done, or one error) and one value for each byte, both the RTL's",
    Finding.ONE_OF: "a race that golden follows: the RTL's error is one of those that may come first, or its bytes are "
    "those of one order of the instructions in flight",
    Finding.RESET: "the host ended the run; what was written by then agrees, and the next programs run",
    Finding.LONG: "still running when its time was up, as it may; a reset ends it",
    Finding.OPEN: "done, with bytes that timing decides and golden does not follow; all others agree",
    Finding.COLLIDED: "the host started the machine in the very cycles in which it ended; not compared",
    Finding.WRONG: "verdict, order or bytes differ, a hang, or a byte outside the windows",
}


def page(records: Sequence[Record], command: str, seconds: float) -> str:
    """docs/results/fuzz.md."""
    total = Counter(record.finding for record in records)
    hangs = sum("hang" in record.why or "dead" in record.why for record in records)
    outside = sum("outside" in record.why or "behind" in record.why for record in records)
    cycles = sum(record.cycles for record in records)
    lines = [
        "# Fuzzed programs: RTL against the functional machine",
        "",
        f"{len(records):,} programs, {cycles:,} cycles of them: {hangs} hangs, {outside} with a byte outside the "
        "windows, "
        f"{total[Finding.WRONG]} that differ. Golden gives a verdict and every byte for {100 * decided(total):.2f} %.",
        "",
        f"{datetime.date.today()}, `{command}`, {seconds:.0f} s for what was not known before, {platform.machine()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end, {verilator()}.",
        "",
        *_table("configuration", tally(records, by=lambda record: record.configuration)),
        "",
        *_table("kind", tally(records, by=lambda record: record.kind)),
        "",
        "| finding | means |",
        "| --- | --- |",
        *(f"| {finding} | {_MEANINGS[finding]} |" for finding in Finding),
        "",
    ]
    wrong = [record for record in records if record.finding is Finding.WRONG]
    return "\n".join(
        [*lines, *(f"- {r.configuration}, case {r.index} ({r.kind}): {r.why}" for r in wrong[:50])]
    )


def _table(head: str, counts: dict[str, Counter[Finding]]) -> list[str]:
    lines = [
        f"| {head} | programs | {' | '.join(Finding)} | decided |",
        f"| --- | ---: |{' ---: |' * (len(Finding) + 1)}",
    ]
    for name, found in counts.items():
        cells = " | ".join(f"{found[finding]:,}" for finding in Finding)
        lines.append(f"| {name} | {found.total():,} | {cells} | {100 * decided(found):.2f} % |")
    return lines


def _again(name: str, index: int, seed: int) -> int:
    """One case once more. Exit status 1 where it is wrong."""
    case = make_case(name, seed, index)
    with tempfile.TemporaryDirectory() as folder:
        (record,) = run_cases(build(name), name, {index: case}, timing_of(index), Path(folder) / "run")
    print(f"{name} {index} ({record.kind}): {record.finding} {record.why}")
    return record.finding is Finding.WRONG


def _reproduce(records: Sequence[Record], seed: int, folder: Path) -> None:
    """Files for the first cases that went wrong."""
    for record in [record for record in records if record.finding is Finding.WRONG][:20]:
        case = make_case(record.configuration, seed, record.index)
        stem = f"{record.configuration.replace(' ', '-')}-{record.index}"
        write_case(folder / f"{stem}.json", record, seed, case)
        with tempfile.TemporaryDirectory() as run_folder:
            short = minimize(record.configuration, record.index, case, Path(run_folder) / "run")
        write_case(folder / f"{stem}-short.json", record, seed, short)
        print(f"{record.configuration} {record.index} ({record.kind}): {record.why}: {folder / stem}.json")


def main() -> int:
    """0 when nothing is wrong."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=int, default=10_000, help="of all configurations together")
    parser.add_argument(
        "--configurations", nargs="+", choices=list(CONFIGURATIONS), default=list(CONFIGURATIONS)
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="simulations at a time")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--report", type=Path, metavar="FILE")
    parser.add_argument("--case", nargs=2, metavar=("NAME", "INDEX"))
    chosen = parser.parse_args()
    if chosen.case:
        return _again(chosen.case[0], int(chosen.case[1]), chosen.seed)
    started = time.monotonic()
    columns = (TextColumn("programs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("programs", total=chosen.programs)
        records = run(
            chosen.configurations,
            chosen.programs,
            chosen.seed,
            folder=chosen.folder,
            jobs=chosen.jobs,
            done=lambda count: progress.advance(task, count),
        )
    seconds = time.monotonic() - started
    text = page(records, " ".join(["python -m campaigns.fuzz", *sys.argv[1:]]), seconds)
    print(text)
    if chosen.report:
        chosen.report.write_text(text)
    _reproduce(records, chosen.seed, chosen.folder / "wrong")
    return any(record.finding is Finding.WRONG for record in records)


if __name__ == "__main__":
    sys.exit(main())
