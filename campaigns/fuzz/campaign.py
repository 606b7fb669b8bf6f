"""Running cases, keeping what was found, and going on where a run stopped."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch

from campaigns.fuzz.case import Case, Kind
from campaigns.fuzz.referee import Finding, cycle_limit, judge
from campaigns.fuzz.simulation import build, simulate
from campaigns.fuzz.world import make_case
from vitreous.sim.dram import MemoryTiming
from vitreous.sim.run.build import Build
from vitreous.spec.digest import source_digest
from vitreous.spec.folders import SIMULATORS

BATCH = 40
"""Cases of one simulation."""
TIMINGS = (
    MemoryTiming(latency=1, throughput=100),
    MemoryTiming(latency=7, throughput=60),
    MemoryTiming(latency=40, throughput=37),
    MemoryTiming(latency=200, throughput=100),
)
"""The batches take turns."""
_DECIDING = (
    *("case.py", "configurations.py", "mutations.py", "written.py", "world.py"),
    *("referee.py", "simulation.py", "session.py"),
)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What became of one case."""

    configuration: str
    index: int
    kind: Kind
    finding: Finding
    why: str
    cycles: int


def timing_of(index: int) -> MemoryTiming:
    """The DRAM of a case's batch."""
    return TIMINGS[index // BATCH % len(TIMINGS)]


def digest(seed: int) -> str:
    """Changes with the seed and with everything that decides what a case is, does, or should do."""
    sources = source_digest("hw", "spec", "golden", "compiler", "sim/bench/fuzz.sv")
    state = hashlib.sha256(f"{seed} {sources} {BATCH} {TIMINGS}".encode())
    for name in _DECIDING:
        state.update((Path(__file__).parent / name).read_bytes())
    return state.hexdigest()[:16]


def run_cases(
    made: Build, name: str, cases: Mapping[int, Case], timing: MemoryTiming, folder: Path
) -> list[Record]:
    """Each case in the RTL and in golden; a case that leaves the machine dead ends its simulation, not the others."""
    limits = {index: cycle_limit(case, name, timing) for index, case in cases.items()}
    records, left = [], dict(cases)
    while left:
        seen = simulate(made, name, left, limits, timing, folder)
        for index, found in seen.items():
            case = left.pop(index)
            verdict = judge(case, name, found, limits[index])
            records.append(
                Record(
                    configuration=name,
                    index=index,
                    kind=case.kind,
                    finding=verdict.finding,
                    why=verdict.why,
                    cycles=found.cycles,
                )
            )
    return records


@cache
def _built(name: str, root: Path) -> Build:
    """Once in each process: the Verilog is written again to see whether the build is still right."""
    return build(name, root)


def _batch(name: str, seed: int, indices: Sequence[int], root: Path) -> list[Record]:
    torch.set_num_threads(1)
    cases = {index: make_case(name, seed, index) for index in indices}
    with tempfile.TemporaryDirectory() as folder:
        return run_cases(_built(name, root), name, cases, timing_of(indices[0]), Path(folder) / "run")


class Store:
    """Records of one state of the sources, in a file for each configuration; others are not believed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._key = folder, digest(seed)
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, name: str) -> dict[int, Record]:
        path = self._path(name)
        records = {}
        for line in path.read_text().splitlines() if path.is_file() else ():
            fields = json.loads(line)
            if fields.pop("key") == self._key:
                kind, finding = Kind(fields.pop("kind")), Finding(fields.pop("finding"))
                records[fields["index"]] = Record(kind=kind, finding=finding, **fields)
        return records

    def add(self, records: Sequence[Record]) -> None:
        for record in records:
            with self._path(record.configuration).open("a") as file:
                file.write(json.dumps({"key": self._key, **asdict(record)}) + "\n")

    def _path(self, name: str) -> Path:
        return self._folder / f"{name.replace(' ', '-')}.jsonl"


def run(
    names: Sequence[str],
    programs: int,
    seed: int,
    *,
    folder: Path,
    jobs: int,
    done: Callable[[int], object],
    root: Path = Path(SIMULATORS),
) -> list[Record]:
    """``programs`` cases, as many on each configuration; those that are in ``folder`` already are taken from there.

    done : told how many more are known.
    """
    store, records = Store(folder, seed), []
    share = -(-programs // len(names))
    batches: list[tuple[str, list[int]]] = []
    for name in names:
        known = store.read(name)
        kept = [record for index, record in known.items() if index < share]
        records += kept
        done(len(kept))
        batches += [(name, indices) for indices in _batches(share, known)]
    # Fresh processes: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        tasks = [pool.submit(_batch, name, seed, indices, root) for name, indices in batches]
        for task in as_completed(tasks):
            found = task.result()
            store.add(found)
            records += found
            done(len(found))
    return records


def _batches(count: int, known: Mapping[int, Record]) -> Iterator[list[int]]:
    """What is not known of each batch, the empty ones left out."""
    for first in range(0, count, BATCH):
        missing = [index for index in range(first, min(first + BATCH, count)) if index not in known]
        if missing:
            yield missing


def tally(records: Sequence[Record], *, by: Callable[[Record], str]) -> dict[str, Counter[Finding]]:
    """How often what was found, by configuration or kind."""
    counts: dict[str, Counter[Finding]] = {}
    for record in records:
        counts.setdefault(by(record), Counter())[record.finding] += 1
    return counts


def decided(counts: Counter[Finding]) -> float:
    """The share of cases in which golden gives a verdict and bytes; two runs that were seen as one do not count."""
    counted = counts.total() - counts[Finding.COLLIDED]
    return 1 - counts[Finding.OPEN] / counted if counted else 1.0


def default_jobs() -> int:
    """A simulation for each core."""
    return os.cpu_count() or 1
