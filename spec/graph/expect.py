"""What ``infer`` asks of a node: each function returns what it has checked, or raises a GraphError that names the node
and what would be right.

An axis is a size that must be met, or a letter for any size: ``("K", 12)`` is met by [5, 12].
"""

from __future__ import annotations

from collections.abc import Sequence

from vitreous.spec.graph.node import Node, TensorType

Axes = tuple[int | str, ...]
ANY_SHAPE: Axes = ("...",)


def operand(
    node: Node, inputs: Sequence[TensorType], index: int, dtypes: str | tuple[str, ...], axes: Axes
) -> TensorType:
    """Input ``index``, one of ``dtypes`` and of shape ``axes``."""
    found = inputs[index]
    _expect(node, f"input {node.inputs[index]}", found, dtypes, axes)
    return found


def constant(node: Node, name: str, dtypes: str | tuple[str, ...], axes: Axes) -> TensorType:
    """A constant, one of ``dtypes`` and of shape ``axes``."""
    array = node.constants[name]
    found = TensorType(str(array.dtype), tuple(array.shape))
    _expect(node, f"constant {name}", found, dtypes, axes)
    return found


def constant_within(node: Node, name: str, low: int, high: int) -> None:
    """Every value of a constant, which is not empty, is in ``low..high``."""
    values = node.constants[name]
    least_value, largest = int(values.min()), int(values.max())
    if least_value < low or largest > high:
        raise node.error(f"constant {name} must be in {low}..{high}, not {least_value}..{largest}")


def constant_rows(node: Node, inputs: Sequence[TensorType]) -> None:
    """No input may have a number of rows that comes from data."""
    for name, found in zip(node.inputs, inputs, strict=True):
        if found.rows_from is not None:
            raise node.error(f"input {name} must have a constant number of rows, not {found}")


def least(node: Node, name: str, low: int) -> int:
    """An integer attribute that is at least ``low``."""
    value = node.integer(name)
    if value < low:
        raise node.error(f"attribute {name} must be at least {low}, not {value}")
    return value


def divisor(node: Node, name: str, whole: int, what: str) -> int:
    """An integer attribute, at least 1, into which ``whole`` of ``what`` divide."""
    value = least(node, name, 1)
    if whole % value:
        raise node.error(f"attribute {name} must divide {what}, but {value} does not divide {whole}")
    return value


def _expect(node: Node, what: str, found: TensorType, dtypes: str | tuple[str, ...], axes: Axes) -> None:
    allowed = (dtypes,) if isinstance(dtypes, str) else dtypes
    if found.dtype not in allowed or not _meets(found.shape, axes):
        wanted = f"{' or '.join(allowed)} [{', '.join(map(str, axes))}]"
        raise node.error(f"{what} must be {wanted}, not {found}")


def _meets(shape: tuple[int, ...], axes: Axes) -> bool:
    if axes == ANY_SHAPE:
        return bool(shape)
    return len(shape) == len(axes) and all(
        isinstance(axis, str) or axis == size for size, axis in zip(shape, axes, strict=True)
    )
