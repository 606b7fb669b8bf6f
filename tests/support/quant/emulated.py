"""Int8 emulated in floats with the best ranges, and nothing else: what a network loses at 8 bits per tensor anyhow."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vitreous.quant.calibrate.calibration import batches, observe
from vitreous.quant.calibrate.canonical import copied, observe_channels
from vitreous.quant.calibrate.quantizer import recognize
from vitreous.quant.calibrate.saturation import Saturation
from vitreous.quant.calibrate.search import Fold, Search
from vitreous.quant.importer import float_ir as ir
from vitreous.quant.pipeline import export
from vitreous.quant.scheme import QuantScheme


def emulated_error(model: nn.Module, calibration: Tensor, test: Tensor) -> float:
    """Relative error of the logits of ``test`` when every int8 tensor and weight is rounded in float arithmetic.

    Ranges come from ``calibration`` and are chosen on ``test`` itself, which no quantizer may see; keys are centred,
    which changes nothing in floats; one step for a tensor, one for a row of weights. Everything else is exact.
    """
    scheme = QuantScheme()
    exported, batch = export(model, calibration)
    with torch.no_grad():
        encoder = copied(recognize(exported.module(check_guards=False), calibration, batch, scheme))
        channels = observe_channels(encoder, batches(encoder, calibration))
        for attention in encoder.each(ir.Attention):
            attention.k.bias = attention.k.bias - channels[attention.k.serial].mean
        seen = observe(encoder, {"fit": calibration}, scheme, Saturation.of(encoder))["all"]
        search = Search(encoder, [Fold(test, seen)], shifts=False)
        return math.sqrt(search.error(search.run()))
