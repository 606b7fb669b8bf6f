"""Import of RMS norms that the model or ``run_decompositions`` writes out:

    x * rsqrt(mean(x * x) + eps),   x / sqrt(mean(x * x) + eps),   with square(x), pow(x, 2), pow(., -0.5), reciprocal

Each part becomes a value of the float IR that remembers what it was computed from; the last product or quotient
recognizes the pattern. A part that is used in any other way is refused where it is used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from vitreous.quant.errors import module_path, refuse
from vitreous.quant.importer import activation_patterns as activations
from vitreous.quant.importer import stream
from vitreous.quant.importer.float_ir import Linear, Patches
from vitreous.quant.importer.layers import size
from vitreous.quant.importer.partial import MeanSquare, Root, Square
from vitreous.quant.importer.view import View, identical, uniform
from vitreous.quant.importer.walk import Walk

_RMS = "RMS norms over all channels of a token: x * rsqrt(mean(x**2, -1) + eps)"


def square(walk: Walk, node: fx.Node, view: View) -> View:
    """``x * x``: the beginning of an RMS norm."""
    rows, width = size(walk, view)
    return _whole(Square(tokens=rows, width=width, layer=module_path(node), argument=view), view.shape)


def mean_square(
    walk: Walk, node: fx.Node, view: View, dims: Any, keepdim: bool = False, **kwargs: Any
) -> View:
    """``mean(x * x, -1)``."""
    source = view.source
    assert isinstance(source, Square)
    dims = dims if isinstance(dims, list | tuple) else [dims]
    if len(dims) != 1 or dims[0] not in (-1, len(view.shape) - 1) or not _untouched(view, source.argument):
        raise refuse(node, "A mean of squares over other dimensions, or of scaled squares", _RMS)
    made = MeanSquare(tokens=source.tokens, width=1, layer=module_path(node), argument=source.argument)
    shape = (*view.shape[:-1], 1) if keepdim else view.shape[:-1]
    return _whole(made, torch.Size(shape))


def power(walk: Walk, node: fx.Node, view: View, exponent: float) -> View:
    """``x ** exponent`` with 2, 3, 0.5 or -0.5."""
    if exponent == 2:
        return square(walk, node, view)
    if exponent == 3 and isinstance(view.source, Linear) and not isinstance(view.source.input, Patches):
        return activations.power(walk, node, view)
    if exponent in (0.5, -0.5) and isinstance(view.source, MeanSquare):
        return _root(walk, node, view, inverse=exponent < 0)
    raise refuse(node, f"A power of {exponent}", _RMS)


def rsqrt(walk: Walk, node: fx.Node, view: View) -> View:
    """``1 / sqrt(x)``."""
    return _root(walk, node, view, inverse=True)


def sqrt(walk: Walk, node: fx.Node, view: View) -> View:
    """``sqrt(x)``."""
    return _root(walk, node, view, inverse=False)


def reciprocal(walk: Walk, node: fx.Node, view: View) -> View:
    """``1 / sqrt(mean(x * x) + eps)`` from the root."""
    source = view.source
    if not isinstance(source, Root) or source.inverse or view.gain is not None or view.offset is not None:
        raise refuse(node, "The reciprocal of a computed tensor", _RMS)
    made = Root(
        tokens=source.tokens,
        width=1,
        layer=source.layer,
        argument=source.argument,
        eps=source.eps,
        inverse=True,
    )
    return View(made, view.index)


def _root(walk: Walk, node: fx.Node, view: View, *, inverse: bool) -> View:
    source = view.source
    if not isinstance(source, MeanSquare):
        raise refuse(node, f"The square root of a {type(source).__name__.lower()}", _RMS)
    eps = uniform(view.offset, 0.0)
    if eps is None or uniform(view.gain, 1.0) != 1.0:
        raise refuse(node, "The root of a scaled mean of squares", _RMS)
    made = Root(
        tokens=source.tokens,
        width=1,
        layer=module_path(node),
        argument=source.argument,
        eps=eps,
        inverse=inverse,
    )
    return View(made, view.index)


def product(walk: Walk, node: fx.Node, left: View, right: View) -> View | None:
    """A square, an activation function or an RMS norm from a product of two computed tensors, or a part of one; None
    when it is none of them."""
    if identical(left, right):
        return square(walk, node, left)
    made = activations.product(walk, node, left, right)
    if made is not None:
        return made
    for value, other in ((left, right), (right, left)):
        if other.gain is not None or other.offset is not None:
            continue
        source = other.source
        if isinstance(source, Root) and source.inverse:
            return _rms_norm(walk, node, value, other)
    return activations.combined(walk, node, left, right, times=True)


def quotient(walk: Walk, node: fx.Node, left: View, right: View) -> View | None:
    """An RMS norm from a quotient of two computed tensors; None when it is none."""
    plain = right.gain is None and right.offset is None
    if plain and isinstance(right.source, Root) and not right.source.inverse:
        return _rms_norm(walk, node, left, right)
    return None


def _rms_norm(walk: Walk, node: fx.Node, value: View, root: View) -> View:
    source = root.source
    assert isinstance(source, Root)
    rows = torch.arange(root.index.numel()).reshape(*value.shape[:-1], 1)
    spread = root.shape == rows.shape or root.shape == value.shape
    if (
        not identical(value, source.argument)
        or not spread
        or not torch.equal(root.index, rows.expand(root.shape))
    ):
        raise refuse(node, "A tensor is divided by the root mean square of another one", _RMS)
    return stream.rms_norm(walk, node, value, [value.shape[-1]], None, source.eps)


def _whole(source: Square | MeanSquare, shape: torch.Size) -> View:
    return View(source, torch.arange(shape.numel()).reshape(shape))


def _untouched(view: View, argument: View) -> bool:
    """Whether the elements of a part are still where those of its argument are, without gain and offset."""
    plain = view.gain is None and view.offset is None
    return (
        plain
        and view.shape == argument.shape
        and torch.equal(view.index.reshape(-1), torch.arange(view.index.numel()))
    )
