"""``python -m benchmarks.validate``: the cycle model against RTL, and how much faster it is.

Programs x accelerators x bus widths x memory timings, one row each. Exit status 1 where the cycles of a row differ by
more than 1 %, or where the whole of a program of more than a million cycles is not predicted at least 50 times faster
than it is simulated in the same run. Results of the RTL are kept in ``--folder`` and used again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.compiler.graphs import random_image, random_vit_graph
from vitreous import steps
from vitreous.compiler import compile
from vitreous.sim.cycles import predict
from vitreous.sim.runtime import MemoryTiming, simulate
from vitreous.spec.config import AcceleratorConfig, load_accelerator
from vitreous.spec.graph import Graph

LIMIT = 0.01
SPEED_UP = 50
LONG = 1_000_000
"""Cycles from which on the speed of the model counts: below, start-up decides."""
ACCELERATORS = ("edge64", "edge256", "edge1024", "square256")
BUS_BITS = (64, 128, 256)
LATENCIES = (1, 40, 200)
MODELS = ("fashion-vit", "deit-tiny")
RANDOM = {
    "class token": {"seed": 11, "image": (24, 16), "patch": 4, "dim": 48, "heads": 3, "depth": 2, "mlp": 100},
    "pooled": {
        "seed": 12, "image": (15, 10), "patch": 5, "channels": 2, "dim": 15, "heads": 3, "depth": 1, "mlp": 37,
        "class_token": False, "activation": "relu", "classes": 41,
    },
}  # fmt: skip
"""Transformers with random weights and sizes that no array divides (tests.compiler.graphs)."""


@dataclass(frozen=True)
class Row:
    """One program on one accelerator; seconds are wall time of the RTL's run and of the best of three predictions."""

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
    def fails(self) -> bool:
        return abs(self.error) > LIMIT or (self.rtl_cycles > LONG and self.speed_up < SPEED_UP)


@lru_cache(maxsize=4)
def _model_graph(name: str, accelerator: str) -> Graph:
    return steps.quantize(steps.load_model(name), load_accelerator(accelerator))


def workload(name: str, accelerator: str) -> tuple[Graph, np.ndarray]:
    """The integer graph of a shipped or a random model, and an image: which one does not matter for the time."""
    sizes = RANDOM.get(name)
    graph = random_vit_graph(**sizes) if sizes else _model_graph(name, accelerator)
    return graph, random_image(graph, 0)


def configuration(accelerator: str, bus_bits: int) -> AcceleratorConfig:
    """A named accelerator with another bus."""
    config = load_accelerator(accelerator)
    name = accelerator if config.bus.data_bits == bus_bits else f"{accelerator}-{bus_bits}"
    return dataclasses.replace(config, name=name, bus=dataclasses.replace(config.bus, data_bits=bus_bits))


def measure(
    program_name: str, accelerator: str, bus_bits: int, timing: MemoryTiming, folder: Path, build_root: Path
) -> Row:
    """Simulate and predict one program."""
    graph, image = workload(program_name, accelerator)
    config = configuration(accelerator, bus_bits)
    program = compile(graph, config)
    name = f"{program_name}-{config.name}-{timing.latency}-{timing.throughput}".replace(" ", "-")
    run = simulate(
        program, [image], config, folder=folder / name, timing=timing, build_root=build_root, trace=False
    ).images[0]
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        prediction = predict(program, config, timing)
        seconds.append(time.perf_counter() - started)
    return Row(
        program=program_name,
        accelerator=accelerator,
        bus_bits=bus_bits,
        latency=timing.latency,
        throughput=timing.throughput,
        instructions=len(program.instructions),
        rtl_cycles=run.counters["cycles"],
        model_cycles=prediction.cycles,
        rtl_seconds=run.seconds,
        model_seconds=min(seconds),
    )


COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("program", lambda row: row.program),
    ("accelerator", lambda row: row.accelerator),
    ("bus", lambda row: str(row.bus_bits)),
    ("latency", lambda row: str(row.latency)),
    ("RTL cycles", lambda row: f"{row.rtl_cycles:,}"),
    ("model", lambda row: f"{row.model_cycles:,}"),
    ("error %", lambda row: f"{100 * row.error:+.3f}"),
    ("RTL s", lambda row: f"{row.rtl_seconds:.1f}"),
    ("model s", lambda row: f"{row.model_seconds:.2f}"),
    ("faster", lambda row: f"{row.speed_up:.0f}x"),
    ("", lambda row: "over" if row.fails else ""),
)


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    """One accelerator after the other, so that each is built once."""
    for accelerator in arguments.accelerators:
        for bus_bits in arguments.bus:
            for program in arguments.programs:
                for latency in arguments.latencies:
                    timing = MemoryTiming(latency=latency, throughput=arguments.throughput)
                    yield measure(
                        program, accelerator, bus_bits, timing, arguments.folder, arguments.build_root
                    )


def main() -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accelerators", nargs="+", default=list(ACCELERATORS))
    parser.add_argument("--programs", nargs="+", default=[*RANDOM, *MODELS], choices=[*RANDOM, *MODELS])
    parser.add_argument("--bus", nargs="+", type=int, default=list(BUS_BITS))
    parser.add_argument("--latencies", nargs="+", type=int, default=list(LATENCIES))
    parser.add_argument("--throughput", type=int, default=100, help="beats of the memory in every 100 cycles")
    parser.add_argument("--folder", type=Path, default=Path("build/validate"))
    parser.add_argument("--build-root", type=Path, default=Path("build/sim"))
    parser.add_argument("--record", type=Path, help="also write the rows to this JSON file")
    arguments = parser.parse_args()
    console = Console(width=110)
    table = Table(title="The cycle model against RTL")
    for title, _ in COLUMNS:
        table.add_column(title, justify="left" if title in ("program", "accelerator", "") else "right")
    done: list[Row] = []
    for row in rows(arguments):
        done.append(row)
        table.add_row(*(text(row) for _, text in COLUMNS))
        console.print(
            f"{row.program}, {row.accelerator}, {row.bus_bits} bit, {row.latency}: {100 * row.error:+.3f} %"
        )
    console.print(table)
    worst = max(done, key=lambda row: abs(row.error))
    failed = sum(row.fails for row in done)
    console.print(f"{len(done)} rows, {failed} over; the largest error is {100 * worst.error:+.3f} %")
    if arguments.record:
        arguments.record.write_text(
            json.dumps([{**asdict(row), "error": row.error} for row in done], indent=1) + "\n"
        )
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
