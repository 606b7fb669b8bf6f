"""From an exported graph to the encoder that it computes, operator by operator, in one walk.

Operators that only move elements are followed through ``View``; constants are computed; the rest is ``elementwise``,
``layers``, ``stream``, ``decomposed`` and ``attention``. Anything else is refused by name. Walking data flow makes the
result independent of how a model writes its reshapes and where it puts its dropouts.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from vitreous.quant.errors import QuantError, Refusal, refuse
from vitreous.quant.importer import activation_patterns as activations
from vitreous.quant.importer import attention, elementwise, heads, layers, patches, results, stream
from vitreous.quant.importer import decomposed_patterns as decomposed
from vitreous.quant.importer.elementwise import SUPPORTED
from vitreous.quant.importer.float_ir import Encoder, Image, Linear
from vitreous.quant.importer.partial import Joined, Pooled, Square
from vitreous.quant.importer.view import View, whole
from vitreous.quant.importer.walk import Walk
from vitreous.spec.variants import ActivationFunction

# Operators that give every element of their result one element of their operand: executed on the element numbers.
_MOVES = frozenset(
    {
        *("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze", "expand"),
        *("permute", "transpose", "t", "numpy_T", "movedim", "swapaxes", "swapdims", "flip", "roll"),
        *("slice", "select", "narrow", "index_select", "unfold", "pixel_unshuffle"),
        *("unbind", "split", "split_with_sizes", "chunk", "tensor_split"),
        *("clone", "contiguous", "alias", "detach", "lift_fresh_copy"),
    }
)
_ASSERTIONS = frozenset(
    {
        *("_assert_scalar", "_assert_async", "_assert_tensor_metadata"),
        *("sym_constrain_range", "sym_constrain_range_for_size"),
    }
)


def import_graph(module: fx.GraphModule, shape: torch.Size) -> Encoder:
    """Recognize the encoder of an exported graph.

    Parameters: ``module``, the module of an exported program in ATen operators; ``shape``, its input's
    ``(B, C, H, W)``. Raises QuantError that names an unsupported operator or structure and its module.
    """
    walk = Walk(module, shape)
    for node in module.graph.nodes:
        if node.op == "output":
            return _encoder(walk, node)
        walk.store(node, _value_or_stand_in(walk, node))
        walk.release(node)
    raise QuantError("The exported graph has no output")


def _encoder(walk: Walk, node: fx.Node) -> Encoder:
    """The encoder. Raises QuantError for all places that were refused on the way."""
    if walk.refused:
        raise Refusal(walk.refused)
    return results.encoder_of(walk, node)


def _value_or_stand_in(walk: Walk, node: fx.Node) -> Any:
    """A node's value; where it is refused, the place is noted and something stands for it, so that all are found."""
    try:
        return _value(walk, node)
    except Refusal as error:
        places = error.places
    except QuantError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        places = refuse(
            node, f"Operator {operator_name(node)!r} cannot be followed: {reason}", SUPPORTED
        ).places
    if not results.depends_on_a_stand_in(walk.resolve((node.args, node.kwargs))):
        walk.refused.extend(places)
    value = results.stand_in(walk, node, operator_name(node))
    if value is None:
        raise Refusal(walk.refused)
    return value


def _value(walk: Walk, node: fx.Node) -> Any:
    if node.op == "placeholder":
        return _input(walk, node)
    if node.op == "get_attr":
        return walk.attribute(str(node.target))
    if node.op != "call_function":
        raise refuse(node, "A call of a module or a method is left in the exported graph", SUPPORTED)
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
        raise refuse(node, f"Operator {name!r} is not supported", SUPPORTED)
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


def _dropout(walk: Walk, node: fx.Node, value: View, *args: Any, **kwargs: Any) -> Any:
    """Dropout in evaluation, which changes nothing."""
    flags = [flag for flag in (*args, *kwargs.values()) if isinstance(flag, bool)]
    chance = next((part for part in (*args, *kwargs.values()) if isinstance(part, float | int)), 0.0)
    if any(flags) and chance:
        raise refuse(node, "Dropout is in training mode", "a model exported after .eval()")
    return (value, None) if operator_name(node) == "native_dropout" else value


def _size(walk: Walk, node: fx.Node, value: View, dim: int) -> int:
    """The size of a dimension."""
    return value.shape[dim]


def _getitem(walk: Walk, node: fx.Node, values: Any, at: Any) -> Any:
    """One of several results, as of ``split``."""
    return values[at]


def _attention(walk: Walk, node: fx.Node, *args: Any, **kwargs: Any) -> Any:
    """Attention as one operator, ``softmax(scale * q k^T) v``."""
    result = attention.scaled_dot_product(walk, node, *args, **kwargs)
    # The kernels' own operators return statistics beside the result.
    return result if operator_name(node) == "scaled_dot_product_attention" else (result, *[None] * 8)


def _softmax(walk: Walk, node: fx.Node, view: View, dim: int, *args: Any, **kwargs: Any) -> View:
    """The softmax of attention that is written out, over the last dimension; left out where it is the output."""
    if dim not in (-1, len(view.shape) - 1):
        raise refuse(node, f"Softmax over dimension {dim}", "softmax over the last dimension")
    if isinstance(view.source, Linear):
        return results.ending(walk, node, view, "softmax")
    return attention.softmax(walk, node, view)


