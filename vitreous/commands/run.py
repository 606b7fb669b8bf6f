"""``vitreous run``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vitreous.commands.arguments import (
    Accelerator,
    BuildDir,
    Calibration,
    Checkpoint,
    Clock,
    Dram,
    Latency,
    Model,
    Observer,
    ProbabilityBits,
    Technology,
    Throughput,
    energy_choice,
    folder_path,
    width_of,
)
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.limits import MEMORY_LATENCY


def run_command(
    model: Model,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for everything; a repeated run resumes in it.")
    ],
    accelerator: Accelerator = "edge256",
    images: Annotated[int, typer.Option(metavar="N", help="Test images to simulate in RTL.", min=1)] = 1,
    observer: Observer = "output",
    calibration: Calibration = None,
    probability_bits: ProbabilityBits = "auto",
    checkpoint: Checkpoint = None,
    clock: Clock = None,
    technology: Technology = None,
    dram: Dram = None,
    memory_latency: Latency = MEMORY_LATENCY,
    memory_throughput: Throughput = 100,
    build_dir: BuildDir = SIMULATORS,
) -> None:
    """Do everything: quantize, compile, write RTL, simulate, compare with golden, report.

    What is done already and unchanged is not done again. Exit status 1 when anything differs from golden.

    \b
    Examples:
      vitreous run fashion-vit --accelerator edge256 --images 16 --out build/demo
      vitreous run deit-tiny --accelerator mine.toml --clock 300 --out build/deit
      vitreous run my_package.models:make --images 2 --out build/mine
    """
    from vitreous.flow import pipeline

    options = pipeline.Options(
        observer=observer,
        calibration_images=calibration,
        probability_bits=width_of(probability_bits),
        checkpoint=checkpoint,
        clock_mhz=clock,
        energy=energy_choice(technology, dram),
        memory_latency=memory_latency,
        memory_throughput=memory_throughput,
        build_root=build_dir,
    )
    result = pipeline.run(
        model, accelerator, out=folder_path(out), images=images, options=options, quiet=False
    )
    if not result.equal:
        print("vitreous: the simulated accelerator differs from golden", file=sys.stderr)
        raise typer.Exit(1)
