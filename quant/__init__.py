"""From a float nn.Module to the integer graph: import, calibration, quantization."""

from vitreous.quant.calibrate.quantizer import VitreousQuantizer
from vitreous.quant.errors import AccuracyWarning, QuantError, SaturationWarning
from vitreous.quant.pipeline import quantize
from vitreous.quant.scheme import QuantScheme
from vitreous.quant.structure import structure

__all__ = [
    "AccuracyWarning",
    "QuantError",
    "QuantScheme",
    "SaturationWarning",
    "VitreousQuantizer",
    "quantize",
    "structure",
]