def _matmul(walk: Walk, node: fx.Node, left: Any, right: Any) -> View:
    """Queries with keys, probabilities with values, or a linear layer: computed values with constant weights."""
    if isinstance(left, View) and isinstance(right, View):
        return attention.product(walk, node, left, right)
    if isinstance(left, View):
        return _product(walk, node, left, _matrix(node, right).T, None)
    raise refuse(node, "A product whose left side is constant", "products of computed tensors with weights")


def _matrix(node: fx.Node, weight: Tensor) -> Tensor:
    """One matrix from a batch of equal ones."""
    table = weight.reshape(-1, *weight.shape[-2:])
    if not torch.equal(table, table[:1].expand_as(table)):
        raise refuse(node, "A product with different weights for different images or tokens", SUPPORTED)
    return table[0]


def _addmm(walk: Walk, node: fx.Node, bias: Any, value: Any, weight: Any, **kwargs: Any) -> View:
    """A linear layer: ``x @ weight + bias``."""
    if isinstance(bias, View) or not isinstance(value, View) or isinstance(weight, View) or kwargs:
        raise refuse(node, "A matrix product with a sum of another form", "x @ weight + bias")
    return _product(walk, node, value, weight.T, bias)


def _linear(walk: Walk, node: fx.Node, value: Any, weight: Any, bias: Any = None) -> View:
    """A linear layer with constant weights."""
    if not isinstance(value, View) or isinstance(weight, View) or isinstance(bias, View):
        raise refuse(node, "A linear layer with computed weights", "constant weights")
    return _product(walk, node, value, weight, bias)


def _product(walk: Walk, node: fx.Node, value: View, weight: Tensor, bias: Tensor | None) -> View:
    if isinstance(value.source, Image):
        return patches.linear(walk, node, value, weight, bias)
    if isinstance(value.source, Pooled | Joined):
        return heads.linear(walk, node, value, weight, bias)
    return layers.linear(walk, node, value, weight, bias)


def _native_layer_norm(walk: Walk, node: fx.Node, *args: Any, **kwargs: Any) -> Any:
    """Layer norm over the channels, as it is decomposed."""
    return (stream.layer_norm(walk, node, *args, **kwargs), None, None)


def _gelu(walk: Walk, node: fx.Node, value: View, *, approximate: str = "none") -> View:
    """GELU of a linear layer's output, exact or with tanh."""
    exact = approximate == "none"
    return layers.activation(
        walk, node, value, ActivationFunction.GELU if exact else ActivationFunction.GELU_TANH
    )


def _curve(walk: Walk, node: fx.Node, value: View) -> View:
    """A part of an activation function that is written out."""
    return activations.curve(walk, node, value, operator_name(node))


def _fused_rms_norm(walk: Walk, node: fx.Node, *args: Any, **kwargs: Any) -> Any:
    """RMS norm over the channels, as it is decomposed."""
    return (stream.rms_norm(walk, node, *args, **kwargs), None)


def _mean(walk: Walk, node: fx.Node, view: View, *args: Any, **kwargs: Any) -> View:
    """The mean over all tokens or all but the first ones, around the last norm; or that of an RMS norm's squares."""
    found = decomposed.mean_square if isinstance(view.source, Square) else stream.mean
    return found(walk, node, view, *args, **kwargs)


def _silu(walk: Walk, node: fx.Node, value: View) -> View:
    """SiLU of a linear layer's output."""
    return layers.activation(walk, node, value, ActivationFunction.SILU)


def _relu(walk: Walk, node: fx.Node, value: View) -> View:
    """ReLU of a linear layer's output."""
    return layers.activation(walk, node, value, "relu")


_HANDLERS: dict[str, Callable[..., Any]] = {
    "conv2d": patches.convolution,
    "convolution": patches.raw_convolution,
    "im2col": patches.unfolded,
    "linear": _linear,
    "addmm": _addmm,
    "matmul": _matmul,
    "bmm": _matmul,
    "mm": _matmul,
    "layer_norm": stream.layer_norm,
    "native_layer_norm": _native_layer_norm,
    "rms_norm": stream.rms_norm,
    "_fused_rms_norm": _fused_rms_norm,
    "softmax": _softmax,
    "_softmax": _softmax,
    "_safe_softmax": _softmax,
    "log_softmax": results.log_softmax,
    "_log_softmax": results.log_softmax,
    "argmax": results.argmax,
    "max": results.maximum,
    "topk": results.topk,
    "scaled_dot_product_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "gelu": _gelu,
    "silu": _silu,
    "relu": _relu,
    "erf": _curve,
    "sigmoid": _curve,
    "tanh": _curve,
    "square": decomposed.square,
    "pow": decomposed.power,
    "rsqrt": decomposed.rsqrt,
    "sqrt": decomposed.sqrt,
    "reciprocal": decomposed.reciprocal,
    "mean": _mean,
    "add": elementwise.add,
    "sub": elementwise.subtract,
    "mul": elementwise.multiply,
    "div": elementwise.divide,
    "cat": elementwise.concatenate,
    "dropout": _dropout,
    "native_dropout": _dropout,
    "to": elementwise.cast,
    "_to_copy": elementwise.cast,
    "eq": elementwise.equal,
    "where": elementwise.where,
    "masked_fill": elementwise.masked_fill,
    "full_like": elementwise.full_like,
    "zeros_like": elementwise.full_like,
    "sym_size": _size,
    operator.getitem.__name__: _getitem,
}
