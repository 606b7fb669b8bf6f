"""Number formats on the edges of a graph: each tensor entry carries its own scale and zero point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vitreous.spec.graph.node import Node, Op, Tensor


def check_formats(nodes: Iterable[Node], tensors: Mapping[str, Tensor]) -> None:
    """An addition of integers is an addition of numbers only where both operands and the sum have one format.

    Raises GraphError that names the addition, two tensors and their formats.
    """
    for node in nodes:
        if node.op is Op.ADD:
            first, *others = (tensors[name] for name in (*node.inputs, *node.outputs))
            for other in others:
                if (other.scale, other.zero_point) != (first.scale, first.zero_point):
                    raise node.error(
                        f"both inputs and the sum must have one scale and zero point, but {_format(first)} and "
                        f"{_format(other)}"
                    )


def _format(entry: Tensor) -> str:
    return f"{entry.name} has {entry.scale:g} and {entry.zero_point}"
