"""``vitreous quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreous.commands.arguments import (
    Accelerator,
    Calibration,
    CalibrationImages,
    Checkpoint,
    Model,
    Observer,
    ProbabilityBits,
    safetensors_path,
    width_of,
)
from vitreous.commands.output import DryRun, Json, Output, Quiet


def quantize(
    model: Model,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The integer graph (.safetensors, with a .json beside).")
    ],
    accelerator: Accelerator = "edge256",
    calibration: Calibration = None,
    calibration_images: CalibrationImages = None,
    observer: Observer = "output",
    probability_bits: ProbabilityBits = "auto",
    checkpoint: Checkpoint = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Quantize a float model to an integer graph.

    Softmax, activation and norm take their variants and number formats from the accelerator.

    \b
    Examples:
      vitreous quantize fashion-vit --out build/graph.safetensors
      vitreous quantize deit-tiny --checkpoint deit.safetensors --observer percentile --out deit.safetensors
      vitreous quantize my_package.models:make --accelerator mine.toml --calibration own.npz --out mine.safetensors
    """
    from vitreous.flow import run, steps
    from vitreous.flow.options import Options
    from vitreous.spec import graph as graphs
    from vitreous.spec.config import load_accelerator

    config, path, bits = load_accelerator(accelerator), safetensors_path(out), width_of(probability_bits)
    output = Output("quantize", quiet=quiet, as_json=as_json)
    options = Options(
        observer=observer, calibration_images=calibration_images, probability_bits=bits, checkpoint=checkpoint
    )
    display = output.display
    loaded = run.load(model, run.Data(calibration=calibration), options, display)
    images = {"origin": loaded.calibration_origin, "source": loaded.calibration_source}
    if dry_run:
        output.planned({"quantize": "to do"}, model=loaded.name, calibration=images, graph=path)
        return
    with display.stage("quantize") as stage:
        graph = run.quantized(loaded, config, options, stage.part)
        graphs.save(graph, path)
        stage.note(f"{len(graph.nodes)} operations, {graph.macs:,} MAC -> {out}")
    for line in steps.graph_lines(graph):
        display.line(f"  {line}")
    output.result(
        model=loaded.name, calibration=images, graph=path, operations=len(graph.nodes), macs=graph.macs
    )
