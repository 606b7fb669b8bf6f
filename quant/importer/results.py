"""What a model returns: its logits, without what its last operations make of them, and stand-ins after a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from vitreous.quant.errors import QuantError, module_path, refuse
from vitreous.quant.importer import heads, layers
from vitreous.quant.importer.float_ir import (
    Encoder,
    HeadMean,
    HeadSum,
    Linear,
    collect,
)
from vitreous.quant.importer.partial import Curve, Ending, Unknown, described
from vitreous.quant.importer.view import View, whole
from vitreous.quant.importer.walk import Walk

_LINEARS = ("linear", "addmm")


def ending(walk: Walk, node: fx.Node, view: View, function: str) -> View:
    """Softmax or its logarithm over the classes: dropped where it is the output."""
    return _ending(walk, node, view, function, view.shape)


def _ending(walk: Walk, node: fx.Node, view: View, function: str, shape: torch.Size) -> View:
    rows = view.index.numel() // (walk.batch * view.shape[-1])
    width = shape.numel() // (walk.batch * rows)
    made = Ending(tokens=rows, width=width, layer=module_path(node), operand=view, function=function)
    return View(made, torch.arange(shape.numel()).reshape(shape))


def argmax(walk: Walk, node: fx.Node, view: View, dim: int | None = None, keepdim: bool = False) -> View:
    """The most probable class: left out where it is the output."""
    return _choice(walk, node, view, "argmax", dim, 1, keepdim)


def maximum(walk: Walk, node: fx.Node, view: View, dim: int | None = None, keepdim: bool = False) -> Any:
    """The most probable class, as the second result: left out where it is the output."""
    return (None, _choice(walk, node, view, "max", dim, 1, keepdim))


def topk(
    walk: Walk, node: fx.Node, view: View, k: int, dim: int = -1, largest: bool = True, in_order: bool = True
) -> Any:
    """The most probable classes, as the second result: left out where they are the output."""
    if not largest:
        raise refuse(node, "topk of the smallest", "topk of the largest, as the model's output")
    return (None, _choice(walk, node, view, "topk", dim, k, True))


def _choice(
    walk: Walk, node: fx.Node, view: View, function: str, dim: int | None, count: int, keepdim: bool
) -> View:
    """The numbers of the ``count`` most probable classes."""
    if dim not in (-1, len(view.shape) - 1):
        raise refuse(
            node,
            f"{function} over dimension {dim}",
            "argmax, max and topk over the classes, as the model's output",
        )
    shape = torch.Size((*view.shape[:-1], *((count,) if keepdim else ())))
    return _ending(walk, node, view, function, shape)


def log_softmax(walk: Walk, node: fx.Node, view: View, dim: int, *args: Any) -> View:
    """The logarithms of the probabilities: left out where they are the output."""
    if dim not in (-1, len(view.shape) - 1):
        raise refuse(
            node, f"log_softmax over dimension {dim}", "log_softmax over the classes, as the model's output"
        )
    return ending(walk, node, view, "log_softmax")


def encoder_of(walk: Walk, node: fx.Node) -> Encoder:
    """The encoder whose logits the ``output`` node returns. Raises QuantError where it returns something else."""
    view = _returned(walk, node)
    while _plain(view) and isinstance(view.source, Ending | Curve):
        walk.notes.append(
            f"the model's last operation, {view.source.function}, is left out: its results are logits, "
            "and the largest logit belongs to the same class"
        )
        view = view.source.operand
    if isinstance(view.source, HeadMean | HeadSum):
        return collect(heads.settled(view.node or node, view), view.node, walk.notes)
    if not isinstance(view.source, Linear):
        found = described(view.source)
        raise QuantError(f"The model's output is {found}; supported: a linear layer's logits")
    logits, read = layers.absorbed(view.node or node, view, "the output")
    if logits.tokens != 1 or not torch.equal(read.batch, torch.arange(walk.batch)):
        shape = list(view.shape[1:])
        raise QuantError(
            f"The model's output has shape {shape} for each image; supported: one vector of logits"
        )
    return collect(logits, view.node, walk.notes)


def _returned(walk: Walk, node: fx.Node) -> View:
    """The one computed value that the model returns, or the one that it calls ``logits``."""
    leaves = pytree.tree_leaves(walk.resolve(node.args), is_leaf=lambda leaf: isinstance(leaf, View))
    if len(leaves) > 1 and (place := _named_logits(walk.module, len(leaves))) is not None:
        walk.notes.append(f"of the model's {len(leaves)} results only the logits are computed")
        leaves = [leaves[place]]
    if len(leaves) != 1 or not isinstance(leaves[0], View):
        raise QuantError(f"The model returns {len(leaves)} values; supported: one tensor of logits")
    return leaves[0]


def _named_logits(module: fx.GraphModule, count: int) -> int | None:
    """Which of ``count`` leaves of the output is under the key ``logits`` of a mapping; None when there is none."""
    info = getattr(module.graph._codegen, "pytree_info", None)
    if info is None or info.out_spec is None or info.out_spec.num_leaves != count:
        return None
    named = pytree.tree_unflatten(list(range(count)), info.out_spec)
    place = named.get("logits") if isinstance(named, Mapping) else None
    return place if isinstance(place, int) else None


def _plain(view: View) -> bool:
    """Whether the value is all of its source, without gain and offset."""
    return (
        view.gain is None
        and view.offset is None
        and torch.equal(view.index.reshape(-1), torch.arange(view.index.numel()))
    )


def stand_in(walk: Walk, node: fx.Node, name: str) -> Any:
    """What stands for the result of a refused operation, by its shape; None where that is not known.

    A linear layer's result stays one, so that what follows is judged as it is.
    """

    def stand(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        shape = torch.Size(int(size) for size in leaf.shape)
        if not shape or shape[0] != walk.batch or not shape.numel():
            return torch.zeros(shape)
        width = shape[-1] if len(shape) > 1 else 1
        tokens = shape.numel() // (walk.batch * width)
        made: Unknown | Linear = Unknown(tokens=tokens, width=width)
        if name in _LINEARS:
            weight, bias = torch.zeros(width, 1).double(), torch.zeros(width).double()
            made = Linear(tokens=tokens, width=width, input=made, weight=weight, bias=bias)
        return View(made, whole(made, walk.batch).reshape(shape))

    return None if (value := node.meta.get("val")) is None else pytree.tree_map(stand, value)


def depends_on_a_stand_in(arguments: Any) -> bool:
    """Whether an operand stands for something that was refused: what is wrong with it says nothing."""
    leaves = pytree.tree_leaves(arguments, is_leaf=lambda leaf: isinstance(leaf, View))
    return any(isinstance(leaf, View) and isinstance(leaf.source, Unknown) for leaf in leaves)
