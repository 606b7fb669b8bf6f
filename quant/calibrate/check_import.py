"""The recognized encoder against the model that it was recognized in, so that a mistake in importing cannot pass."""

from __future__ import annotations

import torch
from torch import Tensor

from vitreous.quant.calibrate.forward import Forward
from vitreous.quant.errors import QuantError
from vitreous.quant.importer import float_ir as ir

_LARGEST_SQUARED = torch.finfo(torch.float32).max ** 0.5
_ROUNDINGS = 16.0
"""Times the difference between float32 and float64: the model rounds in another order than the encoder."""


def check_import(encoder: ir.Encoder, image: Tensor, given: Tensor) -> None:
    """Compare the encoder's logits of ``image [1, C, H, W]`` with the model's, ``given [n, classes]``.

    What float32's own rounding explains is allowed, up to a tenth of the logits. Raises QuantError for a difference,
    and where the model overflows float32 or rounds its logits away.
    """
    expected = given[:1].double().reshape(-1)
    _check_overflow(encoder, image)
    exact = Forward(encoder, torch.float64)(image).reshape(-1)
    single = Forward(encoder, torch.float32)(image).double().reshape(-1)
    size, rounding = float(exact.abs().max()), float((single - exact).abs().max())
    if not rounding <= 0.1 * size + 1e-5:
        raise QuantError(
            f"The model's logits are lost in float32: rounding alone changes them by {rounding:.3g} of {size:.3g}; "
            "a calibration image, a weight or a position embedding is too large beside what the network reads"
        )
    error = float((exact - expected).abs().max())
    if not error <= 1e-3 * size + 1e-5 + _ROUNDINGS * rounding:
        raise QuantError(
            f"The recognized encoder gives other logits than the model (error {error:.3g} of {size:.3g}): "
            "the model does something that the importer misreads; please report it"
        )


def _check_overflow(encoder: ir.Encoder, image: Tensor) -> None:
    """Raise QuantError that names the first norm whose variance float32 cannot hold."""

    def look(source: ir.Source, value: Tensor) -> Tensor:
        largest = float(value.abs().max())
        read = any(isinstance(other, ir.Norm) and other.input is source for other in encoder.sources)
        if read and not largest < _LARGEST_SQUARED:
            raise QuantError(
                f"{encoder.name(source)}: the residual stream reaches {largest:.3g}, whose square is beyond float32: "
                f"the model's own norm overflows (the image reaches {float(image.abs().max()):.3g})"
            )
        return value

    Forward(encoder, torch.float64)(image, look)
