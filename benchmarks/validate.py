"""``python -m benchmarks.validate``: the cycle model against RTL, and how much faster it is.

Programs x accelerators x bus widths x memory latencies, one row each. Exit status 1 where the cycles of a row differ by
more than 1 %, where the prediction of a whole model takes a second, or where that of a program of more than a million
cycles is not at least 50 times faster than its simulation. Each row is kept in ``--folder`` as soon as it is measured,
and measured again only when its program, the hardware description or the cycle model has changed: interrupt and repeat.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from benchmarks import programs
from benchmarks.validation_page import page
from tests.support.sim.small import CONFIGURATIONS
from vitreous.reports.json_file import structured
from vitreous.sim.cycles import predict
from vitreous.sim.dram import MemoryTiming
from vitreous.sim.run.runtime import simulate
from vitreous.spec.storage import write_text

LIMIT = 0.01
SPEED_UP = 50
LONG = 1_000_000
"""Cycles from which on the speed of the model counts: below, start-up decides."""
LONGEST_SECONDS = 1.0
OWN = "tests"
"""Stands for the accelerators of ``tests.sim``, each with its own bus and memories."""
REPEATS = 3


@dataclass(frozen=True)
class Row:
    """One program on one accelerator. Seconds are of the processor, so that what else the machine does cancels out:
    of the RTL's run from start to interrupt, and of the best of three predictions."""

    program: str
    accelerator: str
    bus_bits: int
    latency: int
    throughput: int
    instructions: int
    rtl_cycles: int
    model_cycles: int
    rtl_seconds: float
    model_seconds: float

    @property
    def error(self) -> float:
        return self.model_cycles / self.rtl_cycles - 1

    @property
    def speed_up(self) -> float:
        return self.rtl_seconds / self.model_seconds

    @property
    def long(self) -> bool:
        return self.rtl_cycles > LONG

    @property
    def fails(self) -> bool:
        slow = self.long and (self.speed_up < SPEED_UP or self.model_seconds >= LONGEST_SECONDS)
        return abs(self.error) > LIMIT or slow


@dataclass(frozen=True)
class Place:
    """A row to be measured."""

    program: str
    accelerator: str
    bus_bits: int
    timing: MemoryTiming
    folder: Path
    build_root: Path

    @property
    def name(self) -> str:
        words = f"{self.program} {self.accelerator} {self.bus_bits} {self.timing.latency} {self.timing.throughput}"
        return words.replace(",", "").replace(" ", "-")


def measured(place: Place, digests: tuple[str, str]) -> tuple[Row, bool]:
    """The row, and whether it was there already. What the RTL did is kept apart from what the model says of it."""
    config = programs.configuration(place.accelerator, place.bus_bits)
    program, image = programs.workload(place.program, config)
    hardware, model = digests
    facts = [programs.program_digest(program), hardware, asdict(place.timing)]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    path = place.folder / "rows" / f"{place.name}.json"
    kept = json.loads(path.read_text()) if path.is_file() else {}
    if kept.get("key") == key and kept["model"] == model:
        return structured(Row, kept["row"], path.name), True
    if kept.get("key") == key:
        cycles, simulated = kept["row"]["rtl_cycles"], kept["row"]["rtl_seconds"]
    else:
        folder = place.folder / place.name
        run = simulate(
            program,
            [image],
            config,
            folder=folder,
            timing=place.timing,
            build_root=place.build_root,
            trace=False,
        ).images[0]
        cycles, simulated = run.counters["cycles"], run.processor_seconds or run.seconds
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        prediction = predict(program, config, place.timing)
        seconds.append(time.process_time() - started)
    row = Row(
        program=place.program,
        accelerator=place.accelerator,
        bus_bits=config.bus.data_bits,
        latency=place.timing.latency,
        throughput=place.timing.throughput,
        instructions=len(program.instructions),
        rtl_cycles=cycles,
        model_cycles=prediction.cycles,
        rtl_seconds=simulated,
        model_seconds=min(seconds),
    )
    write_text(path, json.dumps({"key": key, "model": model, "row": asdict(row)}, indent=1) + "\n")
    return row, False


