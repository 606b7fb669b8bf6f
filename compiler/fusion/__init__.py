"""Pass 1: chains of primitive nodes become the fused operations that one instruction stream of the machine computes.

    patches . linear . requantize(16) [. pad_tokens] [. add(constant)]      Embedding
    linear . requantize(8) [. relu]                                         Linear to X
    linear . requantize(16) . activation . requantize(8)                    Linear to X
    linear . requantize(16) . add(residual)                                 Linear to R, in place
    linear . requantize(16), read by norms, as a residual, by mean_tokens or output    Linear to R
    three linears . scores . requantize to a score . softmax . context . requantize_rows    Attention
    layernorm or rmsnorm, mean_tokens, select_token, output                 Norm, Pool, Select, Output

Anything else is refused with the node's name, operation and layer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from vitreous.compiler import checks
from vitreous.compiler.errors import CompileError
from vitreous.compiler.fusion.attention import match_attention
from vitreous.compiler.fusion.embedding import match_embedding
from vitreous.compiler.fusion.linear import match_linear
from vitreous.compiler.fusion.pattern import Pattern
from vitreous.compiler.needs import DoesNotFitError, Need, shortages
from vitreous.compiler.operations import Linear, Norm, Operation, Output, Pool, Select
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.graph import Graph, Node, Op
from vitreous.spec.limits import NORM_CHANNELS, POOL_TOKENS

MATRIX_RESULTS = (Op.SCORES, Op.CONTEXT)


def _named(node: Node) -> dict[str, str]:
    """What an operation of one node is called, reads and makes."""
    return {"layer": node.layer or node.name, "input": node.inputs[0], "output": node.outputs[0]}


def _of_rows(pattern: Pattern, node: Node) -> dict[str, Any]:
    """The same, and the shape of what it reads, [rows, channels]."""
    rows, channels = pattern.shape(node.inputs[0])
    return {**_named(node), "rows": rows, "channels": channels}


def _match_norm(pattern: Pattern, node: Node) -> Norm:
    read = _of_rows(pattern, node)
    pattern.needs.append(checks.at_most(node, "channels of a norm", read["channels"], NORM_CHANNELS))
    checks.norm_matches(node, pattern.config)
    multiplier, shift = checks.row_constants(node)
    if not 1 <= node.integer("epsilon") < 1 << 32:
        raise CompileError(f"{checks.where(node)}: epsilon must be in 1..2**32-1")
    select = pattern.only_consumer(node, Op.SELECT_TOKEN)
    return Norm(
        **read,
        multiplier=multiplier,
        shift=shift,
        epsilon=node.integer("epsilon"),
        zero_point=checks.zero_point(node),
        channel_shifts=node.constants["channel_shifts"],
        centred=node.op is Op.LAYERNORM,
        tokens=None if select is None else _selected(select),
    )


def _match_pool(pattern: Pattern, node: Node) -> Pool:
    read = _of_rows(pattern, node)
    pattern.needs.append(checks.at_most(node, "tokens of a mean", read["rows"], POOL_TOKENS))
    pattern.needs.append(checks.at_most(node, "channels of a mean", read["channels"], NORM_CHANNELS))
    multiplier, shift = node.integer("multiplier"), node.integer("shift")
    if not (1 <= multiplier < 1 << 15 and 1 <= shift <= 47):
        raise CompileError(f"{checks.where(node)}: multiplier {multiplier} or shift {shift} is out of range")
    return Pool(
        **read,
        multiplier=multiplier,
        shift=shift,
        first=node.integer("first"),
    )


def _selected(node: Node) -> range:
    """The tokens of a SELECT_TOKEN."""
    return range(node.integer("index"), node.integer("index") + node.integer("count"))


def _match_select(pattern: Pattern, node: Node) -> Select:
    if node.integer("index") % pattern.config.array.lanes:
        raise CompileError(
            f"{checks.where(node)}: token {node.integer('index')} does not begin a row tile of "
            f"{pattern.config.array.lanes}"
        )
    return Select(
        node=node.name,
        **_named(node),
        index=node.integer("index"),
        count=node.integer("count"),
    )


class Fused(NamedTuple):
    """The graph's operations in execution order, and what they need of the machine, met or not."""

    operations: tuple[Operation, ...]
    needs: tuple[Need, ...]


def fuse(graph: Graph, config: AcceleratorConfig) -> tuple[Operation, ...]:
    """The graph's operations in execution order. Raises CompileError that names what has no fused form, and
    DoesNotFitError where an operation alone is larger than the machine takes.
    """
    operations, needs = match(graph, config)
    if short := shortages(needs):
        raise DoesNotFitError(graph.name, config.name, short)
    return operations


def match(graph: Graph, config: AcceleratorConfig) -> Fused:
    """The operations, whatever their size. Raises CompileError that names what has no fused form."""
    checks.graph_fits(graph)
    pattern = Pattern(graph, config)
    operations: list[Operation] = []
    projections: dict[str, Linear] = {}
    for node in graph:
        if node.name in pattern.taken or node.op in (Op.INPUT, Op.CONSTANT):
            continue
        pattern.take(node)
        if node.op is Op.PATCHES:
            operations.append(match_embedding(pattern, node))
        elif node.op is Op.LINEAR:
            linear = match_linear(pattern, node)
            if any(user.op in MATRIX_RESULTS for user in pattern.consumers(linear.output)):
                projections[linear.output] = linear
            else:
                operations.append(linear)
        elif node.op is Op.SCORES:
            operations.append(match_attention(pattern, node, projections))
        elif node.op in (Op.LAYERNORM, Op.RMSNORM):
            operations.append(_match_norm(pattern, node))
        elif node.op is Op.MEAN_TOKENS:
            operations.append(_match_pool(pattern, node))
        elif node.op is Op.SELECT_TOKEN:
            operations.append(_match_select(pattern, node))
        elif node.op is Op.OUTPUT:
            operations.append(Output(**_named(node)))
        else:
            raise CompileError(
                f"{checks.where(node)}: is not in a chain of operations that the machine can fuse"
            )
    return Fused(tuple(operations), tuple(pattern.needs))
