"""From an exported graph to the encoder that it computes, operator by operator, in one walk.

Operators that only move, scale or shift elements are followed through ``View``; constants are computed; the rest is
``layers`` and ``attention``. Anything else is refused by name. Walking data flow, and not matching text, makes the result
independent of how a model spells its reshapes and where it puts its dropouts.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from vitreous.quant import attention, layers
from vitreous.quant.errors import QuantError, refuse
from vitreous.quant.sources import Encoder, Image, Linear, collect
from vitreous.quant.view import View, whole
from vitreous.quant.walk import Walk

# Operators that give every element of their result one element of their operand: executed on the element numbers.
_MOVES = frozenset(
    "view reshape _unsafe_view permute transpose t slice select squeeze unsqueeze expand clone contiguous flatten "
    "unflatten unbind split split_with_sizes chunk alias detach narrow movedim swapaxes swapdims index_select "
    "lift_fresh_copy numpy_T flip roll tensor_split".split()
)
_ASSERTIONS = frozenset(
    "_assert_scalar _assert_async _assert_tensor_metadata sym_constrain_range sym_constrain_range_for_size".split()
)
_CASTS = frozenset("to _to_copy".split())
_SUPPORTED = (
    "convolution with stride = kernel, linear, matmul, layer_norm, softmax, scaled_dot_product_attention, gelu, relu, "
    "add, sub, mul, div, cat, mean over tokens, dropout in evaluation, and views, permutes, slices and copies"
)


def import_graph(module: fx.GraphModule, shape: torch.Size) -> Encoder:
    """Recognize the encoder of an exported graph.

    Parameters: ``module``, the module of an exported program in ATen operators; ``shape``, its input's
    ``(B, C, H, W)``. Raises QuantError that names an unsupported operator or structure and its module.
    """
    walk = Walk(module, shape)
    for node in module.graph.nodes:
        if node.op == "output":
            return collect(_result(walk, node))
        walk.store(node, _value(walk, node))
    raise QuantError("The exported graph has no output")


def _value(walk: Walk, node: fx.Node) -> Any:
    if node.op == "placeholder":
        return _input(walk, node)
    if node.op == "get_attr":
        return walk.attribute(str(node.target))
    if node.op != "call_function":
        raise refuse(node, "A call of a module or a method is left in the exported graph", _SUPPORTED)
    args, kwargs = walk.resolve(node.args), walk.resolve(node.kwargs)
    name = operator_name(node)
    if name in _ASSERTIONS:
        return None
    handler = _HANDLERS.get(name)
    has_view = any(isinstance(leaf, View) for leaf in pytree.tree_leaves((args, kwargs), is_leaf=_is_view))
    if not has_view:
        assert callable(node.target)
        return node.target(*args, **kwargs)
    if name in _MOVES:
        return _move(node, args, kwargs)
    if handler is None:
        raise refuse(node, f"Operator {name!r} is not supported", _SUPPORTED)
    return handler(walk, node, *args, **kwargs)


def operator_name(node: fx.Node) -> str:
    """``linear`` of ``aten.linear.default``; Python's own name for a builtin."""
    if isinstance(node.target, torch._ops.OpOverload):
        return str(node.target.overloadpacket.__name__)
    return getattr(node.target, "__name__", str(node.target))


def _is_view(value: Any) -> bool:
    return isinstance(value, View)


def _input(walk: Walk, node: fx.Node) -> View:
    if walk.image is not None:
        raise QuantError(f"The model takes more than one input ({node.name}); supported: one batch of images")
    batch, *shape = walk.shape
    channels, height, width = shape
    walk.image = Image(
        tokens=1, width=channels * height * width, shape=(channels, height, width), observe=node
    )
    return View(walk.image, whole(walk.image, batch).reshape(walk.shape))


def _result(walk: Walk, node: fx.Node) -> Linear:
    leaves = pytree.tree_leaves(walk.resolve(node.args), is_leaf=_is_view)
    if len(leaves) != 1 or not isinstance(leaves[0], View):
        raise QuantError(f"The model returns {len(leaves)} values; supported: one tensor of logits")
    view = leaves[0]
    if not isinstance(view.source, Linear):
        raise QuantError(
            f"The model's output comes from a {type(view.source).__name__.lower()}; supported: a linear layer's logits"
        )
    logits, read = layers.absorbed(view.node or node, view, "the output")
    if logits.tokens != 1 or not torch.equal(read.batch, torch.arange(walk.batch)):
        raise QuantError(
            f"The model's output has shape {list(view.shape[1:])} for each image; supported: one vector of logits"
        )
    return logits


