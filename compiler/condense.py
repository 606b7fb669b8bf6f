"""Networks repeat one layer many times. For questions of size two copies of it say as much as all: what lives at once,
and, by the difference of two copies and one, how many instructions each further one takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import NamedTuple, assert_never

from vitreous.compiler.operations import Attention, Embedding, Linear, Norm, Operation, Output, Pool, Select


class Repeat(NamedTuple):
    """``times`` copies of ``length`` operations that differ in names and numbers only, from position ``start``."""

    start: int
    length: int
    times: int


def longest_repeat(operations: Sequence[Operation]) -> Repeat:
    """The repeat that covers most operations, the shortest of those; ``times`` is 1 where nothing repeats."""
    makers = {operation.output: index for index, operation in enumerate(operations)}
    shapes = [_shape(operation, index, makers) for index, operation in enumerate(operations)]
    best = Repeat(0, len(operations), 1)
    for length in range(1, len(shapes) // 2 + 1):
        for start in range(len(shapes) - 2 * length + 1):
            times = 1
            while shapes[start : start + length] == shapes[start + times * length :][:length]:
                times += 1
            covered = 0 if best.times == 1 else best.length * best.times
            if times > 1 and length * times > covered:
                best = Repeat(start, length, times)
    return best


def condensed(operations: Sequence[Operation], repeat: Repeat, copies: int) -> tuple[Operation, ...]:
    """The operations with ``copies`` of the repeated ones; those after them read what the last copy makes."""
    first = repeat.start + copies * repeat.length
    stop = repeat.start + repeat.times * repeat.length
    behind = stop - first
    renamed = {
        operations[index].output: operations[index - behind].output
        for index in range(max(first, stop - repeat.length), stop)
    }
    return (*operations[:first], *(_reading(operation, renamed) for operation in operations[stop:]))


def _shape(operation: Operation, index: int, makers: dict[str, int]) -> Hashable:
    """Everything that a plan depends on: sizes, and how far back the operands are made."""

    def back(tensor: str | None) -> int | None:
        return None if tensor is None or tensor not in makers else index - makers[tensor]

    def product(linear: Linear) -> Hashable:
        kind = (linear.destination, linear.activation, linear.transposed, back(linear.residual))
        return (linear.rows, linear.columns, linear.inner, back(linear.input), *kind)

    match operation:
        case Linear():
            return ("linear", product(operation))
        case Embedding():
            return ("embedding", index)
        case Norm():
            shape = (operation.rows, operation.channels, operation.centred, operation.tokens)
            return ("norm", back(operation.input), *shape, operation.shifted)
        case Attention():
            parts = (operation.query, operation.key, operation.value)
            return ("attention", *map(product, parts), operation.heads, operation.a_bits, operation.blocks)
        case Pool():
            return ("pool", back(operation.input), operation.rows, operation.channels, operation.first)
        case Select():
            return ("select", back(operation.input), operation.index, operation.count)
        case Output():
            return ("output", back(operation.input))
        case never:
            assert_never(never)


def _reading(operation: Operation, renamed: dict[str, str]) -> Operation:
    """The operation with operands of other names."""

    def product(linear: Linear) -> Linear:
        residual = None if linear.residual is None else renamed.get(linear.residual, linear.residual)
        return dataclasses.replace(linear, input=renamed.get(linear.input, linear.input), residual=residual)

    match operation:
        case Linear():
            return product(operation)
        case Attention():
            query, key, value = map(product, (operation.query, operation.key, operation.value))
            return dataclasses.replace(operation, query=query, key=key, value=value)
        case Embedding():
            return operation
        case Norm() | Pool() | Select() | Output():
            return dataclasses.replace(operation, input=renamed.get(operation.input, operation.input))
        case never:
            assert_never(never)
