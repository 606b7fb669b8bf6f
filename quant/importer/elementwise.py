"""Import of elementwise arithmetic with constants, concatenation, and the guards that softmax is decomposed into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from vitreous.quant.errors import refuse
from vitreous.quant.importer import activation_patterns as activations
from vitreous.quant.importer import decomposed_patterns as decomposed
from vitreous.quant.importer import heads, stream
from vitreous.quant.importer.view import View
from vitreous.quant.importer.walk import Walk

SUPPORTED = (
    "convolution with stride = kernel, linear, matmul, layer_norm, rms_norm, softmax, scaled_dot_product_attention, "
    "gelu (erf or tanh), quick gelu, silu, relu, add, sub, mul, div, cat, mean over tokens, dropout in evaluation, "
    "and views, permutes, slices and copies"
)


def add(walk: Walk, node: fx.Node, left: Any, right: Any, *, alpha: float = 1) -> View:
    """``left + alpha * right``: a residual addition, or a constant kept as an offset."""
    if isinstance(left, View) and isinstance(right, View):
        other = right if alpha == 1 else right.scaled(alpha)
        made = activations.combined(walk, node, left, other, times=False)
        if made is None:
            made = heads.added(walk, node, left, other)
        return stream.residual(walk, node, left, other) if made is None else made
    if isinstance(left, View):
        return _broadcast(node, left, right).shifted(_times(right, alpha))
    scaled = right if alpha == 1 else right.scaled(alpha)
    return _broadcast(node, scaled, left).shifted(left)


def subtract(walk: Walk, node: fx.Node, left: Any, right: Any, *, alpha: float = 1) -> View:
    """``left - alpha * right``."""
    return add(walk, node, left, right, alpha=-alpha)


def _times(value: Tensor | float, factor: float) -> Tensor | float:
    return value.double() * factor if isinstance(value, Tensor) else value * factor


def multiply(walk: Walk, node: fx.Node, left: Any, right: Any) -> View:
    """A product with a constant, kept as a gain; or a part of an activation or a norm that is written out."""
    if isinstance(left, View) and isinstance(right, View):
        made = decomposed.product(walk, node, left, right)
        if made is not None:
            return made
        raise refuse(node, "Two computed tensors are multiplied elementwise", SUPPORTED)
    view, factor = (left, right) if isinstance(left, View) else (right, left)
    return _broadcast(node, view, factor).scaled(factor)


def divide(walk: Walk, node: fx.Node, left: Any, right: Any, **kwargs: Any) -> View:
    """A division by a constant, or the one at the end of an RMS norm."""
    if isinstance(left, View) and isinstance(right, View):
        made = decomposed.quotient(walk, node, left, right)
        if made is not None:
            return made
    if not isinstance(left, View) or isinstance(right, View) or kwargs.get("rounding_mode") is not None:
        raise refuse(node, "A division by a computed tensor, or one that rounds", SUPPORTED)
    factor = 1.0 / (right.double() if isinstance(right, Tensor) else right)
    return _broadcast(node, left, factor).scaled(factor)


def _broadcast(node: fx.Node, view: View, other: Any) -> View:
    """``view`` spread over the shape that it has together with ``other``."""
    shape = torch.broadcast_shapes(view.shape, other.shape) if isinstance(other, Tensor) else view.shape
    if shape == view.shape:
        return view
    gain = None if view.gain is None else view.gain.expand(shape)
    offset = None if view.offset is None else view.offset.expand(shape)
    return View(view.source, view.index.expand(shape), gain, offset)


def concatenate(walk: Walk, node: fx.Node, parts: Any, dim: int = 0) -> View:
    """Constants and parts of one computed tensor, side by side; or what a head of several tokens reads."""
    views = [part for part in parts if isinstance(part, View)]
    if any(view.source is not views[0].source for view in views):
        made = heads.joined(walk, node, views, dim) if len(views) == len(parts) else None
        if made is not None:
            return made
        raise refuse(
            node, "Two computed tensors are concatenated", "a class token or constant with computed tokens"
        )

    def joined(read: Callable[[View], Tensor | None], default: float, constants: bool) -> Tensor:
        pieces = []
        for part in parts:
            if isinstance(part, View):
                found = read(part)
                pieces.append(
                    torch.full(part.shape, default, dtype=torch.float64) if found is None else found
                )
            else:
                pieces.append(
                    part.double() if constants else torch.full(part.shape, default, dtype=torch.float64)
                )
        return torch.cat(pieces, dim)

    index = torch.cat([p.index if isinstance(p, View) else torch.full(p.shape, -1) for p in parts], dim)
    return View(
        views[0].source, index, joined(lambda v: v.gain, 1.0, False), joined(lambda v: v.offset, 0.0, True)
    )


def cast(walk: Walk, node: fx.Node, value: View, *args: Any, **kwargs: Any) -> View:
    """A conversion between 32-bit and 64-bit floats."""
    types = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.dtype)]
    if any(kind not in (torch.float32, torch.float64) for kind in types):
        raise refuse(node, f"A conversion to {types[0]}", "models in 32-bit floats")
    return value


def equal(walk: Walk, node: fx.Node, value: View, other: Any) -> Tensor:
    """Softmax's guard against rows of -inf: a computed value is finite, so the comparison is false everywhere."""
    if not (isinstance(other, float) and other in (float("inf"), float("-inf"))):
        raise refuse(node, "A comparison of computed values", SUPPORTED)
    return torch.zeros(value.shape, dtype=torch.bool)


def where(walk: Walk, node: fx.Node, condition: Any, chosen: Any, other: Any) -> Any:
    """A choice that a constant condition makes."""
    if isinstance(condition, Tensor) and not bool(condition.any()):
        return other
    if isinstance(condition, Tensor) and bool(condition.all()):
        return chosen
    raise refuse(node, "A choice between two tensors", SUPPORTED)


def masked_fill(walk: Walk, node: fx.Node, value: Any, mask: Any, fill: Any) -> Any:
    """A fill that a constant mask makes nowhere."""
    if isinstance(mask, Tensor) and not bool(mask.any()) and isinstance(value, View):
        return _broadcast(node, value, mask)
    raise refuse(node, "Values are replaced where a mask says so", "masks that mask nothing")


def full_like(walk: Walk, node: fx.Node, value: View, fill: float = 0.0, **kwargs: Any) -> Tensor:
    """A constant in the shape of a computed tensor."""
    return torch.full(value.shape, float(fill))
