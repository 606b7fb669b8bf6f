"""Import of heads that read more than one token: means of normalized tokens, tokens side by side, sums of two heads.

A mean over tokens and a linear layer change places, both are linear:

    head(mean over t of n[t]) = mean over t of head(n[t])

so that the mean is one of 16-bit values, which the vector unit takes. A linear layer over vectors side by side is a sum
of linear layers, and a head of one token is added to a mean by its drain. A head of a token that is not the first is a
mean over this one token alone, after those before it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, fx

from vitreous.quant.errors import module_path, refuse
from vitreous.quant.importer import layers, weights
from vitreous.quant.importer.float_ir import (
    HeadMean,
    HeadSum,
    Linear,
    Norm,
    Patches,
    Select,
    Source,
)
from vitreous.quant.importer.partial import Joined, Pooled
from vitreous.quant.importer.view import View
from vitreous.quant.importer.walk import Walk
from vitreous.quant.importer.weights import columns_of, rows_of

_SUPPORTED = "a head of the first token, of another token or of a mean over tokens, or the first and one of those added"
_PARTS = Norm | Pooled | Joined


def pooled(walk: Walk, node: fx.Node, view: View, keepdim: bool) -> View:
    """The mean over dimension 1 of a norm's output ``[B, tokens, D]``, all of them or without the first ones."""
    source = view.source
    assert isinstance(source, Norm)
    read = layers.read_rows(node, view, "a mean over tokens")
    count = view.shape[1]
    first = source.tokens - count
    token = torch.arange(first, source.tokens).repeat(walk.batch)
    image = torch.arange(walk.batch).repeat_interleave(count)
    if first < 0 or not torch.equal(read.token, token) or not torch.equal(read.batch, image):
        raise refuse(
            node, "A mean over some of the tokens", "the mean over all tokens, or over all but the first ones"
        )
    made = Pooled(tokens=1, width=source.width, layer=module_path(node), input=source, first=first)
    index = torch.arange(walk.batch)[:, None] * source.width + read.channel
    shape = (walk.batch, 1, len(read.channel)) if keepdim else (walk.batch, len(read.channel))
    gain, offset = read.gain.expand(index.shape), read.offset.expand(index.shape)
    return View(made, index.reshape(shape), gain.reshape(shape), offset.reshape(shape))


def joined(walk: Walk, node: fx.Node, parts: list[View], dim: int) -> View | None:
    """Vectors of one token each, side by side; None where the parts are something else."""
    shapes = {part.shape[:-1] for part in parts}
    vectors = len(shapes) == 1 and next(iter(shapes)).numel() == walk.batch
    if not vectors or dim not in (-1, len(parts[0].shape) - 1):
        return None
    if not all(isinstance(part.source, _PARTS) for part in parts):
        return None
    width = sum(part.shape[-1] for part in parts)
    made = Joined(tokens=1, width=width, layer=module_path(node), parts=tuple(parts))
    shape = (*parts[0].shape[:-1], width)
    return View(made, torch.arange(walk.batch * width).reshape(shape))


def linear(walk: Walk, node: fx.Node, view: View, weight: Tensor, bias: Tensor | None) -> View:
    """A linear layer over a mean of normalized tokens or over vectors side by side."""
    source = view.source
    if isinstance(source, Pooled):
        return _of_mean(walk, node, view, weight, bias)
    assert isinstance(source, Joined)
    read = layers.read_rows(node, view, "a linear layer")
    table = columns_of(weight, read.channel, read.gain, source.width)
    constant = weights.product(weight, read.offset) + (0 if bias is None else bias.double())
    terms: list[Source] = []
    start = 0
    for part in source.parts:
        columns = table[:, start : start + part.shape[-1]]
        start += part.shape[-1]
        product = linear if isinstance(part.source, Pooled | Joined) else layers.linear
        terms += _terms(node, product(walk, node, part, columns, None))
    return _summed(walk, node, terms, view.shape).shifted(constant)


