"""``python -m campaigns.combinations``: every combination of nonlinear variants runs a whole model, bit for bit.

The product of softmax, smooth activation and norm variants on one small array; each is an accelerator of its own and
so a Verilator build, too long for ``make test`` (there ``tests.support.sim.small`` has each variant at least once).
The model
is one encoder layer with 8-bit probabilities and one with 16; every second combination has RMS norm. Prints a line
for each, and exits with status 1 when a byte differs.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.support.compiler.graphs import random_image, random_vit_graph
from tests.support.sim.small import TINY
from tests.support.tree import DOCS
from vitreous.compiler import compile
from vitreous.flow.comparison import compare
from vitreous.sim.run.runtime import simulate
from vitreous.spec.config import AcceleratorConfig, ActivationConfig, NormConfig, SoftmaxConfig

PAGE = DOCS / "results" / "combinations.md"
SOFTMAX = ("base2", "online", "ibert", "ita")
NORM = ("one_pass", "two_pass")
GELU = {
    "gelu delta": ActivationConfig(),
    "gelu delta, not interpolated": ActivationConfig(interpolate=False),
    "gelu table": ActivationConfig(variant="table"),
    "gelu poly": ActivationConfig(variant="poly"),
    "gelu shift": ActivationConfig(variant="shift"),
    "silu delta": ActivationConfig(function="silu", range=12.0),
    "silu table": ActivationConfig(function="silu", variant="table", range=12.0),
    "silu shift": ActivationConfig(function="silu", variant="shift"),
}


@dataclass(frozen=True)
class Row:
    """One combination: its labels, bytes compared, bytes that differ, cycles."""

    labels: tuple[str, str, str]
    compared: int
    different: int
    cycles: int


def combinations() -> list[tuple[tuple[str, str, str], AcceleratorConfig]]:
    """Every accelerator of the product."""
    return [
        (
            (softmax, activation, norm),
            replace(
                TINY,
                name=f"combination-{index}",
                softmax=SoftmaxConfig(variant=softmax),
                activation=GELU[activation],
                norm=NormConfig(variant=norm),
            ),
        )
        for index, (softmax, activation, norm) in enumerate(itertools.product(SOFTMAX, GELU, NORM))
    ]


def run(index: int, labels: tuple[str, str, str], config: AcceleratorConfig) -> Row:
    """Build, simulate and compare one."""
    graph = random_vit_graph(
        index, image=(9, 6), patch=3, channels=1, dim=8, heads=2, depth=2, mlp=11, classes=5,
        softmax=config.softmax, activation=config.activation, norm=config.norm, widths=(8, 16), centred=index % 2 == 0,
    )  # fmt: skip
    program, image = compile(graph, config, observe=True), random_image(graph, index)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        result = simulate(program, [image], config, folder=root / "run", build_root=root / "build")
    (check,) = compare(None, config, [image], [(program, result.windows)])
    return Row(labels, check.compared, check.different, result.images[0].counters["cycles"])


def page(rows: list[Row], seconds: float, workers: int) -> str:
    """The results as Markdown."""
    lines = [
        "# Every combination of variants runs a whole model",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, `make combinations`, {platform.machine()}, {workers} builds at a time, "
        f"{seconds / 60:.1f} minutes. Two encoder layers (probabilities of 8 and of 16 bits) on a 4x4x2 array,",
        "simulated by Verilator and compared with the functional machine, every stored intermediate included.",
        "",
        "| softmax | activation | norm | bytes compared | differ | cycles |",
        "| --- | --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(row.labels)} | {row.compared} | {row.different} | {row.cycles} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Exit status 1 where a combination differs from golden."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--first", type=int, help="only the first N combinations, and no page")
    arguments = parser.parse_args()
    cases = combinations()[: arguments.first]
    start, rows = time.monotonic(), []
    with ThreadPoolExecutor(arguments.workers) as pool:
        for row in pool.map(lambda case: run(case[0], *case[1]), enumerate(cases)):
            rows.append(row)
            state = "ok" if not row.different else f"FAILED, {row.different} bytes differ"
            print(
                f"{len(rows)}/{len(cases)} {', '.join(row.labels)}: {state}, {row.cycles} cycles", flush=True
            )
    if arguments.first is None:
        PAGE.write_text(page(rows, time.monotonic() - start, arguments.workers))
    return 1 if any(row.different for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
