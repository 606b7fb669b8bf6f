"""How far the integer graph is from the float network: of its output, of every layer, and what costs most.

Measured on the images that ranges were judged on: the integer graph in ``golden`` against the float network, in its
canonical form, never against anything that was rounded or cut off before.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from vitreous.golden.interpreter import watch
from vitreous.quant.calibrate.calibration import Calibrated
from vitreous.quant.calibrate.forward import Forward
from vitreous.quant.calibrate.saturation import WARNED_SHARE
from vitreous.quant.errors import AccuracyWarning, SaturationWarning
from vitreous.quant.importer import float_ir as ir
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.graph import Graph, Op
from vitreous.spec.images import quantize_images, real_values
from vitreous.spec.numbers import INT16

WARNED_ERROR = 0.1
"""From this relative error of the output on a warning says so."""
WARNED_CHOSEN = 0.01
"""From this share of values beyond a range that was chosen so on a warning says so ..."""
WARNED_LOSS = WARNED_ERROR / 2
"""... where the output was seen to gain from the range: only if the tensor alone still costs the output so much."""
_CHOSEN = "int8 values"
IMAGES = 4
"""Images that are compared, at most."""


@dataclass(kw_only=True)
class Quality:
    """Relative errors ``sqrt(sum (integer - float)**2 / sum float**2)`` by tensor, over ``images`` images.

    ends : the share of values at the ends of int16, by tensor, of those whose range calibration has chosen: streams,
    what is added to them, and logits.
    """

    images: int
    output: float
    tensors: dict[str, float] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)


def measure(
    graph: Graph, calibrated: Calibrated, report: Callable[[int, int], None] | None = None
) -> Quality:
    """Compare ``graph`` with the float network, one image at a time: memory holds the integer tensors of one image."""
    encoder = calibrated.exact
    names = {encoder.name(source) for source in encoder.sources if source.serial not in calibrated.squeezed}
    scales = _scales(graph, names)
    ends = dict.fromkeys(_sixteen_bits(graph), 0)
    held = calibrated.held
    count = min(IMAGES, len(held))
    chosen = held[[number * len(held) // count for number in range(count)]]
    integers = quantize_images(graph, chosen.numpy())
    sums: dict[str, np.ndarray] = {name: np.zeros(2) for name in scales}
    forward = Forward(encoder)
    for number in range(count):
        found: dict[str, Tensor] = {}

        def keep(name: str, value: Tensor, found: dict[str, Tensor] = found) -> None:
            if name in scales:
                found[name] = value
            if name in ends:
                ends[name] += int(((value <= INT16.minimum) | (value >= INT16.maximum)).sum())

        def compare(source: ir.Source, value: Tensor, found: dict[str, Tensor] = found) -> Tensor:
            name = encoder.name(source)
            if name in found:
                entry = graph.tensors[name]
                real = real_values(entry, found.pop(name).numpy()) * scales[name]
                exact = value.double().reshape(entry.shape).numpy()
                sums[name] += (((real - exact) ** 2).sum(), (exact**2).sum())
            return value

        watch(graph, integers[number], keep)
        forward(chosen[number : number + 1], compare)
        if report is not None:
            report(number + 1, count)
    errors = {name: math.sqrt(pair[0] / max(pair[1], 1e-30)) for name, pair in sums.items()}
    return Quality(
        images=count,
        output=errors[encoder.name(encoder.logits)],
        tensors=errors,
        ends={name: number / (count * math.prod(graph.tensors[name].shape)) for name, number in ends.items()},
    )


def _sixteen_bits(graph: Graph) -> list[str]:
    """The int16 tensors whose range is no unit's: all but the inputs of smooth activations."""
    inputs = {name for node in graph if node.op is Op.ACTIVATION for name in node.inputs}
    computed = [name for node in graph for name in node.outputs if node.op is not Op.OUTPUT]
    return [name for name in computed if graph.tensors[name].dtype == "int16" and name not in inputs]


def _scales(graph: Graph, names: set[str]) -> dict[str, np.ndarray]:
    """Of every tensor that can be compared, by name: what its channels count in, over the tensor's own scale.

    The input of a ReLU is left out: it is saturated at the zero point before the ReLU has seen it.
    """
    before_relu = {name for node in graph for name in node.inputs if node.op is Op.RELU}
    shifts = {
        node.outputs[0]: 2.0 ** node.constants["channel_shifts"].astype(np.float64)
        for node in graph
        if "channel_shifts" in node.constants
    }
    return {
        name: shifts.get(name, np.ones(1))
        for name, entry in graph.tensors.items()
        if entry.scale and name in names and name not in before_relu
    }


