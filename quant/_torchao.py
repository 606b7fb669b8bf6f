"""The names of torchao that this room uses, imported without its messages about CUDA kernels that a CPU build lacks."""

from __future__ import annotations

import logging

_before = logging.root.manager.disable
logging.disable(logging.WARNING)
try:
    from torchao.quantization.pt2e.observer import ObserverBase
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, Quantizer
finally:
    logging.disable(_before)

__all__ = ["ObserverBase", "QuantizationAnnotation", "QuantizationSpec", "Quantizer"]
