"""Matching attention: three projections, scores, softmax, context and its requantization by row."""

from __future__ import annotations

import dataclasses

from vitreous.compiler import checks
from vitreous.compiler.errors import CompileError
from vitreous.compiler.fusion.pattern import Pattern
from vitreous.compiler.operations import Attention, Linear
from vitreous.spec.graph import Node, Op
from vitreous.spec.isa import Activation, Memory
from vitreous.spec.numbers import SCORE
from vitreous.spec.softmax import key_blocks


def match_attention(pattern: Pattern, scores: Node, projections: dict[str, Linear]) -> Attention:
    """The chain around the SCORES node. ``projections``: linears matched before whose results only attention reads."""
    requantize = pattern.follow(scores, Op.REQUANTIZE)
    checks.bits(requantize, (SCORE.width,))
    multiplier, shift = checks.multipliers(requantize, 1)
    softmax = pattern.follow(requantize, Op.SOFTMAX)
    checks.softmax_matches(softmax, pattern.config)
    context = pattern.follow(softmax, Op.CONTEXT)
    rows = pattern.follow(context, Op.REQUANTIZE_ROWS)
    _match_outputs(softmax, context, rows)
    query = _operand(pattern, scores, scores.inputs[0], projections)
    key = _operand(pattern, scores, scores.inputs[1], projections)
    value = _operand(pattern, context, context.inputs[1], projections)
    heads = scores.integer("heads")
    if value.columns != query.columns:
        raise CompileError(
            f"{checks.where(scores)}: {query.columns}, {key.columns} and {value.columns} channels do not "
            f"make {heads} equal heads"
        )
    a_bits = pattern.graph.tensors[context.inputs[0]].bits
    blocks = key_blocks(key.rows, softmax.integer("key_block"))
    pattern.needs += checks.attention_needs(
        scores, blocks, query.columns // heads, pattern.config, a_bits=a_bits
    )
    return Attention(
        query=query,
        key=dataclasses.replace(key, destination=Memory.W),
        value=dataclasses.replace(value, destination=Memory.W, transposed=True),
        heads=heads,
        score=(int(multiplier[0]), int(shift[0])),
        row=checks.row_constants(softmax),
        a_bits=a_bits,
        blocks=blocks,
        zero_point=checks.zero_point(rows),
        output=rows.outputs[0],
        layer=scores.layer or scores.name,
        context_layer=context.layer or context.name,
    )


def _match_outputs(softmax: Node, context: Node, rows: Node) -> None:
    """The context takes probabilities and maxima of this softmax, in its blocks of keys, and the context's rows its
    scales. Raises CompileError."""
    probabilities, multiplier, shift, maxima = softmax.outputs
    if context.inputs[0] != probabilities or rows.inputs[1:] != (multiplier, shift):
        raise CompileError(
            f"{checks.where(context)}: must take the probabilities, and its rows the scales, of {softmax.name}"
        )
    if context.inputs[2] != maxima:
        raise CompileError(
            f"{checks.where(context)}: takes the maxima {context.inputs[2]}, and must take those of its probabilities, "
            f"{maxima}"
        )
    here, there = context.integer("key_block"), softmax.integer("key_block")
    if here != there:
        raise CompileError(
            f"{checks.where(context)}: has key_block {here}, and must have that of {softmax.name}, {there}"
        )


def _operand(pattern: Pattern, node: Node, tensor: str, projections: dict[str, Linear]) -> Linear:
    """The projection that makes ``tensor``; attention must be its only reader, and it must be symmetric."""
    linear = projections.pop(tensor, None)
    if linear is None:
        source = pattern.producer(tensor)
        raise CompileError(
            f"{checks.where(node)}: its operand {tensor} comes from {source.name} ({source.op}), "
            "and must come from a linear layer of its own"
        )
    if len(pattern.consumers(tensor)) != 1:
        raise CompileError(f"{checks.where(node)}: its operand {tensor} has other readers too")
    if linear.zero_point or linear.activation is not Activation.NONE:
        raise CompileError(
            f"{checks.where(node)}: its operand {tensor} must have zero point 0 and no activation"
        )
    return linear
