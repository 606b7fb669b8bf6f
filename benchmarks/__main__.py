"""``python -m benchmarks``: utilization and simulation speed on one DeiT-Tiny layer, beside cocotb's default
runner.

For each accelerator the same program runs on two builds of the same RTL: ours (sim.run.build) to its end, and
the one that
cocotb's runner makes by itself, with cocotb's clock, for as many cycles as ``--default-cycles`` allows. The
ratio of their
speeds is the figure; absolute speeds depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from vitreous.compiler import compile
from vitreous.models.vit import VisionTransformer, ViTConfig
from vitreous.quant import quantize
from vitreous.sim.dram import MemoryTiming
from vitreous.sim.run import runtime
from vitreous.sim.run.build import build, build_default
from vitreous.sim.run.toolchain import verilator
from vitreous.spec.config import AcceleratorConfig, load_accelerator
from vitreous.spec.graph import Graph
from vitreous.spec.images import quantize_images
from vitreous.spec.program import Program

ACCELERATORS = ("edge64", "edge256", "edge1024", "square256")


@dataclass(frozen=True)
class Speed:
    """One row: what the array did and how fast both builds simulate it."""

    accelerator: str
    macs_per_cycle: int
    cycles: int
    utilization: float
    build_seconds: float
    cycles_per_second: float
    default_cycles_per_second: float

    @property
    def ratio(self) -> float:
        return self.cycles_per_second / self.default_cycles_per_second


def deit_tiny_layer(config: AcceleratorConfig) -> tuple[Graph, np.ndarray]:
    """A DeiT-Tiny of one encoder layer (seeded random weights), quantized for ``config``, and one int8 image."""
    torch.manual_seed(0)
    shape = ViTConfig(image_size=224, patch_size=16, in_channels=3, dim=192, depth=1, heads=3, num_classes=16)
    images = torch.randn(2, 3, 224, 224)
    graph = quantize(
        VisionTransformer(shape).eval(),
        images,
        name="deit-tiny-layer",
        softmax=config.softmax,
        activation=config.activation,
    )
    return graph, quantize_images(graph, images[:1].numpy())[0]


def _default_speed(
    program: Program, image: np.ndarray, config: AcceleratorConfig, folder: Path, cycles: int
) -> float:
    made = build_default(config)
    plan = runtime.make_plan(
        program, config, made, MemoryTiming(), trace=False, external_clock=True, maximum_cycles=cycles
    )
    target = folder.absolute() / f"default-{config.name}"
    runtime.clear(target)
    runtime.run_plan(program, [image], made, plan, target)
    result = json.loads((target / "image-0000.json").read_text())
    return float((result["last_cycle"] - result["first_cycle"]) / result["seconds"])


def measure(name: str, folder: Path, default_cycles: int) -> Speed:
    """Build, run and time one accelerator both ways."""
    config = load_accelerator(name)
    graph, image = deit_tiny_layer(config)
    program = compile(graph, config)
    made = build(config)
    target = folder / f"fast-{name}"
    runtime.clear(target)
    run = runtime.simulate(program, [image], config, folder=target, trace=False)
    cycles = run.images[0].counters["cycles"]
    return Speed(
        accelerator=name,
        macs_per_cycle=config.array.macs_per_cycle,
        cycles=cycles,
        utilization=graph.macs / (cycles * config.array.macs_per_cycle),
        build_seconds=made.seconds,
        cycles_per_second=run.cycles_per_second,
        default_cycles_per_second=_default_speed(program, image, config, folder, default_cycles),
    )


def _table(rows: list[Speed]) -> Table:
    table = Table(title=f"One DeiT-Tiny layer; {verilator()}; {platform.machine()}")
    for column in (
        "accelerator",
        "MAC/cycle",
        "cycles",
        "utilization",
        "build s",
        "cycles/s",
        "default",
        "ratio",
    ):
        table.add_column(column, justify="left" if column == "accelerator" else "right")
    for row in rows:
        table.add_row(
            row.accelerator,
            str(row.macs_per_cycle),
            f"{row.cycles:,}",
            f"{row.utilization:.3f}",
            f"{row.build_seconds:.1f}",
            f"{row.cycles_per_second:,.0f}",
            f"{row.default_cycles_per_second:,.0f}",
            f"{row.ratio:.1f}x",
        )
    return table


def _record(rows: list[Speed], path: Path) -> None:
    record = {
        "date": date.today().isoformat(),
        "command": "make bench",
        "machine": f"{platform.machine()}, {platform.system()}",
        "rows": [{**asdict(row), "ratio": row.ratio} for row in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")


def main() -> None:
    """Print the table; with ``--record`` the figures are written after each row, so that an interruption keeps them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("accelerators", nargs="*", default=list(ACCELERATORS))
    parser.add_argument("--folder", type=Path, default=Path("build/bench"))
    parser.add_argument(
        "--default-cycles", type=int, default=60_000, help="cycles to run on the default build"
    )
    parser.add_argument("--record", type=Path, help="also write the figures to this JSON file")
    arguments = parser.parse_args()
    console = Console(width=110)
    rows: list[Speed] = []
    for name in arguments.accelerators:
        with console.status(f"{name}: building and simulating twice"):
            rows.append(measure(name, arguments.folder, arguments.default_cycles))
        if arguments.record:
            _record(rows, arguments.record)
    console.print(_table(rows))


if __name__ == "__main__":
    main()
