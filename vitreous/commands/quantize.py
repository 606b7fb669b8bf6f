"""``vitreous quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreous.commands import arguments
from vitreous.commands.output import Output, with_output


@with_output("quantize")
def quantize(
    output: Output,
    model: arguments.Model,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The integer graph (.safetensors, with a .json beside).")
    ],
    accelerator: arguments.FormatsOf = None,
    calibration: arguments.Calibration = None,
    calibration_images: arguments.CalibrationImages = None,
    observer: arguments.Observer = "output",
    probability_bits: arguments.ProbabilityBits = "auto",
    checkpoint: arguments.Checkpoint = None,
) -> None:
    """Quantize a float model to an integer graph.

    Softmax, activation and norm take their variants and number formats from the accelerator. Where it is too small for
    the model a line says so; without --accelerator one says which of the named ones hold it.

    \b
    Examples:
      vitreous quantize fashion-vit --out build/graph.safetensors
      vitreous quantize deit-tiny --checkpoint deit.safetensors --observer percentile --out deit.safetensors
      vitreous quantize my_package.models:make --accelerator mine.toml --calibration own.npz --out mine.safetensors
    """
    from vitreous.flow import run
    from vitreous.flow.options import Options
    from vitreous.spec import graph as graphs
    from vitreous.spec.config import load_accelerator

    config, path, bits = (
        load_accelerator(accelerator or run.FORMATS),
        arguments.safetensors_path(out),
        arguments.width_of(probability_bits),
    )
    options = Options(
        observer=observer, calibration_images=calibration_images, probability_bits=bits, checkpoint=checkpoint
    )
    display = output.display
    loaded = run.load(model, run.Data(calibration=calibration), options, display)
    images = {"origin": loaded.calibration_origin, "source": loaded.calibration_source}
    if output.dry_run:
        output.planned({"quantize": "to do"}, model=loaded.name, calibration=images, graph=path)
        return
    graph, sizes = run.quantized_aloud(loaded, config, options, display, named=accelerator is not None)
    graphs.save(graph, path)
    display.line(f"  -> {out}")
    output.result(
        model=loaded.name,
        calibration=images,
        graph=path,
        operations=len(graph.nodes),
        macs=graph.macs,
        sizes=sizes,
    )
