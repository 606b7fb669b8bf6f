"""Import of what works on rows of channels: linear layers and activations.

Gains and offsets that a value carries (an affine layer norm, a layer scale, a normalization of pixels) are folded into
the linear layer that makes or takes it: ``W' = W * gain``, ``b' = b + W @ offset``.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, fx

from vitreous.quant.errors import module_path, refuse
from vitreous.quant.importer.float_ir import (
    STREAM,
    Activation,
    Attention,
    Image,
    Linear,
    Norm,
    Patches,
    Select,
    Source,
)
from vitreous.quant.importer.partial import Curve, described
from vitreous.quant.importer.view import Rows, View, rows, same
from vitreous.quant.importer.walk import Walk
from vitreous.quant.importer.weights import columns_of, product, rows_of

ROWS = "operations on whole tokens"


def read_rows(node: fx.Node, view: View, what: str) -> Rows:
    """``rows(view)`` or a QuantError that says that ``what`` gets rearranged values."""
    found = rows(view)
    if found is None:
        raise refuse(
            node, f"The values for {what} are rearranged, or scaled, differently for different tokens", ROWS
        )
    return found


def read_same(node: fx.Node, view: View) -> tuple[Tensor, Tensor]:
    """Gains and offsets along the last dimension, float64 ``[K]``, which all of a view's rows must share."""
    gain, offset = same(view.gain, view.shape[-1], 1.0), same(view.offset, view.shape[-1], 0.0)
    if gain is None or offset is None:
        raise refuse(node, "Values are scaled or shifted differently in different rows", ROWS)
    return gain, offset


def size(walk: Walk, view: View) -> tuple[int, int]:
    """Rows and channels of one image's values."""
    width = view.shape[-1]
    return view.index.numel() // (walk.batch * width), width


def fresh(source: Source, read: Rows, shape: torch.Size) -> View:
    """The view of a new source that has a row for each row of ``read``."""
    token = read.token if source.tokens > 1 else torch.zeros_like(read.token)
    index = (read.batch * source.tokens + token)[:, None] * source.width + torch.arange(source.width)
    return View(source, index.reshape(*shape[:-1], source.width))


def absorbed(node: fx.Node, view: View, what: str, part: str = "") -> tuple[Linear, Rows]:
    """The linear layer that gives exactly ``view``: channels chosen, gain and offset folded in."""
    source, read = view.source, read_rows(node, view, what)
    if not isinstance(source, Linear):
        raise refuse(node, f"The values for {what} come from {described(source)}", "a linear layer before it")
    return chosen(view, read.channel, read.gain, read.offset, part), read


def chosen(view: View, channel: Tensor, gain: Tensor, offset: Tensor, part: str = "") -> Linear:
    """A linear layer's output channels ``channel``, times ``gain``, plus ``offset``."""
    source = view.source
    assert isinstance(source, Linear)
    return replace(
        source,
        serial=Source(tokens=1, width=1).serial,
        width=len(channel),
        weight=rows_of(source.weight, channel, gain),
        bias=source.bias[channel] * gain + offset,
        part=part if len(channel) < source.width else source.part,
        observe=view.node,
    )


def linear(walk: Walk, node: fx.Node, view: View, weight: Tensor, bias: Tensor | None) -> View:
    """``y = x @ weight.T + bias`` with ``weight [O, K]``."""
    source = view.source
    if not isinstance(source, Norm | Activation | Attention):
        supported = "linear layers after a layer norm, an activation or attention, and of the image's patches"
        raise refuse(node, f"A linear layer reads {_describe(source)}", supported)
    read = read_rows(node, view, "a linear layer")
    columns = columns_of(weight, read.channel, read.gain, source.width)
    constant = product(weight, read.offset)
    if bias is not None:
        constant = constant + bias.double().reshape(-1)
    source = taken(node, source, read, walk.batch)
    made = Linear(
        tokens=source.tokens,
        width=len(weight),
        layer=module_path(node),
        input=source,
        weight=columns,
        bias=constant,
    )
    return fresh(made, read, view.shape)


def _describe(source: Source) -> str:
    if isinstance(source, Image):
        return "the image directly"
    if isinstance(source, STREAM) or (isinstance(source, Linear) and isinstance(source.input, Patches)):
        return "the residual stream without a layer norm"
    if isinstance(source, Linear):
        return "another linear layer's output directly"
    if isinstance(source, Curve):
        return f"the {source.function} of another one's output"
    return described(source)


def taken(node: fx.Node, source: Source, read: Rows, batch: int) -> Source:
    """The source itself when all its rows are read, one row of the stream below it when only that is read."""
    number = read.batch * source.tokens + read.token
    if torch.equal(number.sort().values, torch.arange(batch * source.tokens)):
        return source
    single = bool((read.token == read.token[0]).all()) and torch.equal(read.batch, torch.arange(batch))
    if single and isinstance(source, STREAM):
        return Select(
            tokens=1, width=source.width, layer=module_path(node), input=source, index=int(read.token[0])
        )
    if single and isinstance(source, Norm):
        row = taken(node, source.input, read, batch)
        return replace(source, serial=Source(tokens=1, width=1).serial, input=row, tokens=1)
    raise refuse(node, "An operation on some of the tokens", "all tokens, or one token for the head")


def activation(walk: Walk, node: fx.Node, view: View, function: str) -> View:
    """A smooth activation function or ReLU of a linear layer's output."""
    source, read = absorbed(node, view, function)
    made = Activation(
        tokens=source.tokens, width=source.width, layer=module_path(node), input=source, function=function
    )
    return fresh(made, read, view.shape)
