"""Eight-bit formats in floats: what rounding to integers does to a tensor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vitreous.quant.calibrate.observers import scale_of


@dataclass(frozen=True, eq=False)
class Format:
    """An int8 tensor that covers ``low .. high``; channel ``c`` covers ``2**shifts[c]`` times that.

    shifts : int64 ``[width]``, or None for no shift.
    """

    low: float
    high: float
    symmetric: bool
    shifts: Tensor | None = None

    @property
    def scale(self) -> tuple[float, int]:
        """Step of a channel without a shift, and zero point."""
        return scale_of(self.low, self.high, self.symmetric)

    def rounded(self, values: Tensor) -> Tensor:
        """``values [..., width]`` after a trip through int8."""
        step, zero_point = self.scale
        steps: Tensor | float = step if self.shifts is None else step * 2.0 ** self.shifts.to(values.dtype)
        integers = ((values / steps + 0.5).floor() + zero_point).clamp(-128, 127)
        return (integers - zero_point) * steps

    def outside(self, values: Tensor) -> int:
        """How many of ``values [..., width]`` are saturated: beyond the range by more than half a step."""
        step, zero_point = self.scale
        steps: Tensor | float = step if self.shifts is None else step * 2.0 ** self.shifts.to(values.dtype)
        integers = (values / steps + 0.5).floor() + zero_point
        return int(((integers < -128) | (integers > 127)).sum())


def channel_shifts(reach: Tensor, covered: float, margin: float, most: int) -> Tensor:
    """The least shifts with which every channel covers ``margin`` times its ``reach [width]``, at most ``most``."""
    needed = torch.log2((margin * reach / covered).clamp(min=1e-30)).ceil()
    return needed.clamp(0, most).long()
