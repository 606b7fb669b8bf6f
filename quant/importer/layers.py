"""Import of what works on rows of channels: patch embedding, linear layers and activations.

Gains and offsets that a value carries (an affine layer norm, a layer scale, a normalization of pixels) are folded into
the linear layer that makes or takes it: ``W' = W * gain``, ``b' = b + W @ offset``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

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
from vitreous.quant.importer.view import Rows, View, rows, whole
from vitreous.quant.importer.walk import Walk

ROWS = "operations on whole tokens"


def read_rows(node: fx.Node, view: View, what: str) -> Rows:
    """``rows(view)`` or a QuantError that says that ``what`` gets rearranged values."""
    found = rows(view)
    if found is None:
        raise refuse(
            node, f"The values for {what} are rearranged, or scaled, differently for different tokens", ROWS
        )
    return found


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
        kind = type(source).__name__.lower()
        raise refuse(node, f"The values for {what} come from a {kind}", "a linear layer before it")
    return chosen(view, read.channel, read.gain, read.offset, part), read


def chosen(view: View, channel: Tensor, gain: Tensor, offset: Tensor, part: str = "") -> Linear:
    """A linear layer's output channels ``channel``, times ``gain``, plus ``offset``."""
    source = view.source
    assert isinstance(source, Linear)
    return replace(
        source,
        serial=Source(tokens=1, width=1).serial,
        width=len(channel),
        weight=source.weight[channel] * gain[:, None],
        bias=source.bias[channel] * gain + offset,
        part=part if len(channel) < source.width else source.part,
        observe=view.node,
    )


def convolution(
    walk: Walk,
    node: fx.Node,
    image: View,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> View:
    """The patch embedding."""
    supported = "a patch embedding: convolution of the image with square kernel = stride, without padding"
    patch = int(weight.shape[-1])
    plain = _all(stride, patch) and _all(dilation, 1) and groups == 1 and weight.shape[-2] == patch
    if not plain or not (padding == "valid" or _all(padding, 0)):
        what = f"kernel {list(weight.shape[-2:])}, stride {stride}, padding {padding}, groups {groups}"
        raise refuse(node, f"A convolution with {what}", supported)
    source, read = image.source, image.index
    if not isinstance(source, Image) or not torch.equal(read, whole(source, walk.batch).reshape(walk.shape)):
        raise refuse(node, "A convolution of something other than the whole image", supported)
    channels, height, width = source.shape
    if height % patch or width % patch:
        raise refuse(
            node,
            f"A {height}x{width} image with patches of {patch}",
            "image sides that are multiples of the patch",
        )
    gain, offset = (
        _per_channel(node, image.gain, 1.0, channels),
        _per_channel(node, image.offset, 0.0, channels),
    )
    outputs, count = int(weight.shape[0]), (height // patch) * (width // patch)
    kernel = weight.double()
    constant = torch.zeros(outputs, dtype=torch.float64) if bias is None else bias.double()
    patches = Patches(
        tokens=count, width=channels * patch * patch, layer=module_path(node), image=source, patch=patch
    )
    linear = Linear(
        tokens=count,
        width=outputs,
        layer=module_path(node),
        input=patches,
        weight=(kernel * gain[:, None, None]).reshape(outputs, -1),
        bias=constant + (kernel.sum((2, 3)) @ offset),
    )
    index = (
        whole(linear, walk.batch)
        .transpose(1, 2)
        .reshape(walk.batch, outputs, height // patch, width // patch)
    )
    return View(linear, index.contiguous())


def raw_convolution(
    walk: Walk,
    node: fx.Node,
    image: View,
    weight: Tensor,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    *rest: Any,
) -> View:
    """``aten.convolution``: the same with a flag for transposed ones."""
    transposed, _, groups = rest
    if transposed:
        raise refuse(node, "A transposed convolution", "the convolution of a patch embedding")
    return convolution(walk, node, image, weight, bias, stride, padding, dilation, groups)


def _all(value: Any, expected: int) -> bool:
    return all(item == expected for item in (value if isinstance(value, list | tuple) else (value,)))


def _per_channel(node: fx.Node, values: Tensor | None, default: float, channels: int) -> Tensor:
    if values is None:
        return torch.full((channels,), default, dtype=torch.float64)
    first = values[0, :, 0, 0]
    if not torch.equal(values, first[None, :, None, None].expand_as(values)):
        raise refuse(
            node, "The image is scaled differently for different pixels", "a mean and deviation per channel"
        )
    return first.clone()


def linear(walk: Walk, node: fx.Node, view: View, weight: Tensor, bias: Tensor | None) -> View:
    """``y = x @ weight.T + bias`` with ``weight [O, K]``."""
    source = view.source
    if not isinstance(source, Norm | Activation | Attention):
        supported = "linear layers after a layer norm, an activation or attention"
        raise refuse(node, f"A linear layer reads {_describe(source)}", supported)
    read = read_rows(node, view, "a linear layer")
    table = weight.double()
    columns = torch.zeros(table.shape[0], source.width, dtype=torch.float64)
    columns.index_add_(1, read.channel, table * read.gain)
    constant = table @ read.offset
    if bias is not None:
        constant = constant + bias.double().reshape(-1)
    source = taken(node, source, read, walk.batch)
    made = Linear(
        tokens=source.tokens,
        width=int(table.shape[0]),
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
    return f"a {type(source).__name__.lower()}"


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
