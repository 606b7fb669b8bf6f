"""The scale and zero point of every integer tensor of an encoder, from its calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from vitreous.quant.calibrate.calibration import Calibrated
from vitreous.quant.calibrate.observers import scale_of
from vitreous.quant.calibrate.rounding import RoundedWeight
from vitreous.quant.emit.builder import Scale
from vitreous.quant.errors import QuantError
from vitreous.quant.importer.float_ir import (
    STREAM,
    Activation,
    Attention,
    Encoder,
    HeadMean,
    HeadSum,
    Image,
    Linear,
    Norm,
    Source,
    Start,
)
from vitreous.quant.scheme import QuantScheme

LOGITS_HEADROOM = 1.5
# Smaller steps than these resolve nothing: GELU's input has 10 fraction bits, and attention's output is a mean
# of values. They keep multipliers in range for models whose activations are (almost) zero.
_LEAST_ACTIVATION = 2.0**-18
_LEAST_CONTEXT = 2.0**-12


@dataclass(frozen=True, eq=False)
class Scales:
    """``of(source)``: what its int8 tensor, the stream's int16 tensor or the int16 logits count in.

    shifts : of the channels of norms' outputs, int64 ``[width]``, where there are any. weights : a linear layer's
    weights as integers; the nearest ones where nothing is said. All by serial.
    """

    chosen: dict[int, Scale]
    shifts: dict[int, torch.Tensor] = field(default_factory=dict)
    weights: dict[int, RoundedWeight] = field(default_factory=dict)

    def of(self, source: Source) -> Scale:
        """Scale and zero point. Not of a linear layer that something else is made of: its reader decides."""
        return self.chosen[source.serial]


def choose_scales(calibrated: Calibrated, scheme: QuantScheme) -> Scales:
    """Scales for all tensors. Raises QuantError when calibration saw values that are not finite."""
    encoder = calibrated.encoder
    operands = {part.serial for source in encoder.each(Attention) for part in source.inputs}
    chosen: dict[int, Scale] = {}
    largest = logits = 0.0
    for source in encoder.sources:
        if source.serial not in calibrated.seen.observers:
            continue
        observer = calibrated.observer(source)
        extent = max(-observer.low, observer.high)
        if not math.isfinite(extent):
            raise QuantError(f"{encoder.name(source)}: calibration gives values that are not finite")
        if isinstance(source, Image | Norm | Activation | Attention) or source.serial in operands:
            chosen[source.serial] = Scale(*calibrated.formats[source.serial].scale)
        elif source is encoder.logits:
            logits = extent
        else:
            largest = max(largest, extent)
    for start in encoder.each(Start):
        # A stored value of the stream like any other, though no node of the float model has it.
        largest = max(largest, float(start.constant.abs().max()))
    _raise_floors(chosen, calibrated)
    # Whatever is added to the stream or taken of it has the stream's scale.
    stream = Scale(_int16(largest * scheme.residual_headroom))
    chosen |= {source.serial: stream for source in encoder.sources if isinstance(source, STREAM)}
    chosen |= _head_scales(encoder, logits * LOGITS_HEADROOM)
    shifts = {serial: part.shifts for serial, part in calibrated.formats.items() if part.shifts is not None}
    return Scales(chosen, shifts, calibrated.weights)


def _head_scales(encoder: Encoder, logits: float) -> dict[int, Scale]:
    """Scales of the logits, whose largest value is ``logits``, and of what they are a mean or a sum of.

    No node of the float model has the parts. A row of D normalized channels is at most sqrt(D) long, so that a head's
    output is at most ``sqrt(D) * |w| + |b|``.
    """
    source = encoder.logits
    if isinstance(source, Linear):
        return {source.serial: Scale(_int16(logits))}
    parts = source.terms if isinstance(source, HeadSum) else (source,)
    bounds = {part.serial: _bound(part.input if isinstance(part, HeadMean) else part) for part in parts}
    if isinstance(source, HeadSum):
        logits = max(logits, *bounds.values())
    common = Scale(_int16(logits))
    found = {source.serial: common, **dict.fromkeys(bounds, common)}
    for part in parts:
        if isinstance(part, HeadMean):
            found[part.input.serial] = Scale(_int16(bounds[part.serial]))
    return found


def _bound(head: Source) -> float:
    """The largest value of a linear layer over normalized rows, and 2 % for their rounding."""
    assert isinstance(head, Linear)
    length = head.weight.square().sum(1).sqrt() * math.sqrt(head.weight.shape[1])
    return float((1.02 * length + head.bias.abs()).max())


def _raise_floors(chosen: dict[int, Scale], calibrated: Calibrated) -> None:
    for source in calibrated.encoder.sources:
        if isinstance(source, Activation):
            floor = _LEAST_ACTIVATION
        elif isinstance(source, Attention):
            floor = _LEAST_CONTEXT * chosen[source.v.serial].step
        else:
            continue
        scale = chosen[source.serial]
        chosen[source.serial] = scale._replace(step=max(scale.step, floor))


def _int16(largest: float) -> float:
    return scale_of(-largest, largest, True, torch.int16)[0]
