"""Import of what works on rows of channels: patch embedding, linear, layer norm, activation, residual, mean.

Gains and offsets that a value carries (an affine layer norm, a layer scale, a normalization of pixels) are folded into
the linear layer that makes or takes it: ``W' = W * gain``, ``b' = b + W @ offset``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from vitreous.quant.errors import module_path, refuse
from vitreous.quant.sources import (
    STREAM,
    Activation,
    Add,
    Attention,
    Image,
    Linear,
    Mean,
    Norm,
    Patches,
    Select,
    Source,
    Start,
)
from vitreous.quant.view import Rows, View, rows, whole
from vitreous.quant.walk import Walk

_ROWS = "operations on whole tokens"


def read_rows(node: fx.Node, view: View, what: str) -> Rows:
    """``rows(view)`` or a QuantError that says that ``what`` gets rearranged values."""
    found = rows(view)
    if found is None:
        raise refuse(
            node, f"The values for {what} are rearranged, or scaled, differently for different tokens", _ROWS
        )
    return found


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
        raise refuse(node, "A convolution of something else than the whole image", supported)
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
    read = read_rows(node, view, "a linear layer")
    source = view.source
    if isinstance(source, Image | Linear | STREAM):
        raise refuse(
            node,
            f"A linear layer reads {_describe(source)}",
            "linear layers after a layer norm, an activation or attention",
        )
    table = weight.double()
    columns = torch.zeros(table.shape[0], source.width, dtype=torch.float64)
    columns.index_add_(1, read.channel, table * read.gain)
    constant = table @ read.offset
    if bias is not None:
        constant = constant + bias.double().reshape(-1)
    source = _taken(node, source, read, walk.batch)
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
    if isinstance(source, Linear):
        return "another linear layer's output directly"
    return "the residual stream without a layer norm" if isinstance(source, STREAM) else "the image directly"


def _taken(node: fx.Node, source: Source, read: Rows, batch: int) -> Source:
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
        row = _taken(node, source.input, read, batch)
        return replace(source, serial=Source(tokens=1, width=1).serial, input=row, tokens=1)
    raise refuse(node, "An operation on some of the tokens", "all tokens, or one token for the head")


def layer_norm(
    walk: Walk,
    node: fx.Node,
    view: View,
    shape: Any,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *rest: Any,
) -> View:
    """Layer norm over the channels; its affine part stays on the view for the next linear layer."""
    view = stream(walk, node, view, "a layer norm")
    read = read_rows(node, view, "a layer norm")
    source = view.source
    if list(shape) != [source.width] or not torch.equal(read.channel, torch.arange(source.width)):
        raise refuse(
            node, f"A layer norm over the shape {list(shape)}", "layer norms over all channels of a token"
        )
    source = _taken(node, source, read, walk.batch)
    made = Norm(
        tokens=source.tokens, width=source.width, layer=module_path(node), input=source, eps=float(eps)
    )
    result = fresh(made, read, view.shape)
    if weight is not None:
        result = result.scaled(weight)
    return result if bias is None else result.shifted(bias)


def stream(walk: Walk, node: fx.Node, view: View, what: str) -> View:
    """``view`` as a value of the residual stream; the embedded patches become the stream's start here."""
    if isinstance(view.source, STREAM) and view.gain is None and view.offset is None:
        return view
    if isinstance(view.source, Linear) and isinstance(view.source.input, Patches):
        start = _start(walk, node, view)
        return View(start, whole(start, walk.batch), node=view.node)
    if isinstance(view.source, STREAM):
        raise refuse(
            node,
            f"A constant is added to or multiplied with the residual stream before {what}",
            "constants at the start",
        )
    supported = "pre-norm encoders: layer norms read the residual stream, linear layers are added to it"
    raise refuse(
        node,
        f"{what.capitalize()} reads the output of a {type(view.source).__name__.lower()} (post-norm?)",
        supported,
    )


