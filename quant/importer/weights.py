"""Tables of weights ``[O, K]`` with gains and channels folded in, float64; or one zero in the place of a whole table.

Where only shapes count (``quant.structure``) weights are a single zero, expanded: a table of its own for every layer of
a large network takes seconds to fill.
"""

from __future__ import annotations

import torch
from torch import Tensor


def nothing(shape: torch.Size | tuple[int, ...]) -> Tensor:
    """Zeros of ``shape`` that take no memory."""
    return torch.zeros((), dtype=torch.float64).expand(shape)


def is_nothing(table: Tensor) -> bool:
    """Whether ``table`` is one zero, expanded."""
    return table.numel() > 1 and not any(table.stride()) and not bool(table.reshape(-1)[0])


def rows_of(table: Tensor, channel: Tensor, gain: Tensor) -> Tensor:
    """Row ``o`` is ``gain[o] * table[channel[o]]``."""
    if is_nothing(table):
        return nothing((len(channel), table.shape[1]))
    return table[channel] * gain[:, None]


def columns_of(table: Tensor, channel: Tensor, gain: Tensor, width: int) -> Tensor:
    """``[O, width]``: column ``c`` is the sum of ``gain[k] * table[:, k]`` over the ``k`` of ``channel[k] == c``."""
    if is_nothing(table):
        return nothing((len(table), width))
    columns = torch.zeros(len(table), width, dtype=torch.float64)
    columns.index_add_(1, channel, table.double() * gain)
    return columns


def product(table: Tensor, offset: Tensor) -> Tensor:
    """``table @ offset``, ``[O]``."""
    if is_nothing(table):
        return torch.zeros(len(table), dtype=torch.float64)
    return table.double() @ offset
