"""``vitreous ablate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitreous.commands.arguments import (
    Accelerator,
    BuildDir,
    Calibration,
    CalibrationImages,
    Checkpoint,
    Clock,
    Dram,
    Latency,
    Model,
    Technology,
    Test,
    Throughput,
    energy_choice,
    folder_path,
)
from vitreous.commands.output import DryRun, Json, Output, Quiet
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.limits import MEMORY_LATENCY

if TYPE_CHECKING:
    from vitreous.reports.ablation.ablation import Ablation

Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the table; a repeated run resumes in it.")]
Target = Annotated[
    str, typer.Option(metavar="NAME", help="Area on this target: xcup, or another that was measured.")
]
Rtl = Annotated[bool, typer.Option("--rtl", help="Run every accelerator that exists as RTL, one image each.")]


def ablate_command(
    model: Model,
    out: Out,
    accelerator: Accelerator = "edge256",
    technology: Technology = None,
    dram: Dram = None,
    clock: Clock = None,
    target: Target = "xcup",
    rtl: Rtl = False,
    calibration: Calibration = None,
    calibration_images: CalibrationImages = None,
    test: Test = None,
    checkpoint: Checkpoint = None,
    memory_latency: Latency = MEMORY_LATENCY,
    memory_throughput: Throughput = 100,
    build_dir: BuildDir = SIMULATORS,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Switch every optimization off, alone and one after another: latency, energy and area of each step.

    Unified compute unit, single-pass softmax, low-cost GELU, fused attention, double buffering. Writes ablation.json,
    ablation.csv and ablation.html. Exit status 1 when the RTL differs from golden.

    \b
    Examples:
      vitreous ablate fashion-vit --out build/ablation
      vitreous ablate deit-tiny --accelerator edge256 --rtl --out build/ablation-deit
    """
    from vitreous.flow.run import Data
    from vitreous.reports.ablation.ablation import markdown
    from vitreous.studies.ablate import Options, ablate, prepare
    from vitreous.studies.switches import ORDER

    choice = energy_choice(technology, dram)
    options = Options(
        technology=choice.technology,
        dram=choice.dram,
        clock_mhz=clock,
        target=target,
        rtl=rtl,
        checkpoint=checkpoint,
        calibration_images=calibration_images,
        memory_latency=memory_latency,
        memory_throughput=memory_throughput,
        build_root=build_dir,
    )
    output, folder = Output("ablate", quiet=quiet, as_json=as_json), folder_path(out)
    data, display = Data(calibration=calibration, test=test), output.display
    if dry_run:
        loaded, config = prepare(model, accelerator, data, options, display)
        steps = dict.fromkeys(("nothing", *(switch.name for switch in ORDER)), "to do")
        output.planned(steps, model=loaded.name, accelerator=config.name, folder=folder)
        return
    found = ablate(model, accelerator, out=folder, data=data, options=options, display=display)
    output.text(f"\n{markdown(found)}")
    output.result(folder=folder, **found.as_dict())
    _require_equal(found)


def _require_equal(found: Ablation) -> None:
    if any(row.different for row in found.rows):
        print("vitreous: the simulated accelerator differs from golden", file=sys.stderr)
        raise typer.Exit(1)