def notes(graph: Graph, calibrated: Calibrated, quality: Quality, softmax: SoftmaxConfig) -> dict[str, Any]:
    """``output_error``, ``layers``, ``losses`` and ``saturation`` for the graph's notes; warns where they are bad."""
    layers: dict[str, float] = {}
    for name, error in quality.tensors.items():
        layer = graph.producer(name).layer
        layers[layer] = max(layers.get(layer, 0.0), error)
    losses = sorted(calibrated.losses.items(), key=lambda entry: -entry[1])
    saturated = _saturated(calibrated, quality, softmax)
    for entry in saturated:
        if entry["what"] != _CHOSEN and entry["share"] >= WARNED_SHARE:
            message = "{name}: {share:.2%} of the {what} saturate in calibration; {remedy}".format(**entry)
            warnings.warn(message, SaturationWarning, stacklevel=4)
    if not quality.output < WARNED_ERROR:
        worst = ", ".join(f"{name} ({error:.2g})" for name, error in losses[:3])
        warnings.warn(
            f"The integer network's output is {quality.output:.2g} away from the float network's (relative error, "
            f"{quality.images} calibration images); what loses most: {worst}",
            AccuracyWarning,
            stacklevel=4,
        )
    return {
        "output_error": _digits(quality.output),
        "compared_images": quality.images,
        "layers": [{"layer": name, "error": _digits(error)} for name, error in layers.items()],
        "losses": [{"operation": name, "error": _digits(error)} for name, error in losses],
        "saturation": saturated,
    }


def _digits(value: float) -> float:
    return float(f"{value:.3g}")


def _saturated(calibrated: Calibrated, quality: Quality, softmax: SoftmaxConfig) -> list[dict[str, Any]]:
    """Every tensor of which calibration saw something beyond its range: name, what, share, remedy.

    Fixed ranges and chosen int8 ones are counted in float arithmetic over all calibration images, those of int16 in the
    integer graph on the compared ones.
    """
    encoder, saturation = calibrated.encoder, calibrated.saturation
    found = []
    for source in encoder.sources:
        name = encoder.name(source)
        if isinstance(source, ir.Attention):
            share = saturation.scores_share(source, softmax.fraction_bits)
            remedy = (
                f"scores reach {saturation.largest[source.serial]:.0f} octaves: fewer softmax.fraction_bits than "
                f"{softmax.fraction_bits} double their range each"
            )
            found.append((name, "rows of scores", share, remedy))
        if isinstance(source, ir.Activation) and source.input.serial in saturation.values:
            largest = saturation.largest[source.input.serial]
            remedy = f"inputs reach {largest:.0f}, Q6.10 ends at 32: scale the layer before it down"
            found.append((name, "activation inputs", saturation.input_share(source), remedy))
        if source.serial in calibrated.formats:
            share = _clipped(calibrated, source)
            remedy = "the observer chose the range so; with the observer minmax nothing is cut off"
            found.append((name, _chosen(calibrated, name, share), share, remedy))
    logits = {encoder.name(encoder.logits)}
    for name, share in quality.ends.items():
        what = "logits" if name in logits else "values of the stream"
        remedy = "calibrate with images that reach as far"
        if name not in logits:
            remedy += ", or with more residual_headroom than the scheme has"
        found.append((name, what, share, remedy))
    return [
        {"name": name, "what": what, "share": _digits(share), "remedy": remedy}
        for name, what, share, remedy in found
        if share > 0
    ]


def _chosen(calibrated: Calibrated, name: str, share: float) -> str:
    """What is cut off by a chosen range: with a reason where there is one to warn of it."""
    if share < WARNED_CHOSEN:
        return _CHOSEN
    if calibrated.notes["observer"] != "output":
        return f"{_CHOSEN}, which the network's output was not asked about,"
    kind = f"all {name.rpartition('.')[2]}"
    loss = calibrated.losses.get(name, calibrated.losses.get(kind, 0.0))
    return (
        f"{_CHOSEN}, whose rounding alone moves the output by {loss:.2g}," if loss >= WARNED_LOSS else _CHOSEN
    )


def _clipped(calibrated: Calibrated, source: ir.Source) -> float:
    """The share of calibration's values beyond a chosen range, to a bin of the histogram; 0 for min-max."""
    observer, chosen = calibrated.observer(source), calibrated.formats[source.serial]
    widest = 2.0 ** int(chosen.shifts.max()) if chosen.shifts is not None else 1.0
    total = float(observer.counts.sum())
    step = chosen.scale[0]
    beyond = (observer.centers > chosen.high * widest + step) | (
        observer.centers < chosen.low * widest - step
    )
    return float(observer.counts[beyond].sum()) / total if total else 0.0
