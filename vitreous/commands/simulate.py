"""``vitreous simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreous.commands.arguments import (
    BuildDir,
    Latency,
    Throughput,
    cycle_window,
    folder_path,
)
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.limits import MEMORY_LATENCY


def simulate(
    program: Annotated[Path, typer.Argument(metavar="PROGRAM", help="A program of `vitreous compile`.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for outputs, counters and the record.")],
    images: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A .npy of images [n, C, H, W]: int8, or normalised floats."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Take the images from this model's test images instead."),
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", help="How many of the images.", min=1)] = 1,
    graph: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The integer graph, to quantize float images and to compare with "
            "(default: graph.safetensors beside the program).",
        ),
    ] = None,
    waves: Annotated[
        str | None, typer.Option(metavar="FIRST:LAST", help="Record waves.vcd of these cycles, and stop.")
    ] = None,
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
    from vitreous.flow.simulation import SimulateOptions, simulate_program

    options = SimulateOptions(
        images=images,
        model=model,
        count=count,
        graph=graph,
        waves=None if waves is None else cycle_window(waves),
        memory_latency=memory_latency,
        memory_throughput=memory_throughput,
        build_root=build_dir,
    )
    if not simulate_program(program, folder_path(out), options):
        raise typer.Exit(1)