def _move(node: fx.Node, args: Any, kwargs: Any) -> Any:
    """Execute an operator of ``_MOVES`` on element numbers, gains and offsets."""
    (view,) = (leaf for leaf in pytree.tree_leaves((args, kwargs), is_leaf=_is_view) if _is_view(leaf))

    def apply(part: Callable[[View], Tensor | None]) -> Any:
        def place(leaf: Any) -> Any:
            found = part(leaf) if isinstance(leaf, View) else leaf
            return found.contiguous() if isinstance(leaf, View) and found is not None else found

        if part(view) is None:
            return None
        moved_args, moved_kwargs = pytree.tree_map(place, (args, kwargs), is_leaf=_is_view)
        assert callable(node.target)
        return node.target(*moved_args, **moved_kwargs)

    index, gain, offset = apply(lambda v: v.index), apply(lambda v: v.gain), apply(lambda v: v.offset)
    if isinstance(index, Tensor):
        return View(view.source, index, gain, offset)
    gains = gain if gain is not None else [None] * len(index)
    offsets = offset if offset is not None else [None] * len(index)
    return [View(view.source, *parts) for parts in zip(index, gains, offsets, strict=True)]


def _add(walk: Walk, node: fx.Node, left: Any, right: Any, *, alpha: float = 1) -> View:
    if isinstance(left, View) and isinstance(right, View):
        return layers.residual(walk, node, left, right if alpha == 1 else right.scaled(alpha))
    if isinstance(left, View):
        return _broadcast(node, left, right).shifted(_times(right, alpha))
    scaled = right if alpha == 1 else right.scaled(alpha)
    return _broadcast(node, scaled, left).shifted(left)


def _subtract(walk: Walk, node: fx.Node, left: Any, right: Any, *, alpha: float = 1) -> View:
    return _add(walk, node, left, right, alpha=-alpha)


def _times(value: Tensor | float, factor: float) -> Tensor | float:
    return value.double() * factor if isinstance(value, Tensor) else value * factor


def _multiply(walk: Walk, node: fx.Node, left: Any, right: Any) -> View:
    if isinstance(left, View) and isinstance(right, View):
        raise refuse(node, "Two computed tensors are multiplied elementwise", _SUPPORTED)
    view, factor = (left, right) if isinstance(left, View) else (right, left)
    return _broadcast(node, view, factor).scaled(factor)


def _divide(walk: Walk, node: fx.Node, left: Any, right: Any, **kwargs: Any) -> View:
    if not isinstance(left, View) or isinstance(right, View) or kwargs.get("rounding_mode") is not None:
        raise refuse(node, "A division by a computed tensor, or one that rounds", _SUPPORTED)
    factor = 1.0 / (right.double() if isinstance(right, Tensor) else right)
    return _broadcast(node, left, factor).scaled(factor)


def _broadcast(node: fx.Node, view: View, other: Any) -> View:
    """``view`` spread over the shape that it has together with ``other``."""
    shape = torch.broadcast_shapes(view.shape, other.shape) if isinstance(other, Tensor) else view.shape
    if shape == view.shape:
        return view
    parts = (None if part is None else part.expand(shape) for part in (view.index, view.gain, view.offset))
    return View(view.source, *parts)  # type: ignore[arg-type]


def _concatenate(walk: Walk, node: fx.Node, parts: Any, dim: int = 0) -> View:
    views = [part for part in parts if isinstance(part, View)]
    if any(view.source is not views[0].source for view in views):
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


def _dropout(walk: Walk, node: fx.Node, value: View, *args: Any, **kwargs: Any) -> Any:
    flags = [flag for flag in (*args, *kwargs.values()) if isinstance(flag, bool)]
    if any(flags):
        raise refuse(node, "Dropout is in training mode", "a model exported after .eval()")
    return (value, None) if operator_name(node) == "native_dropout" else value


def _cast(walk: Walk, node: fx.Node, value: View, *args: Any, **kwargs: Any) -> View:
    types = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.dtype)]
    if any(kind not in (torch.float32, torch.float64) for kind in types):
        raise refuse(node, f"A conversion to {types[0]}", "models in 32-bit floats")
    return value


def _equal(walk: Walk, node: fx.Node, value: View, other: Any) -> Tensor:
    """Softmax's guard against rows of -inf: a computed value is finite, so the comparison is false everywhere."""
    if not (isinstance(other, float) and other in (float("inf"), float("-inf"))):
        raise refuse(node, "A comparison of computed values", _SUPPORTED)
    return torch.zeros(value.shape, dtype=torch.bool)


