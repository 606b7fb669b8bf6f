"""GELU by ``poly``: I-BERT's second-order polynomial (docs/numerics.md, GELU and SiLU)."""

from __future__ import annotations

from torch import Tensor

from vitreous.golden.arith.integers import round_shift_
from vitreous.spec.config import ActivationConfig
from vitreous.spec.tables import GELU_POLY_BITS, GELU_POLY_EDGE, GELU_POLY_FACTOR


def delta(u: Tensor, config: ActivationConfig) -> Tensor:
    """``0.2888 / 4 * u * (edge - u)**2`` below the edge, 0 above: int64 u of 17 bits -> int64 of f bits."""
    w = (GELU_POLY_EDGE - u).clamp(min=0)
    product = ((w * w) >> 10) * u.clamp(max=GELU_POLY_EDGE) * GELU_POLY_FACTOR
    return round_shift_(product, 20 + GELU_POLY_BITS - config.fraction_bits)
