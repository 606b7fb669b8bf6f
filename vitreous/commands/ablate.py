"""``vitreous ablate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitreous.commands import arguments
from vitreous.commands.output import Output, with_output
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.limits import MEMORY_LATENCY

if TYPE_CHECKING:
    from vitreous.reports.ablation.ablation import Ablation

Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the table; a repeated run resumes in it.")]
Target = Annotated[
    str, typer.Option(metavar="NAME", help="Area on this target: xcup, or another that was measured.")
]
Rtl = Annotated[bool, typer.Option("--rtl", help="Run every accelerator that exists as RTL, one image each.")]


@with_output("ablate")
def ablate_command(
    output: Output,
    model: arguments.Model,
    out: Out,
    accelerator: arguments.Accelerator = "edge256",
    technology: arguments.Technology = None,
    dram: arguments.Dram = None,
    clock: arguments.Clock = None,
    target: Target = "xcup",
    rtl: Rtl = False,
    calibration: arguments.Calibration = None,
    calibration_images: arguments.CalibrationImages = None,
    test: arguments.Test = None,
    checkpoint: arguments.Checkpoint = None,
    memory_latency: arguments.Latency = MEMORY_LATENCY,
    memory_throughput: arguments.Throughput = 100,
    build_dir: arguments.BuildDir = SIMULATORS,
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

    choice = arguments.energy_choice(technology, dram)
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
    folder = arguments.folder_path(out)
    data, display = Data(calibration=calibration, test=test), output.display
    if output.dry_run:
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