def _where(walk: Walk, node: fx.Node, condition: Any, chosen: Any, other: Any) -> Any:
    if isinstance(condition, Tensor) and not bool(condition.any()):
        return other
    if isinstance(condition, Tensor) and bool(condition.all()):
        return chosen
    raise refuse(node, "A choice between two tensors", _SUPPORTED)


def _full_like(walk: Walk, node: fx.Node, value: View, fill: float = 0.0, **kwargs: Any) -> Tensor:
    return torch.full(value.shape, float(fill))


def _size(walk: Walk, node: fx.Node, value: View, dim: int) -> int:
    return value.shape[dim]


def _getitem(walk: Walk, node: fx.Node, values: Any, at: Any) -> Any:
    return values[at]


def _attention(walk: Walk, node: fx.Node, *args: Any, **kwargs: Any) -> Any:
    result = attention.scaled_dot_product(walk, node, *args, **kwargs)
    # The kernels' own operators return statistics beside the result.
    return result if operator_name(node) == "scaled_dot_product_attention" else (result, *[None] * 8)


def _softmax(walk: Walk, node: fx.Node, view: View, dim: int, *args: Any, **kwargs: Any) -> View:
    if dim not in (-1, len(view.shape) - 1):
        raise refuse(node, f"Softmax over dimension {dim}", "softmax over the last dimension")
    return attention.softmax(walk, node, view)


def _matmul(walk: Walk, node: fx.Node, left: Any, right: Any) -> View:
    if isinstance(left, View) and isinstance(right, View):
        return attention.product(walk, node, left, right)
    if isinstance(left, View):
        return layers.linear(walk, node, left, _matrix(node, right).T, None)
    raise refuse(node, "A product whose left side is constant", "products of computed tensors with weights")


def _matrix(node: fx.Node, weight: Tensor) -> Tensor:
    """One matrix from a batch of equal ones."""
    table = weight.reshape(-1, *weight.shape[-2:])
    if not torch.equal(table, table[:1].expand_as(table)):
        raise refuse(node, "A product with different weights for different images or tokens", _SUPPORTED)
    return table[0]


def _addmm(walk: Walk, node: fx.Node, bias: Any, value: Any, weight: Any, **kwargs: Any) -> View:
    if isinstance(bias, View) or not isinstance(value, View) or isinstance(weight, View) or kwargs:
        raise refuse(node, "A matrix product with a sum of another form", "x @ weight + bias")
    return layers.linear(walk, node, value, weight.T, bias)


def _linear(walk: Walk, node: fx.Node, value: Any, weight: Any, bias: Any = None) -> View:
    if not isinstance(value, View) or isinstance(weight, View) or isinstance(bias, View):
        raise refuse(node, "A linear layer with computed weights", "constant weights")
    return layers.linear(walk, node, value, weight, bias)


def _native_layer_norm(walk: Walk, node: fx.Node, *args: Any, **kwargs: Any) -> Any:
    return (layers.layer_norm(walk, node, *args, **kwargs), None, None)


def _gelu(walk: Walk, node: fx.Node, value: View, *, approximate: str = "none") -> View:
    if approximate != "none":
        raise refuse(node, f"GELU with approximate={approximate!r}", "the exact GELU, approximate='none'")
    return layers.activation(walk, node, value, "gelu")


def _relu(walk: Walk, node: fx.Node, value: View) -> View:
    return layers.activation(walk, node, value, "relu")


_HANDLERS: dict[str, Callable[..., Any]] = {
    "conv2d": layers.convolution,
    "convolution": layers.raw_convolution,
    "linear": _linear,
    "addmm": _addmm,
    "matmul": _matmul,
    "bmm": _matmul,
    "mm": _matmul,
    "layer_norm": layers.layer_norm,
    "native_layer_norm": _native_layer_norm,
    "softmax": _softmax,
    "_softmax": _softmax,
    "_safe_softmax": _softmax,
    "scaled_dot_product_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "gelu": _gelu,
    "relu": _relu,
    "mean": layers.mean,
    "add": _add,
    "sub": _subtract,
    "mul": _multiply,
    "div": _divide,
    "cat": _concatenate,
    "dropout": _dropout,
    "native_dropout": _dropout,
    **dict.fromkeys(_CASTS, _cast),
    "eq": _equal,
    "where": _where,
    "full_like": _full_like,
    "zeros_like": _full_like,
    "sym_size": _size,
    operator.getitem.__name__: _getitem,
}
