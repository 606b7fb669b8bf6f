"""``vitreous simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitreous.commands.arguments import (
    BuildDir,
    Latency,
    Throughput,
    cycle_window,
    folder_path,
)
from vitreous.commands.output import Output, with_output
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.limits import MEMORY_LATENCY

if TYPE_CHECKING:
    from vitreous.reports.record.record import Check

Images = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A .npy of images [n, C, H, W]: int8, or normalised floats."),
]
Model = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Take the images from this model's test images instead."),
]
Test = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Take the images from an .npz file, a folder of pictures or package.module:dataset instead.",
    ),
]
Graph = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The integer graph, to quantize float images and to compare with "
        "(default: graph.safetensors beside the program).",
    ),
]
Waves = Annotated[
    str | None, typer.Option(metavar="FIRST:LAST", help="Record waves.vcd of these cycles, and stop.")
]


@with_output("simulate")
def simulate(
    output: Output,
    program: Annotated[Path, typer.Argument(metavar="PROGRAM", help="A program of `vitreous compile`.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for outputs, counters and the record.")],
    images: Images = None,
    model: Model = None,
    test: Test = None,
    count: Annotated[int, typer.Option(metavar="N", help="How many of the images.", min=1)] = 1,
    graph: Graph = None,
    waves: Waves = None,
    memory_latency: Latency = MEMORY_LATENCY,
    memory_throughput: Throughput = 100,
    build_dir: BuildDir = SIMULATORS,
) -> None:
    """Run a program on the simulated RTL and compare what it stores with golden.

    Writes outputs.npy and recorded.json, which `vitreous report` takes. Exit status 1 when anything differs.

    \b
    Examples:
      vitreous simulate build/program.safetensors --model fashion-vit --count 16 --out build/simulated
      vitreous simulate build/program.safetensors --images images.npy --memory-latency 100 --out build/simulated
      vitreous simulate build/program.safetensors --images images.npy --waves 0:5000 --out build/waves
    """
    from vitreous.flow.comparison import differing
    from vitreous.flow.simulation import SimulateOptions, prepare

    options = SimulateOptions(
        images=images,
        model=model,
        test=test,
        count=count,
        graph=graph,
        waves=None if waves is None else cycle_window(waves),
        memory_latency=memory_latency,
        memory_throughput=memory_throughput,
        build_root=build_dir,
    )
    prepared = prepare(program, folder_path(out), options, output.display)
    named = {
        "model": prepared.program.graph_name,
        "accelerator": prepared.config.name,
        "folder": out.absolute(),
    }
    if output.dry_run:
        output.planned(
            dict.fromkeys(("build simulator", "simulate", "compare with golden"), "to do"), **named
        )
        return
    checks = prepared.carry_out()
    if checks is None:
        output.result(**named, waves=sorted(out.glob("waves/*.vcd")))
        return
    output.result(**named, images=len(prepared.inputs), checks=[_counted(check) for check in checks])
    if differing(checks):
        raise typer.Exit(1)


def _counted(check: Check) -> dict[str, Any]:
    return {
        "check": check.name,
        "unit": check.unit,
        "compared": check.compared,
        "different": check.different,
    }
