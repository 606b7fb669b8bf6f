"""Integer constants of the nonlinear units, from real scales: ``(m_o, s_o)`` and epsilon of docs/numerics.md."""

from __future__ import annotations

import math
from typing import NamedTuple

from vitreous.quant.errors import QuantError
from vitreous.spec.config import NormConfig, SoftmaxConfig
from vitreous.spec.numbers import SHIFT_MAX, SHIFT_MIN, NumberError, quantize_multiplier
from vitreous.spec.softmax import context_bits, limits
from vitreous.spec.variants import NORMS

_MEAN_BITS = 4
"""``two_pass`` keeps the mean with this many fraction bits."""


class NormConstants(NamedTuple):
    """``(m_o, s_o)`` and ``epsilon`` of a LAYERNORM or RMSNORM."""

    multiplier: int
    shift: int
    epsilon: int


def output_factor(name: str, factor: float, least: int, most: int) -> tuple[int, int]:
    """``(m_o, s_o) ~ factor`` of a unit that adds ``least .. most`` to ``s_o`` for each row.

    Raises QuantError when such a shift could leave its field.
    """
    try:
        multiplier, shift = quantize_multiplier(factor)
    except NumberError as error:
        raise QuantError(f"{name}: {error}") from None
    low, high = shift + least, shift + most
    if low < SHIFT_MIN or high > SHIFT_MAX:
        raise QuantError(
            f"{name}: a factor of {factor:.3g} needs shifts of {low}..{high}, outside {SHIFT_MIN}..{SHIFT_MAX}"
        )
    return multiplier, shift


def row_constants(name: str, config: SoftmaxConfig, bits: int, blocks: int, factor: float) -> tuple[int, int]:
    """``m_o / 2**s_o ~ factor`` (``scale_v / scale_out``) in the units of the variant's ``L``, of its passes and of so
    many ``blocks`` of a row."""
    known = limits(config)
    finer = context_bits(wide=bits == 16 and known.planes, blocks=blocks)
    return output_factor(name, factor * known.row_factor / 2**finer, known.least, known.largest)


def check_keys(name: str, config: SoftmaxConfig, keys: int) -> None:
    """Raise QuantError for rows that are longer than the softmax is safe for."""
    most = limits(config).max_keys
    if keys > most:
        raise QuantError(
            f"{name}: rows of {keys} keys; softmax.variant = {config.variant} is safe up to {most} keys"
        )


def norm_constants(
    name: str, config: NormConfig, width: int, eps: float, stream: float, output: float
) -> NormConstants:
    """Constants for rows of ``width`` channels of a stream with step ``stream``, to int8 with step ``output``.

    ``one_pass``: ``1 / output`` and ``eps * width**2 / stream**2``; the other variants ``sqrt(width) / output`` and
    ``eps * width * 2**8 / stream**2``. Raises QuantError when one does not fit its field.
    """
    traits = NORMS[config.variant]
    if traits.by_sum:
        factor, scaled = 1 / output, eps * width**2
    else:
        factor, scaled = math.sqrt(width) / output, eps * width * 4**_MEAN_BITS
    multiplier, shift = output_factor(name, factor, 0, traits.largest)
    epsilon = max(1, round(scaled / stream**2))
    if epsilon >= 2**32:
        raise QuantError(f"{name}: eps {eps:g} is too large for the residual stream's scale")
    return NormConstants(multiplier, shift, epsilon)