def _of_mean(walk: Walk, node: fx.Node, view: View, weight: Tensor, bias: Tensor | None) -> View:
    source = view.source
    assert isinstance(source, Pooled)
    read = layers.read_rows(node, view, "a linear layer")
    columns = columns_of(weight, read.channel, read.gain, source.width)
    constant = weights.product(weight, read.offset) + (0 if bias is None else bias.double())
    made = _mean_of(module_path(node), source.input, columns, constant, source.first)
    return View(made, torch.arange(walk.batch * made.width).reshape(*view.shape[:-1], made.width))


def _mean_of(layer: str, norm: Source, weight: Tensor, bias: Tensor, first: int) -> HeadMean:
    width = len(weight)
    tokens = Linear(
        tokens=norm.tokens, width=width, layer=layer, input=norm, weight=weight, bias=bias, part="tokens"
    )
    return HeadMean(tokens=1, width=width, layer=layer, input=tokens, first=first)


def added(walk: Walk, node: fx.Node, left: View, right: View) -> View | None:
    """The sum of two heads, one vector for each image; None where an operand is something else."""
    for view in (left, right):
        source = view.source
        head = isinstance(source, HeadMean | HeadSum) or (
            isinstance(source, Linear) and source.tokens == 1 and not isinstance(source.input, Patches)
        )
        if not head or view.shape != left.shape:
            return None
    return _summed(walk, node, _terms(node, left) + _terms(node, right), left.shape)


def _summed(walk: Walk, node: fx.Node, terms: list[Source], shape: torch.Size) -> View:
    width = terms[0].width
    made = HeadSum(tokens=1, width=width, layer=module_path(node), terms=tuple(terms))
    return View(made, torch.arange(walk.batch * width).reshape(*shape[:-1], width))


def _terms(node: fx.Node, view: View) -> list[Source]:
    """The heads whose sum is exactly ``view``, its channels chosen, gain and offset folded in."""
    source, read = view.source, layers.read_rows(node, view, "the output")

    def folded(part: Source, offset: Tensor) -> Source:
        linear = part.input if isinstance(part, HeadMean) else part
        assert isinstance(linear, Linear)
        made = replace(
            linear,
            serial=_serial(),
            width=len(read.channel),
            weight=rows_of(linear.weight, read.channel, read.gain),
            bias=linear.bias[read.channel] * read.gain + offset,
            observe=None,
        )
        return (
            replace(part, serial=_serial(), width=made.width, input=made)
            if isinstance(part, HeadMean)
            else made
        )

    parts = source.terms if isinstance(source, HeadSum) else (source,)
    return [folded(part, read.offset if index == 0 else 0 * read.offset) for index, part in enumerate(parts)]


def _serial() -> int:
    return Source(tokens=1, width=1).serial


def settled(node: fx.Node, view: View) -> HeadMean | HeadSum:
    """``view`` in the one form that there is: a mean, or a mean to which the head of one token is added."""
    terms = _terms(node, view)
    if len(terms) > 1:
        terms = [_as_mean(term) for term in terms]
    means = [term for term in terms if isinstance(term, HeadMean)]
    direct = [term for term in terms if isinstance(term, Linear)]
    if len(means) != 1 or len(direct) > 1:
        raise refuse(node, f"A sum of {len(terms)} heads", _SUPPORTED)
    (mean,) = means
    if not direct:
        return replace(mean, observe=view.node)
    mean = replace(mean, serial=_serial())
    branch = replace(direct[0], serial=_serial(), observe=None, part="token")
    return HeadSum(
        tokens=1, width=mean.width, layer=module_path(node), terms=(mean, branch), observe=view.node
    )


def _as_mean(term: Source) -> Source:
    """The head of a token that is not the first as a mean over this token, the last one of those that are selected."""
    norm = term.input if isinstance(term, Linear) else None
    row = norm.input if isinstance(norm, Norm) else None
    if (
        not isinstance(term, Linear)
        or not isinstance(norm, Norm)
        or not isinstance(row, Select)
        or not row.index
    ):
        return term
    rows = replace(row, serial=_serial(), tokens=row.index + 1, index=0)
    made = replace(norm, serial=_serial(), tokens=rows.tokens, input=rows)
    return _mean_of(term.layer, made, term.weight, term.bias, row.index)
