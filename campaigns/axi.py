"""``python -m campaigns.axi``: whole programs between a memory and a host that do everything that AXI allows.

Answers of different ids out of order and interleaved, up to 500 cycles late, pauses on every channel, writes whose
data come before their addresses; power-up with unknown or random registers and memories; resets in the middle. Icarus
Verilog (four states) where it is installed, else Verilator, without the runs with unknown values. Writes
docs/results/axi.md and exits with status 1 when a rule of AXI is broken, a byte differs from the functional machine,
or a run does not end.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from tests.support.sim.small import CONFIGURATIONS, TINY, golden_window, small_program
from tests.support.tree import DOCS
from vitreous.sim.bench.axi.memory import WRITES
from vitreous.sim.bench.axi.run import AxiRun, Traffic, build_axi, simulate_axi
from vitreous.sim.errors import SimulationError
from vitreous.sim.run import toolchain
from vitreous.spec import isa
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.program import Program

PAGE = DOCS / "results" / "axi.md"
STALLS = (0.0, 0.2, 0.3, 0.5, 0.85)
LATENCIES = ((0, 20), (0, 500))
IBERT, PACKED = "small-4x1-128-ibert", "small-8x4-64-base2"
RELU, TOKENS, POOLED, TILES = (
    "K smaller than N, relu",
    "class token, many classes",
    "one token, one head, pooled",
    "several tiles, pooled",
)
RESETS = 8
"""Of one run, each some cycles after a start."""
EXPLANATION = """\
Each row is a whole program between a memory and a host of our own (`sim/bench/axi`), written from the rules of AXI.
Answers of fetch and load (two ids) come in any order and beat by beat between each other; each burst is answered after
its own latency (cycles, drawn from the range); every channel pauses in a cycle with the probability `stall`; what is
driven beside a channel that is not valid is noise. Writes: `data first` takes an address when all data of its burst
have come, `addresses first` no data before, `together` no address without data. Power-up: registers and memories hold
zeros, random values, or are unknown (X, four states). Resets: so many starts are followed by CONTROL.reset in a random
cycle before the run that is compared.

Checked in every cycle: valid and payload hold until the transfer; INCR, size, alignment, length, 4 KiB, windows,
AxCACHE, AxPROT, ids; at most `bus.outstanding_reads` bursts of load; WLAST, strobes; nothing unknown in a handshake, an
address or a stored byte; the interrupt, and STATUS 0 after a reset, only with a quiet bus; nothing after the interrupt;
the host port's answers, with address and data of a write in any order.

Inserted: beats of another id inside a burst. Overtaken: bursts done before an older one.

| accelerator | program | latency | stall | writes | power-up | resets | cycles | inserted | overtaken | bytes differ \
| violations |
| --- | --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """One run: a program on an accelerator, what the memory does, what is there at power-up, when it is reset."""

    machine: str
    case: str
    traffic: Traffic
    power: str = "zero"
    seed: int = 0
    resets: tuple[int, ...] = ()

    def __str__(self) -> str:
        traffic = self.traffic
        return (
            f"{self.machine}, {self.case}: latency {traffic.latency[0]} to {traffic.latency[1]}, stall "
            f"{traffic.stall:g}, {traffic.writes}, {self.power}, {len(self.resets)} resets, seed {self.seed}"
        )


@dataclass(frozen=True, kw_only=True)
class Row:
    """A run and what came of it; ``failure``: why there is no result."""

    place: Place
    result: AxiRun | None
    different: int
    seconds: float
    failure: str = ""

    @property
    def holds(self) -> bool:
        result = self.result
        if result is None or result.violations or self.different:
            return False
        return result.statuses == (*[0] * len(self.place.resets), isa.STATUS_DONE)


def traffics(stalls: Iterable[float] = STALLS) -> Iterator[Traffic]:
    """Every latency and order of writes with each of ``stalls``."""
    for stall, latency, writes in itertools.product(stalls, LATENCIES, WRITES):
        yield Traffic(stall=stall, latency=latency, writes=writes)


