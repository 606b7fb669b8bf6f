"""Running cases: one simulation program for each file of cases, every case through it."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tests.vectors import activation, probabilities, scalar, scores
from tests.vectors.case import Case
from vitreous.sim.build import DEFAULT_FOLDER
from vitreous.sim.vectors import VectorBench, VectorResult

GROUPS: dict[str, Callable[[], list[Case]]] = {
    "scalar": scalar.cases,
    "activation": activation.cases,
    "scores": scores.cases,
    "probabilities": probabilities.cases,
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One case with its result; ``seconds`` has its share of everything: expected values, files, simulation."""

    case: Case
    result: VectorResult
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Group:
    """What one program ran. build_seconds : 0 where it was built before."""

    name: str
    build_seconds: float
    rows: tuple[Row, ...]


def run_group(name: str, count: int, seed: int, *, root: str | Path = DEFAULT_FOLDER) -> Group:
    """Every case of a group with at least ``count`` random vectors each."""
    torch.set_num_threads(1)
    cases = GROUPS[name]()
    bench = VectorBench({case.name: case.make() for case in cases}, name=name, root=root)
    started = time.monotonic()
    bench.build()
    build_seconds = time.monotonic() - started
    rows = []
    for case in cases:
        started = time.monotonic()
        # Its own stream, whichever cases run beside it.
        rng = np.random.default_rng([seed, zlib.crc32(f"{case.name} {case.space}".encode())])
        result = bench.compare(
            case.name, case.blocks(rng, round(count * case.share)), latency=case.latency, ignore=case.ignore
        )
        rows.append(Row(case=case, result=result, seconds=time.monotonic() - started))
    return Group(name=name, build_seconds=build_seconds, rows=tuple(rows))
