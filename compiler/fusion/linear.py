"""Matching a linear layer with what follows it: requantization, activation, residual addition."""

from __future__ import annotations

import dataclasses

import numpy as np

from vitreous.compiler import checks
from vitreous.compiler.errors import CompileError
from vitreous.compiler.fusion.pattern import Pattern
from vitreous.compiler.operations import Linear
from vitreous.spec.graph import Node, Op
from vitreous.spec.isa import Activation, Memory

_STREAM_READERS = (Op.LAYERNORM, Op.RMSNORM, Op.ADD, Op.MEAN_TOKENS, Op.SELECT_TOKEN, Op.OUTPUT)


def linear_of(
    pattern: Pattern, node: Node, requantize: Node, bias: np.ndarray, destination: Memory
) -> Linear:
    """The product of the LINEAR ``node`` as ``requantize`` leaves it, its zero point folded into ``bias``."""
    weight = node.constants["weight"]
    rows, _ = pattern.shape(node.inputs[0])
    multiplier, shift = checks.multipliers(requantize, weight.shape[0])
    return Linear(
        node=node.name,
        layer=node.layer or node.name,
        input=node.inputs[0],
        output=requantize.outputs[0],
        rows=rows,
        weight=weight,
        bias=bias,
        multiplier=multiplier,
        shift=shift,
        destination=destination,
    )


def match_linear(pattern: Pattern, node: Node) -> Linear:
    """The chain that begins with the LINEAR ``node``."""
    bias = checks.fold_zero_point(node)
    requantize = pattern.follow(node, Op.REQUANTIZE)
    width = checks.bits(requantize, (8, 16))
    linear = linear_of(pattern, node, requantize, bias, Memory.X)
    return _narrow(pattern, linear, requantize) if width == 8 else _wide(pattern, linear, requantize)


def _narrow(pattern: Pattern, linear: Linear, requantize: Node) -> Linear:
    """8 bits: the result is an activation, perhaps after ReLU."""
    linear = dataclasses.replace(linear, zero_point=checks.zero_point(requantize))
    relu = pattern.only_consumer(requantize, Op.RELU)
    if relu is None:
        return linear
    if relu.integer("zero_point") != linear.zero_point:
        raise CompileError(
            f"{checks.where(relu)}: its zero point {relu.integer('zero_point')} is not its input's, {linear.zero_point}"
        )
    pattern.take(relu)
    return dataclasses.replace(linear, activation=Activation.RELU, output=relu.outputs[0])


def _wide(pattern: Pattern, linear: Linear, requantize: Node) -> Linear:
    """16 bits: the input of GELU or SiLU, a residual addition, a new stream, or the result."""
    smooth = pattern.only_consumer(requantize, Op.ACTIVATION)
    if smooth is not None:
        checks.activation_matches(smooth, pattern.config)
        pattern.take(smooth)
        last = pattern.follow(smooth, Op.REQUANTIZE)
        checks.bits(last, (8,))
        multiplier, shift = checks.multipliers(last, 1)
        return dataclasses.replace(
            linear,
            activation=Activation.SMOOTH,
            activated=(int(multiplier[0]), int(shift[0])),
            zero_point=checks.zero_point(last),
            output=last.outputs[0],
        )
    linear = dataclasses.replace(linear, destination=Memory.R)
    add = pattern.only_consumer(requantize, Op.ADD)
    if add is not None:
        residual = pattern.other_input(add, requantize.outputs[0])
        pattern.consumed_in_place(add, residual)
        return dataclasses.replace(linear, residual=residual, output=add.outputs[0])
    users = pattern.consumers(requantize.outputs[0])
    if not users or any(user.op not in _STREAM_READERS for user in users):
        raise CompileError(
            f"{checks.where(requantize)}: a 16-bit result must go to GELU or SiLU, to a residual addition, a norm, a "
            "mean over tokens or the output"
        )
    return linear
