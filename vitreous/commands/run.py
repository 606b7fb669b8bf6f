"""``vitreous run``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitreous.commands import arguments
from vitreous.commands.output import Output, with_output
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.limits import MEMORY_LATENCY

if TYPE_CHECKING:
    from vitreous.flow.run import Prepared
    from vitreous.reports import Report


Out = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder for everything; a repeated run resumes in it (default: build/MODEL-ACCELERATOR).",
    ),
]


@with_output("run")
def run_command(
    output: Output,
    model: arguments.Model,
    out: Out = None,
    accelerator: arguments.Accelerator = "edge256",
    images: Annotated[int, typer.Option(metavar="N", help="Test images to simulate in RTL.", min=1)] = 1,
    calibration: arguments.Calibration = None,
    calibration_images: arguments.CalibrationImages = None,
    test: arguments.Test = None,
    test_images: arguments.TestImages = None,
    observer: arguments.Observer = "output",
    probability_bits: arguments.ProbabilityBits = "auto",
    checkpoint: arguments.Checkpoint = None,
    clock: arguments.Clock = None,
    technology: arguments.Technology = None,
    dram: arguments.Dram = None,
    memory_latency: arguments.Latency = MEMORY_LATENCY,
    memory_throughput: arguments.Throughput = 100,
    build_dir: arguments.BuildDir = SIMULATORS,
) -> None:
    """Do everything: quantize, compile, write RTL, simulate, compare with golden, report.

    What is done already and unchanged is not done again. Exit status 1 when anything differs from golden.

    \b
    Examples:
      vitreous run fashion-vit --accelerator edge256 --images 16 --out build/demo
      vitreous run deit-tiny --accelerator mine.toml --clock 300 --out build/deit
      vitreous run my_package.models:make --calibration pictures --test test.npz --out build/mine
    """
    from vitreous.flow import run
    from vitreous.flow.options import Options

    options = Options(
        images=images,
        observer=observer,
        calibration_images=calibration_images,
        test_images=test_images,
        probability_bits=arguments.width_of(probability_bits),
        checkpoint=checkpoint,
        clock_mhz=clock,
        energy=arguments.energy_choice(technology, dram),
        memory_latency=memory_latency,
        memory_throughput=memory_throughput,
        build_root=build_dir,
    )
    data = run.Data(calibration=calibration, test=test)
    prepared = run.prepare(model, accelerator, data=data, out=out, options=options, display=output.display)
    if output.dry_run:
        output.planned(dict(prepared.plan()), **_named(prepared))
        return
    report = prepared.carry_out()
    output.result(**_named(prepared), **_figures(report))
    if not report.equal:
        print("vitreous: the simulated accelerator differs from golden", file=sys.stderr)
        raise typer.Exit(1)


def _named(prepared: Prepared) -> dict[str, Any]:
    """What is run on what, and where."""
    model = prepared.model
    return {
        "model": model.name,
        "accelerator": prepared.config.name,
        "calibration": {"origin": model.calibration_origin, "source": model.calibration_source},
        "test": {"origin": model.test_origin, "source": model.test_source},
        "folder": prepared.folder.absolute(),
    }


FIGURES = (
    "equal",
    "values_compared",
    "values_different",
    "bytes_compared",
    "bytes_different",
    "accuracy_float",
    "accuracy_int",
    "accuracy_int_interval",
    "accuracy_images",
    "accuracy_note",
    "accuracy_caution",
    "agreement",
    "agreement_interval",
    "cycles_per_image",
    "utilization",
    "latency_ms",
    "clock_mhz",
    "clock_source",
)
"""Of the report, in the document on stdout; the rest is in report.json in the folder."""


def _figures(report: Report) -> dict[str, Any]:
    return {name: getattr(report, name) for name in FIGURES}