def matrix() -> list[Place]:
    """49 runs of two programs on 4x2 arrays with 64 bits, one on 4x1 with 128, one on 8x4 with 64."""
    places = [Place(machine=TINY.name, case=RELU, traffic=traffic) for traffic in traffics()]
    places += [Place(machine=TINY.name, case=TOKENS, traffic=traffic) for traffic in traffics((0.3,))]
    wide = [traffic for number, traffic in enumerate(traffics()) if number % 3 == number // 6 % 3]
    wide.append(Traffic(stall=0.3, latency=(0, 0), writes=WRITES[2]))
    places += [Place(machine=IBERT, case=POOLED, traffic=traffic) for traffic in wide]
    places += [
        Place(machine=PACKED, case=TILES, traffic=Traffic(stall=stall, latency=(0, 20), writes=writes))
        for stall, writes in ((0.0, WRITES[1]), (0.3, WRITES[0]))
    ]
    return [_seeded(place, number) for number, place in enumerate(places)]


def power_ups() -> list[Place]:
    """Eleven runs that do not begin with zeros."""
    cases = ((TINY.name, RELU), (TINY.name, TOKENS), (IBERT, POOLED), (PACKED, TILES))
    places = [Place(machine=m, case=c, power="unknown", traffic=Traffic(stall=0.2)) for m, c in cases]
    places += [
        Place(machine=machine, case=case, power="random", traffic=Traffic(stall=0.2, writes=writes))
        for (machine, case), writes in zip(
            [*cases[:3], *cases[:3], cases[0]], itertools.cycle(WRITES), strict=False
        )
    ]
    return [_seeded(place, 100 + number) for number, place in enumerate(places)]


def resets(programs: Sequence[tuple[str, str]] = ((TINY.name, RELU), (IBERT, POOLED))) -> list[Place]:
    """Six runs with resets in random cycles before the one that must be right."""
    places = []
    for (machine, case), (number, writes) in itertools.product(programs, enumerate(WRITES)):
        rng = random.Random(f"{machine} {number}")
        traffic = Traffic(stall=0.3, latency=LATENCIES[number % 2], writes=writes)
        cycles = tuple(rng.randrange(1, 60 if k % 2 else 1500) for k in range(RESETS))
        places.append(Place(machine=machine, case=case, traffic=traffic, resets=cycles))
    return [_seeded(place, 200 + number) for number, place in enumerate(places)]


def _seeded(place: Place, seed: int) -> Place:
    return replace(place, seed=seed)


@lru_cache(maxsize=4)
def _program(machine: str, case: str) -> tuple[Program, np.ndarray, np.ndarray]:
    config = CONFIGURATIONS[machine]
    program, image = small_program(config, case)
    return program, image, golden_window(program, image, config)


def run(place: Place, simulator: str, root: str | Path = SIMULATORS) -> Row:
    """Build, run, compare with the functional machine."""
    config = CONFIGURATIONS[place.machine]
    program, image, expected = _program(place.machine, place.case)
    made = build_axi(config, simulator=simulator, power=place.power, seed=place.seed, root=root)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = simulate_axi(
                program,
                image,
                config,
                made,
                folder=folder,
                traffic=place.traffic,
                seed=place.seed,
                resets=place.resets,
            )
        except SimulationError as error:
            return Row(place=place, result=None, different=0, seconds=0.0, failure=str(error))
    different = int((result.window != expected).sum())
    return Row(place=place, result=result, different=different, seconds=time.monotonic() - started)


def _line(row: Row) -> str:
    place, result, traffic = row.place, row.result, row.place.traffic
    cells = [
        place.machine.removeprefix("small-"),
        place.case,
        f"{traffic.latency[0]}..{traffic.latency[1]}",
        f"{traffic.stall:g}",
        traffic.writes,
        place.power,
        str(len(place.resets) or ""),
    ]
    if result is None:
        return f"| {' | '.join(cells)} | | | | | {row.failure} |"
    cells += [f"{result.cycles:,}", str(result.inserted), str(result.overtaken), str(row.different)]
    return f"| {' | '.join(cells)} | {'; '.join(result.violations) or '0'} |"


def page(rows: Sequence[Row], command: str, simulator: str, seconds: float) -> str:
    """docs/results/axi.md."""
    good = sum(row.holds for row in rows)
    results = [row.result for row in rows if row.result is not None]
    broken, different = sum(len(r.violations) for r in results), sum(row.different for row in rows)
    lines = [
        "# AXI: what the rules allow",
        "",
        f"{good} of {len(rows)} runs hold: {broken} violations, {different} bytes that differ from golden, "
        f"{sum(result.bytes_written for result in results):,} bytes written, "
        f"{sum(result.cycles for result in results):,} cycles.",
        f"{datetime.now(UTC):%Y-%m-%d}, `{command}`, {simulator}, {platform.machine()}, {seconds:.0f} s of wall time.",
        "",
        EXPLANATION,
    ]
    return "\n".join([*lines, *map(_line, rows), ""])


def main() -> int:
    """Run all, write the page; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.axi", description=__doc__)
    parser.add_argument("--workers", type=int, default=1, help="simulations at a time")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the results go")
    parser.add_argument("--build-dir", type=Path, default=SIMULATORS, help="compiled simulators")
    arguments = parser.parse_args()
    simulator = "icarus" if toolchain.iverilog() else "verilator"
    places = [*matrix(), *power_ups(), *resets()]
    if simulator == "verilator":
        print("Icarus Verilog is not installed: the runs with unknown values are left out", file=sys.stderr)
        places = [place for place in places if place.power != "unknown"]
    started = time.monotonic()
    rows = []
    with ProcessPoolExecutor(arguments.workers) as pool:
        count = len(places)
        for row in pool.map(run, places, [simulator] * count, [arguments.build_dir] * count):
            rows.append(row)
            verdict = "holds" if row.holds else f"FAILS {row.failure or row.result}"
            print(f"{len(rows)}/{count} {row.place}: {verdict} ({row.seconds:.0f} s)", flush=True)
    text = page(rows, "make axi", simulator, time.monotonic() - started)
    arguments.page.write_text(text)
    return int(not all(row.holds for row in rows))


if __name__ == "__main__":
    sys.exit(main())
