"""Layer norm and RMS norm without their affine part: one interface for every variant.

The affine part is in the next linear layer (docs/numerics.md, Layer norm and RMS norm). Each variant is a file of its
own, named after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vitreous.golden.arith.integers import normalize_multiplier, round_shift_, saturate_
from vitreous.golden.arith.rsqrt import reciprocal_root
from vitreous.golden.errors import GoldenError
from vitreous.golden.norm import exact, one_pass, two_pass
from vitreous.golden.norm.constants import NormConstants
from vitreous.spec.config import NormConfig
from vitreous.spec.limits import NORM_CHANNELS
from vitreous.spec.numbers import CHANNEL_SHIFT_MAX, SHIFT_MAX, SHIFT_MIN
from vitreous.spec.variants import NormVariant

VARIANTS: Mapping[NormVariant, Callable[[Tensor, int, bool], tuple[Tensor, Tensor]]] = {
    NormVariant.ONE_PASS: one_pass.centre,
    NormVariant.TWO_PASS: two_pass.centre,
}
"""What is normalized and its variance, from x, epsilon and whether there is a mean to take off."""


def norm(
    x: Tensor, config: NormConfig, constants: NormConstants, *, centred: bool, strict: bool = True
) -> Tensor:
    """``y = clamp8(round_shift(u * Q, s + h) + zero_point)``, ``Q / 2**s ~ m_o / 2**s_o / sqrt(V)``.

    x : int16 [..., D], ``1 <= D <= 4096`` -> int8 of the same shape. centred : layer norm, or else RMS norm.
    Raises GoldenError when D or a constant is outside its range or a row's shift s leaves 1..47; where not ``strict`` a
    shift above 47 counts as 48, as in the machine, and every value of the row becomes the zero point.
    """
    multiplier, shift, epsilon, zero_point, channel_shifts = constants
    channels = x.shape[-1]
    if not 1 <= channels <= NORM_CHANNELS:
        raise GoldenError(f"A norm takes 1 to {NORM_CHANNELS} channels, not {channels}")
    if not 1 << 14 <= multiplier < 1 << 15:
        raise GoldenError(f"A norm needs 2**14 <= multiplier < 2**15, not {multiplier}")
    if not 1 <= epsilon < 1 << 32:
        raise GoldenError(f"A norm needs 1 <= epsilon < 2**32, not {epsilon}")
    wide, h = x.to(torch.int64), channel_shifts.to(torch.int64)
    if h.shape != (channels,) or not 0 <= int(h.min()) <= int(h.max()) <= CHANNEL_SHIFT_MAX:
        raise GoldenError(f"A norm of {channels} channels needs as many shifts in 0..{CHANNEL_SHIFT_MAX}")
    if config.variant is NormVariant.EXACT:
        return exact.normalize(wide, constants._replace(channel_shifts=h), centred)
    u, variance = VARIANTS[config.variant](wide, epsilon, centred)
    root, e = reciprocal_root(variance)
    scale, row_shift = normalize_multiplier((root * multiplier) >> 15, shift + e // 2 + 1)
    if not strict:
        row_shift = row_shift.clamp(max=SHIFT_MAX + 1)
    elif bool(((row_shift < SHIFT_MIN) | (row_shift > SHIFT_MAX)).any()):
        raise GoldenError(f"A row of a norm needs a shift outside {SHIFT_MIN}..{SHIFT_MAX}")
    return saturate_(round_shift_(u.mul_(scale), row_shift + h).add_(zero_point), 8).to(torch.int8)
