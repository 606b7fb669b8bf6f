"""The constants of one norm (docs/numerics.md, Layer norm and RMS norm)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class NormConstants(NamedTuple):
    """What a norm's variant takes beside its rows.

    ``multiplier / 2**shift`` : m_o / 2**s_o. channel_shifts : h, integers [D] in 0..3.
    """

    multiplier: int
    shift: int
    epsilon: int
    zero_point: int
    channel_shifts: Tensor
