"""``vitreous ablate``."""

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
    Technology,
    Throughput,
    energy_choice,
    folder_path,
)
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.limits import MEMORY_LATENCY


def ablate_command(
    model: Model,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the table; a repeated run resumes in it.")
    ],
    accelerator: Accelerator = "edge256",
    technology: Technology = None,
    dram: Dram = None,
    clock: Clock = None,
    target: Annotated[
        str, typer.Option(metavar="NAME", help="Area on this target: xcup, or another that was measured.")
    ] = "xcup",
    rtl: Annotated[
        bool, typer.Option("--rtl", help="Run every accelerator that exists as RTL, one image each.")
    ] = False,
    calibration: Calibration = None,
    checkpoint: Checkpoint = None,
    memory_latency: Latency = MEMORY_LATENCY,
    memory_throughput: Throughput = 100,
    build_dir: BuildDir = SIMULATORS,
) -> None:
    """Switch every optimization off, alone and one after another: latency, energy and area of each step.

    Unified compute unit, single-pass softmax, low-cost GELU, fused attention, double buffering. Writes ablation.json,
    ablation.csv and ablation.html. Exit status 1 when the RTL differs from golden.

    \b
    Examples:
      vitreous ablate fashion-vit --out build/ablation
      vitreous ablate deit-tiny --accelerator edge256 --rtl --out build/ablation-deit
    """
    from vitreous.reports.ablation.ablation import markdown
    from vitreous.studies.ablate import Options, ablate

    choice = energy_choice(technology, dram)
    options = Options(
        technology=choice.technology,
        dram=choice.dram,
        clock_mhz=clock,
        target=target,
        rtl=rtl,
        checkpoint=checkpoint,
        calibration_images=calibration,
        memory_latency=memory_latency,
        memory_throughput=memory_throughput,
        build_root=build_dir,
    )
    found = ablate(model, accelerator, out=folder_path(out), options=options, quiet=False)
    print(f"\n{markdown(found)}")
    if any(row.different for row in found.rows):
        print("vitreous: the simulated accelerator differs from golden", file=sys.stderr)
        raise typer.Exit(1)