def groups(arguments: argparse.Namespace) -> Iterator[list[Place]]:
    """The rows of one accelerator with one bus after the other, so that each is built once."""
    for accelerator in arguments.accelerators:
        own = list(CONFIGURATIONS) if accelerator == OWN else [accelerator]
        for name in own:
            config = CONFIGURATIONS.get(name)
            for bus_bits in [config.bus.data_bits] if config else arguments.bus:
                yield [
                    Place(program, name, bus_bits, timing, arguments.folder, arguments.build_root)
                    for program in arguments.programs
                    if not config or program in programs.SMALL
                    for timing in programs.timings(name, arguments.latencies)
                ]


def _measure_group(task: tuple[list[Place], tuple[str, str]]) -> list[Row]:
    places, digests = task
    rows = []
    for place in places:
        row, kept = measured(place, digests)
        rows.append(row)
        bus = f"{row.bus_bits} bit, latency {row.latency}"
        print(
            f"{row.program}, {row.accelerator}, {bus}: {100 * row.error:+.3f} %"
            + (f", {row.speed_up:.0f}x faster" if row.long else "")
            + (", kept" if kept else "")
            + (", OVER" if row.fails else ""),
            flush=True,
        )
    return rows


def all_rows(arguments: argparse.Namespace) -> list[Row]:
    """Every row, by ``--workers`` processes that share the graphs made before they start."""
    tasks = [(group, (programs.hardware_digest(), programs.model_digest())) for group in groups(arguments)]
    wanted = {place.program for group, _ in tasks for place in group}
    for name in programs.MODELS:
        if name in wanted:
            print(f"quantizing {name}", flush=True)
            programs.model_graph(name)
    done: list[Row] = []
    count = sum(len(group) for group, _ in tasks)
    with multiprocessing.get_context("fork").Pool(arguments.workers) as pool:
        for rows in pool.imap(_measure_group, tasks):
            done.extend(rows)
            print(f"{len(done)} of {count} rows", flush=True)
    return done


def parse() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = (*programs.ACCELERATORS, OWN)
    parser.add_argument("--accelerators", nargs="+", default=list(known), choices=known)
    parser.add_argument("--programs", nargs="+", default=list(programs.PROGRAMS), choices=programs.PROGRAMS)
    parser.add_argument("--bus", nargs="+", type=int, default=list(programs.BUS_BITS))
    parser.add_argument("--latencies", nargs="+", type=int, default=list(programs.LATENCIES))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("build/validate"))
    parser.add_argument("--build-root", type=Path, default=Path("build/sim"))
    parser.add_argument(
        "--record", type=Path, default=Path("build/validate/rows.json"), help="the rows as JSON"
    )
    parser.add_argument("--page", type=Path, help="also write them to this page")
    return parser.parse_args()


def main() -> int:
    """Measure, write, and say what is over; the exit status."""
    arguments = parse()
    arguments.folder, arguments.build_root = arguments.folder.absolute(), arguments.build_root.absolute()
    done = all_rows(arguments)
    records = [{**asdict(row), "error": row.error, "speed_up": row.speed_up} for row in done]
    write_text(arguments.record, json.dumps(records, indent=1) + "\n")
    if arguments.page:
        options = " ".join(
            word for word in sys.argv[1:] if "/" not in word and not word.startswith(("--f", "--b"))
        )
        where = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
        command = f"python -m benchmarks.validate {options}".strip()
        write_text(arguments.page, page(done, f"`{command}` on {date.today().isoformat()}, {where}."))
    failed = [row for row in done if row.fails]
    worst = max(done, key=lambda row: abs(row.error))
    print(f"{len(done)} rows, {len(failed)} over; the largest error is {100 * worst.error:+.3f} %")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
