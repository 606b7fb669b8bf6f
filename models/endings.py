"""Networks that return classes in place of logits: what their last operations choose from.

argmax, max and topk over the classes, and softmax, its logarithm or sigmoid before them, leave the order of the classes
as it is. The network before them gives the logits, and the largest of these is the class that they choose.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

CHOICES = {"argmax": 1, "max": 1, "topk": 2}
"""Operators whose result are numbers of classes, and where their dimension stands among the arguments."""
ORDERED = {"softmax": 1, "_softmax": 1, "log_softmax": 1, "_log_softmax": 1, "sigmoid": None}
"""Operators before them, alike; sigmoid has no dimension."""
_MOVES = frozenset(
    {
        *("view", "reshape", "flatten", "squeeze", "unsqueeze", "permute", "transpose", "t"),
        *(
            "select",
            "slice",
            "getitem",
            "clone",
            "contiguous",
            "alias",
            "detach",
            "detach_",
            "to",
            "_to_copy",
        ),
    }
)
"""Operators that leave a number what it is."""


def before_the_choice(node: fx.Node) -> tuple[fx.Node, tuple[str, ...]] | None:
    """The node of an exported graph that gives the logits of which ``node`` holds the chosen classes, and the names of
    the operations between them, the last one first. None where ``node`` is computed in another way.
    """
    place = node
    while _name(place) in _MOVES and place.all_input_nodes:
        place = place.all_input_nodes[0]
    if _name(place) not in CHOICES or not _over_classes(place):
        return None
    passed = [_name(place)]
    place = place.all_input_nodes[0]
    while _name(place) in ORDERED and _over_classes(place):
        passed.append(_name(place).removeprefix("_"))
        place = place.all_input_nodes[0]
    return place, tuple(passed)


def left_out(function: str) -> str:
    """What a reader is told of an operation that is not computed."""
    return (
        f"the model's last operation, {function}, is left out: its results are logits, and the largest logit belongs "
        "to the same class"
    )


def _over_classes(node: fx.Node) -> bool:
    """Whether the operator works along the last axis that is longer than 1, and takes the largest."""
    name = _name(node)
    place = (CHOICES | ORDERED)[name]
    if place is None:
        return True
    dim = _argument(node, "dim", place, -1 if name == "topk" else None)
    shape = node.all_input_nodes[0].meta["val"].shape
    if not isinstance(dim, int) or (name == "topk" and not _argument(node, "largest", place + 1, True)):
        return False
    classes = max((axis for axis in range(1, len(shape)) if shape[axis] != 1), default=len(shape) - 1)
    return classes > 0 and dim % len(shape) == classes


def _argument(node: fx.Node, name: str, place: int, default: Any) -> Any:
    return node.kwargs.get(name, node.args[place] if len(node.args) > place else default)


def _name(node: fx.Node) -> str:
    if isinstance(node.target, torch._ops.OpOverload):
        return str(node.target.overloadpacket.__name__)
    return str(getattr(node.target, "__name__", node.target))
