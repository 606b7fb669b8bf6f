"""``python -m campaigns.vectors``: vectors through every arithmetic unit in RTL, compared with ``golden``.

``--count`` random vectors for each unit, or its whole input space where that is small; ``--group`` (repeated) chooses
units; ``--report FILE`` writes the table of docs/results/vectors.md.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from campaigns.vectors.campaign import GROUPS, Group, Row, run_group
from vitreous.sim.bench.vectors import VectorError
from vitreous.sim.errors import SimulationError
from vitreous.sim.run.toolchain import verilator


def page(groups: list[Group], command: str, seconds: float) -> str:
    """docs/results/vectors.md."""
    rows = [row for group in groups for row in group.rows]
    built = ", ".join(
        f"{g.name} {g.build_seconds:.0f} s{' (there already)' if g.cached else ''}" for g in groups
    )
    lines = [
        "# Vectors through the units' RTL",
        "",
        f"{sum(row.vectors for row in rows):,} vectors, {sum(row.mismatches for row in rows)} mismatches, "
        f"{seconds:.0f} s of wall time with builds, {sum(g.cpu_seconds for g in groups):.0f} s of CPU. "
        f"{datetime.date.today()}, `{command}`, {platform.machine()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f} at the end, {verilator()}.",
        "",
        "Expected values are those of `golden`, written as data; stimulus, clock and comparison are in the simulation",
        "(`sim/bench/vectors.py`). A vector is one lane's answer to one input: a result, a probability, a "
        "score of a row, a",
        "normalized value, a dot product that was read out. `all` means the whole space, whatever `--count` says.",
        "Seconds of a row are wall time of everything but the build; cycles/s are per second of the simulation's CPU",
        f"time, its start included. Builds, wall time: {built}.",
        "",
        "| unit | variant | vectors | which | space | cycles/s | s | mismatches |",
        "| --- | --- | ---: | --- | --- | ---: | ---: | ---: |",
    ]
    return "\n".join([*lines, *map(_line, rows), ""])


def _line(row: Row) -> str:
    cells = (
        row.unit,
        row.variant or "-",
        f"{row.vectors:,}",
        "all" if row.exhaustive else "random",
        row.space,
        f"{row.cycles_per_second:,.0f}",
        f"{row.seconds:.1f}",
        str(row.mismatches),
    )
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """0 when no value differs."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.vectors", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000_000, help="random vectors for each unit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--group", action="append", choices=list(GROUPS), help="default: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="groups at a time")
    parser.add_argument("--report", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    names = [name for name in GROUPS if not chosen.group or name in chosen.group]
    groups: list[Group] = []
    started = time.monotonic()
    print(f"seed {chosen.seed}, {chosen.count:,} random vectors for each unit", flush=True)
    # Fresh processes: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    failed = False
    with ProcessPoolExecutor(chosen.jobs, mp_context=context) as pool:
        for future in as_completed(
            [pool.submit(run_group, name, chosen.count, chosen.seed) for name in names]
        ):
            try:
                groups.append(future.result())
            except (VectorError, SimulationError) as error:  # the others are still worth knowing
                failed = True
                print(error, file=sys.stderr, flush=True)
                continue
            print("\n".join(map(str, groups[-1].rows)), flush=True)
            groups.sort(key=lambda group: names.index(group.name))
            if chosen.report:
                command = " ".join(["python -m campaigns.vectors", *sys.argv[1:]])
                chosen.report.write_text(page(groups, command, time.monotonic() - started))
    rows = [row for group in groups for row in group.rows]
    wrong = sum(row.mismatches for row in rows)
    total = sum(row.vectors for row in rows)
    print(f"{total:,} vectors in {time.monotonic() - started:.0f} s, {wrong} mismatches")
    return 1 if wrong or failed else 0


if __name__ == "__main__":
    sys.exit(main())
