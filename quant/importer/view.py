"""A value inside the imported graph: which element of which source each of its elements is.

Instead of matching chains of views, permutes, slices and concatenations, the importer executes them on a tensor of
element numbers. Whatever detour a model takes to split q, k and v or to merge heads, the numbers at the end say exactly
what it did, and a rearrangement that the integer graph does not have is seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx

from vitreous.quant.importer.float_ir import Source


@dataclass(frozen=True, eq=False)
class View:
    """``value = gain * source[index] + offset``, elementwise.

    index : int64 in the value's shape; ``b * tokens * width + t * width + c`` of image ``b`` in the batch, -1 where the
        value is only ``offset``.
    gain, offset : float64 in the value's shape; None for 1 and 0.
    node : the node of the exported graph that has this value.
    """

    source: Source
    index: Tensor
    gain: Tensor | None = None
    offset: Tensor | None = None
    node: fx.Node | None = None

    @property
    def shape(self) -> torch.Size:
        """The value's shape, the batch included."""
        return self.index.shape

    def scaled(self, factor: Tensor | float) -> View:
        """The value times a constant."""
        if isinstance(factor, int | float) and factor == 1:
            return self
        constant = torch.as_tensor(factor, dtype=torch.float64)
        gain = constant.expand(self.shape) if self.gain is None else self.gain * constant
        return replace(self, gain=gain, offset=None if self.offset is None else self.offset * constant)

    def shifted(self, addend: Tensor | float) -> View:
        """The value plus a constant."""
        constant = torch.as_tensor(addend, dtype=torch.float64)
        offset = constant.expand(self.shape) if self.offset is None else self.offset + constant
        return replace(self, offset=offset)

    def onto(self, source: Source, index: Tensor, node: fx.Node | None) -> View:
        """Another source's elements, without gain and offset."""
        return View(source, index.contiguous(), node=node)


@dataclass(frozen=True, eq=False)
class Rows:
    """A view as rows of channels: row ``r`` is row ``token[r]`` of image ``batch[r]``, channel ``k`` is ``channel[k]``.

    gain, offset : float64 ``[K]``, equal in all rows.
    """

    batch: Tensor
    token: Tensor
    channel: Tensor
    gain: Tensor
    offset: Tensor


def rows(view: View) -> Rows | None:
    """Read a view as rows over its last dimension; None when it is not made of rows with the same channels each."""
    source, width = view.source, view.shape[-1]
    index = view.index.reshape(-1, width)
    if bool((index < 0).any()):
        return None
    start = index[:, 0] - index[:, 0] % source.width
    channel = index[0] - start[0]
    if bool((channel < 0).any()) or bool((channel >= source.width).any()):
        return None
    if not torch.equal(index, start[:, None] + channel):
        return None
    gain = same(view.gain, width, 1.0)
    offset = same(view.offset, width, 0.0)
    if gain is None or offset is None:
        return None
    number = start // source.width
    return Rows(number // source.tokens, number % source.tokens, channel, gain, offset)


def same(values: Tensor | None, width: int, default: float) -> Tensor | None:
    """``values`` as one row of ``width`` when all its rows are equal; None when they differ."""
    if values is None:
        return torch.full((width,), default, dtype=torch.float64)
    table = values.reshape(-1, width)
    return table[0].clone() if torch.equal(table, table[:1].expand_as(table)) else None


def uniform(values: Tensor | None, default: float) -> float | None:
    """The one number that fills ``values``; None when they differ."""
    if values is None:
        return default
    first = values.reshape(-1)[0]
    return float(first) if bool((values == first).all()) else None


def identical(one: View, other: View) -> bool:
    """Whether two views have the same values, element by element."""
    pairs = ((one.index, other.index), (one.gain, other.gain), (one.offset, other.offset))
    same = all((a is b) or (a is not None and b is not None and torch.equal(a, b)) for a, b in pairs)
    return one.source is other.source and same


def whole(source: Source, batch: int) -> Tensor:
    """The element numbers of all of a source, ``[batch, tokens, width]``."""
    return torch.arange(batch * source.tokens * source.width).reshape(batch, source.tokens, source.width)
