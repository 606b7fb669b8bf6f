"""Import of the residual stream: its start from embedded patches, residual additions, norms and the mean.

The stream is what layer norms read and linear layers are added to. Affine parts of layer norms stay on the view, as
gain and offset, until the next linear layer takes them in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import fx

from vitreous.quant.errors import module_path, refuse
from vitreous.quant.importer import heads
from vitreous.quant.importer.float_ir import (
    STREAM,
    Activation,
    Add,
    Attention,
    Linear,
    Mean,
    Norm,
    Patches,
    Restart,
    Start,
)
from vitreous.quant.importer.layers import ROWS, absorbed, chosen, fresh, read_rows, taken
from vitreous.quant.importer.partial import described
from vitreous.quant.importer.view import View, identical, rows, whole
from vitreous.quant.importer.walk import Walk


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
    result = _normalized(walk, node, view, shape, float(eps), centred=True)
    if weight is not None:
        result = result.scaled(weight)
    return result if bias is None else result.shifted(bias)


def rms_norm(
    walk: Walk, node: fx.Node, view: View, shape: Any, weight: Any = None, eps: float | None = None
) -> View:
    """RMS norm over the channels; its weight stays on the view. torch's default ``eps`` is that of float32."""
    eps = torch.finfo(torch.float32).eps if eps is None else float(eps)
    result = _normalized(walk, node, view, shape, eps, centred=False)
    return result if weight is None else result.scaled(weight)


def _normalized(walk: Walk, node: fx.Node, view: View, shape: Any, eps: float, *, centred: bool) -> View:
    what = "layer norm" if centred else "RMS norm"
    view = stream(walk, node, view, f"{'a' if centred else 'an'} {what}")
    read = read_rows(node, view, f"{'a' if centred else 'an'} {what}")
    source = view.source
    if list(shape) != [source.width] or not torch.equal(read.channel, torch.arange(source.width)):
        raise refuse(
            node,
            f"{'A' if centred else 'An'} {what} over the shape {list(shape)}",
            f"{what}s over all channels of a token",
        )
    source = taken(node, source, read, walk.batch)
    made = Norm(
        tokens=source.tokens,
        width=source.width,
        layer=module_path(node),
        input=source,
        eps=eps,
        centred=centred,
    )
    return fresh(made, read, view.shape)


def stream(walk: Walk, node: fx.Node, view: View, what: str) -> View:
    """``view`` as a value of the residual stream; the embedded patches become the stream's start here."""
    if isinstance(view.source, STREAM) and view.gain is None and view.offset is None:
        return view
    if isinstance(view.source, Linear) and isinstance(view.source.input, Patches):
        start = _start(walk, node, view)
        return View(start, whole(start, walk.batch), node=view.node)
    if isinstance(view.source, Norm):
        restart = _restart(walk, node, view)
        return View(restart, whole(restart, walk.batch), node=view.node)
    if isinstance(view.source, STREAM):
        raise refuse(
            node,
            f"A constant is added to or multiplied with the residual stream before {what}",
            "constants at the start",
        )
    supported = (
        "norms of the residual stream or of another norm's output; queries, keys and branches go as linear layers "
        "make them, without a norm of their own"
    )
    raise refuse(node, f"{what[0].upper()}{what[1:]} reads {described(view.source)}", supported)


def _start(walk: Walk, node: fx.Node, view: View) -> Start:
    for known, start in walk.starts:
        if identical(known, view):
            return start
    supported = "class and other constant tokens first, then all patches in order, plus a position embedding"
    if walk.starts:
        raise refuse(
            node, "The embedded patches start the residual stream twice, in different ways", supported
        )
    if len(view.shape) != 3:
        raise refuse(node, f"Tokens of shape {list(view.shape)}", supported)
    prefix = int((view.index[0] < 0).all(1).sum())
    gain = None if view.gain is None else view.gain[:, prefix:]
    patches = View(view.source, view.index[:, prefix:], gain, node=view.node)
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


def _restart(walk: Walk, node: fx.Node, view: View) -> Restart:
    """A norm's output, all of it, as a value of the stream: a linear layer with its gains on the diagonal makes it."""
    for known, restart in walk.restarts:
        if identical(known, view):
            return restart
    source, read = view.source, read_rows(node, view, "the residual stream")
    all_rows = torch.arange(walk.batch * source.tokens)
    same_order = torch.equal(read.channel, torch.arange(source.width))
    if not same_order or not torch.equal(read.batch * source.tokens + read.token, all_rows):
        raise refuse(node, "The residual stream starts again with a part of a norm's output", ROWS)
    layer = module_path(view.node) if view.node else ""
    scaled = Linear(
        tokens=source.tokens,
        width=source.width,
        layer=layer,
        input=source,
        weight=torch.diag(read.gain),
        bias=read.offset.clone(),
        part="scaled",
    )
    made = Restart(tokens=source.tokens, width=source.width, layer=layer, scaled=scaled, observe=view.node)
    walk.restarts.append((view, made))
    return made


def residual(walk: Walk, node: fx.Node, left: View, right: View) -> View:
    """The residual stream plus a linear layer's output, in either order."""

    def on_stream(view: View) -> bool:
        source = view.source
        return isinstance(source, STREAM | Norm) or (
            isinstance(source, Linear) and isinstance(source.input, Patches)
        )

    if on_stream(left) == on_stream(right):
        kinds = " and ".join(described(view.source) for view in (left, right))
        raise refuse(node, f"An addition of {kinds}", "the residual stream plus a linear layer's output")
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
        raise refuse(node, "A residual addition of differently arranged tokens", ROWS)
    made = Add(
        tokens=branch.tokens, width=branch.width, layer=module_path(node), residual=kept.source, branch=branch
    )
    return View(made, kept.index)


def mean(walk: Walk, node: fx.Node, view: View, dims: Any, keepdim: bool = False, **kwargs: Any) -> View:
    """The mean over the tokens of the residual stream, or over those after the first ones."""
    supported = "the mean over all tokens, or over all but the first ones, of the residual stream or of a norm's output"
    dims = dims if isinstance(dims, list | tuple) else [dims]
    if len(dims) != 1 or dims[0] not in (1, -2) or len(view.shape) != 3:
        raise refuse(
            node, f"A mean over the dimensions {list(dims)} of a {list(view.shape)} tensor", supported
        )
    if isinstance(view.source, Norm):
        return heads.pooled(walk, node, view, keepdim)
    if isinstance(view.source, Attention | Activation):
        raise refuse(node, f"A mean of {described(view.source)}", supported)
    view = stream(walk, node, view, "a mean over tokens")
    source = view.source
    first = source.tokens - view.shape[1]
    if first < 0 or not torch.equal(view.index, whole(source, walk.batch)[:, first:]):
        raise refuse(node, "A mean over some of the tokens of the residual stream", supported)
    made = Mean(tokens=1, width=source.width, layer=module_path(node), input=source, first=first)
    index = whole(made, walk.batch)
    return View(made, index if keepdim else index[:, 0])
