"""The scale and zero point of every integer tensor of an encoder, from its calibration."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vitreous.quant.errors import QuantError
from vitreous.quant.observers import scale_of
from vitreous.quant.quantizer import Calibrated
from vitreous.quant.scheme import QuantScheme
from vitreous.quant.sources import STREAM, Activation, Attention, Image, Linear, Norm, Source, Start

LOGITS_HEADROOM = 1.5


@dataclass(frozen=True, eq=False)
class Scales:
    """``of(source)`` is the ``(scale, zero point)`` of a source's int8 values; ``residual`` and ``logits`` are int16 scales."""

    residual: float
    logits: float
    activations: dict[int, tuple[float, int]]

    def of(self, source: Source) -> tuple[float, int]:
        """Scale and zero point of an int8 source."""
        return self.activations[source.serial]


def choose_scales(calibrated: Calibrated, scheme: QuantScheme) -> Scales:
    """Raises QuantError when calibration saw values that are not finite."""
    encoder = calibrated.encoder
    activations: dict[int, tuple[float, int]] = {}
    operands = {part.serial for source in encoder.each(Attention) for part in source.inputs}
    largest = 0.0
    for source in encoder.sources:
        stream = isinstance(source, STREAM) or (isinstance(source, Linear) and source.serial not in operands)
        if source.observe is None or source.observe.name not in calibrated.observers:
            continue
        observer = calibrated.observer(source)
        if not (abs(observer.low) < float("inf") and abs(observer.high) < float("inf")):
            raise QuantError(f"{encoder.name(source)}: calibration gives values that are not finite")
        if isinstance(source, Image | Norm | Activation | Attention) or source.serial in operands:
            activations[source.serial] = scale_of(*observer.interval(), observer.symmetric)
        elif stream and source is not encoder.logits:
            largest = max(largest, -observer.low, observer.high)
    for start in encoder.each(Start):
        assert isinstance(start, Start)
        largest = max(largest, float(start.constant.abs().max()))
    logits = calibrated.observer(encoder.logits)
    highest = max(-logits.low, logits.high)
    return Scales(
        residual=_int16(largest * scheme.residual_headroom),
        logits=_int16(highest * LOGITS_HEADROOM),
        activations=activations,
    )


def _int16(largest: float) -> float:
    return scale_of(-largest, largest, True, torch.int16)[0]
