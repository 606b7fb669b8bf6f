"""Running cases: one simulation program for each file of cases, every case through it."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from campaigns.vectors import activation, columns, norms, probabilities, products, scalar, scores
from campaigns.vectors.case import Case
from vitreous.sim.bench.vectors import Block, Mismatch, VectorBench
from vitreous.spec.folders import SIMULATORS

GROUPS: dict[str, Callable[[], list[Case]]] = {
    # The longest first, so that the last ones to end are short.
    "scores": scores.cases,
    "probabilities": probabilities.cases,
    "scalar": scalar.cases,
    "products": products.cases,
    "norms": norms.cases,
    "columns": columns.cases,
    "activation": activation.cases,
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One case with its result. vectors : as the case counts them. values : compared ones, of all outputs.

    seconds : of everything, expected values and files included; cycles_per_second : of the simulation's CPU time.
    """

    unit: str
    variant: str
    space: str
    exhaustive: bool
    vectors: int
    values: int
    cycles: int
    mismatches: int
    examples: tuple[Mismatch, ...]
    seconds: float
    cycles_per_second: float

    def __str__(self) -> str:
        kind = "all" if self.exhaustive else "random"
        text = (
            f"{self.unit} {self.variant}: {self.vectors:,} vectors ({kind}: {self.space}), "
            f"{self.mismatches} mismatches, {self.seconds:.1f} s, {self.cycles_per_second:,.0f} cycles/s"
        )
        return "\n  ".join([text, *map(str, self.examples)])


@dataclass(frozen=True, kw_only=True)
class Group:
    """What one program ran. build_seconds : with the Verilog, which is made even where the program is there already.

    cpu_seconds : of this process and of all that it started, build included.
    """

    name: str
    build_seconds: float
    cached: bool
    cpu_seconds: float
    rows: tuple[Row, ...]


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run_group(
    name: str, count: int, seed: int, *, short: bool = False, root: str | Path = SIMULATORS
) -> Group:
    """Every case of a group with at least ``count`` random vectors each (less where a case has a share).

    short : one case for each unit and variant, the random one where there are two.
    """
    torch.set_num_threads(1)
    cases, before = GROUPS[name](), _cpu()
    if short:
        cases = list(
            {case.name: case for case in sorted(cases, key=lambda case: not case.exhaustive)}.values()
        )
    bench = VectorBench({case.name: case.make() for case in cases}, name=name, root=root)
    started = time.monotonic()
    cached = bench.build().cached
    build_seconds = time.monotonic() - started
    rows = tuple(_run_case(bench, case, count, seed) for case in cases)
    return Group(
        name=name, build_seconds=build_seconds, cached=cached, cpu_seconds=_cpu() - before, rows=rows
    )


def _run_case(bench: VectorBench, case: Case, count: int, seed: int) -> Row:
    # Random numbers of its own, whichever cases run beside it.
    rng = np.random.default_rng([seed, zlib.crc32(f"{case.name} {case.space}".encode())])
    vectors = 0

    def blocks() -> Iterator[Block]:
        nonlocal vectors
        for block in case.blocks(rng, round(count * case.share)):
            vectors += case.counted(block)
            yield block

    started = time.monotonic()
    result = bench.compare(case.name, blocks(), latency=case.latency)
    return Row(
        unit=case.unit,
        variant=case.variant,
        space=case.space,
        exhaustive=case.exhaustive,
        vectors=vectors,
        values=result.values,
        cycles=result.cycles,
        mismatches=result.mismatches,
        examples=result.examples[:2],
        seconds=time.monotonic() - started,
        cycles_per_second=result.cycles_per_second,
    )