def _start(walk: Walk, node: fx.Node, view: View) -> Start:
    for known, start in walk.starts:
        if known.source is view.source and _identical(known, view):
            return start
    supported = "class and other constant tokens first, then all patches in order, plus a position embedding"
    if len(view.shape) != 3:
        raise refuse(node, f"Tokens of shape {list(view.shape)}", supported)
    prefix = int((view.index[0] < 0).all(1).sum())
    body = [None if part is None else part[:, prefix:] for part in (view.index, view.gain, None)]
    patches = View(view.source, body[0], body[1], node=view.node)  # type: ignore[arg-type]
    read = rows(patches)
    source = view.source
    assert isinstance(source, Linear)
    order = torch.arange(walk.batch * source.tokens)
    if read is None or not torch.equal(read.batch * source.tokens + read.token, order):
        raise refuse(node, "The embedded patches are reordered or mixed", supported)
    made = chosen(view, read.channel, read.gain, torch.zeros(len(read.channel), dtype=torch.float64))
    offset = torch.zeros(view.shape, dtype=torch.float64) if view.offset is None else view.offset
    if not torch.equal(offset, offset[:1].expand_as(offset)):
        raise refuse(node, "Another position embedding for each image of the batch", supported)
    constant = offset[0].clone()
    constant[prefix:] += made.bias
    embedding = replace(made, bias=torch.zeros_like(made.bias), observe=None)
    start = Start(
        tokens=len(constant),
        width=embedding.width,
        layer=module_path(view.node) if view.node else "",
        embedding=embedding,
        constant=constant,
        prefix=prefix,
        observe=view.node,
    )
    walk.starts.append((view, start))
    return start


def _identical(one: View, other: View) -> bool:
    pairs = ((one.index, other.index), (one.gain, other.gain), (one.offset, other.offset))
    return all((a is b) or (a is not None and b is not None and torch.equal(a, b)) for a, b in pairs)


def residual(walk: Walk, node: fx.Node, left: View, right: View) -> View:
    """The residual stream plus a linear layer's output, in either order."""

    def on_stream(view: View) -> bool:
        source = view.source
        return isinstance(source, STREAM) or (
            isinstance(source, Linear) and isinstance(source.input, Patches)
        )

    if on_stream(left) == on_stream(right):
        kinds = " and ".join(type(view.source).__name__.lower() for view in (left, right))
        raise refuse(
            node, f"An addition of a {kinds} (post-norm?)", "the residual stream plus a linear layer's output"
        )
    kept, other = (left, right) if on_stream(left) else (right, left)
    kept = stream(walk, node, kept, "a residual addition")
    branch, read = absorbed(node, other, "a residual addition")
    mine = read_rows(node, kept, "a residual addition")
    same = (
        torch.equal(mine.batch, read.batch)
        and torch.equal(mine.token, read.token)
        and kept.shape == other.shape
    )
    if (
        not same
        or not torch.equal(mine.channel, torch.arange(branch.width))
        or branch.tokens != kept.source.tokens
    ):
        raise refuse(node, "A residual addition of differently arranged tokens", _ROWS)
    made = Add(
        tokens=branch.tokens, width=branch.width, layer=module_path(node), residual=kept.source, branch=branch
    )
    return View(made, kept.index)


def activation(walk: Walk, node: fx.Node, view: View, function: str) -> View:
    """GELU or ReLU of a linear layer's output."""
    source, read = absorbed(node, view, function)
    made = Activation(
        tokens=source.tokens, width=source.width, layer=module_path(node), input=source, function=function
    )
    return fresh(made, read, view.shape)


def mean(walk: Walk, node: fx.Node, view: View, dims: Any, keepdim: bool = False, **kwargs: Any) -> View:
    """The mean over all tokens of the residual stream."""
    supported = "the mean over all tokens of the residual stream, before the last layer norm"
    if isinstance(view.source, Norm | Attention | Activation):
        raise refuse(node, f"A mean of a {type(view.source).__name__.lower()}'s output", supported)
    dims = dims if isinstance(dims, list | tuple) else [dims]
    view = stream(walk, node, view, "a mean over tokens")
    source = view.source
    if len(dims) != 1 or not torch.equal(view.index, whole(source, walk.batch)) or dims[0] not in (1, -2):
        raise refuse(
            node, f"A mean over the dimensions {list(dims)} of a {list(view.shape)} tensor", supported
        )
    made = Mean(tokens=1, width=source.width, layer=module_path(node), input=source)
    index = whole(made, walk.batch)
    return View(made, index if keepdim else index[:, 0])
