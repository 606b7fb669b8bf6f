"""Matching the patch embedding: the start of the residual stream."""

from __future__ import annotations

import dataclasses

import numpy as np

from vitreous.compiler import checks
from vitreous.compiler.errors import CompileError
from vitreous.compiler.fusion.linear import linear_of
from vitreous.compiler.fusion.pattern import Pattern
from vitreous.compiler.operations import Embedding, Linear
from vitreous.spec.graph import Node, Op
from vitreous.spec.isa import Memory, Opcode, field_maximum


def match_embedding(pattern: Pattern, patches: Node) -> Embedding:
    """The chain that begins with the PATCHES node."""
    if pattern.producer(patches.inputs[0]).op is not Op.INPUT:
        raise CompileError(f"{checks.where(patches)}: patches can only be taken from the input image")
    channels, height, width = pattern.graph.tensors[patches.inputs[0]].shape
    patch = patches.integer("patch")
    grid = (height // patch, width // patch)
    pattern.needs += [
        checks.at_most(patches, what, value, field_maximum(Opcode.LOAD_PATCHES, name))
        for name, what, value in (
            ("patch", "rows in a patch", patch),
            ("channels", "image channels", channels),
        )
    ]
    projection, end, count = _projection(pattern, pattern.follow(patches, Op.LINEAR))
    tokens, columns = count + grid[0] * grid[1], projection.columns
    constant = np.zeros((tokens, columns), np.int16)
    output = end.outputs[0]
    add = pattern.only_consumer(end, Op.ADD)
    if add is not None:
        source = pattern.producer(pattern.other_input(add, output))
        if source.op is not Op.CONSTANT:
            raise CompileError(f"{checks.where(add)}: the embedding's other operand must be a constant")
        pattern.take(source)
        output = add.outputs[0]
        constant = source.constants["value"]
    return Embedding(
        projection=dataclasses.replace(projection, output=output, residual=output),
        image=patches.inputs[0],
        channels=channels,
        patch=patch,
        grid=grid,
        count=count,
        constant=_compensated(patches, projection, constant, count),
        output=output,
    )


def _projection(pattern: Pattern, linear: Node) -> tuple[Linear, Node, int]:
    """The patch projection, the last node of its chain (requantize or pad_tokens) and the number of tokens
    put before."""
    pattern.take(linear)
    requantize = pattern.follow(linear, Op.REQUANTIZE)
    checks.bits(requantize, (16,))
    projection = linear_of(pattern, linear, requantize, checks.fold_zero_point(linear), Memory.R)
    pad = pattern.only_consumer(requantize, Op.PAD_TOKENS)
    if pad is None:
        return projection, requantize, 0
    pattern.take(pad)
    return projection, pad, pad.integer("count")


def _compensated(node: Node, projection: Linear, constant: np.ndarray, count: int) -> np.ndarray:
    """The constant, lowered in its first ``count`` rows by what the projection makes of a patch of zeros.

    The machine adds the projection to every row; the graph adds zero to the class token's.
    """
    product = projection.bias.astype(np.int64) * projection.multiplier
    response = np.clip((product + (1 << (projection.shift - 1))) >> projection.shift, -32768, 32767)
    lowered = constant[:count].astype(np.int64) - response
    if count and (lowered.min() < -32768 or lowered.max() > 32767):
        raise CompileError(
            f"{checks.where(node)}: the class token cannot be lowered by the projection's bias within 16 bits"
        )
    result = constant.copy()
    result[:count] = lowered
    return result
