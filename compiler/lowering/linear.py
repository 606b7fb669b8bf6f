"""Lowering linear layers and the MLP: chunks of columns, groups and blocks of row tiles."""

from __future__ import annotations

from collections.abc import Callable

from vitreous.compiler.lowering.norm import Follower
from vitreous.compiler.lowering.plan import Panel, Plan
from vitreous.compiler.operations import Linear, Norm, Output
from vitreous.compiler.steps import Buffer
from vitreous.compiler.tiling import balanced, row_blocks, row_groups
from vitreous.spec.isa import Memory, Operands, Scale
from vitreous.spec.layout import align, ceil_div
from vitreous.spec.opcodes.causes import Cause


def product(
    plan: Plan,
    linear: Linear,
    source: Panel,
    target: Panel,
    tiles: range,
    *,
    split_first: bool = True,
    done: Callable[[range], None] | None = None,
) -> None:
    """MATMULs of the row tiles ``tiles``: chunk after chunk of columns, each over all rows.

    split_first : cut the first chunk into groups of rows, because the rows of ``source`` become ready by groups.
    done : cut the last chunk into groups and call this after each.
    """
    chunks = plan.chunks(linear.columns, source.stride, plan.free_words)
    for chunk in chunks:
        weights, parameters = plan.weights(linear, chunk, source), plan.parameters(linear, chunk)
        last = chunk is chunks[-1] and done is not None
        groups = row_groups(tiles) if last or (split_first and chunk is chunks[0]) else [tiles]
        for group in groups:
            rows_by_columns(plan, linear, source, target, group, chunk, weights, parameters)
            if last and done is not None:
                done(group)


def rows_by_columns(
    plan: Plan,
    linear: Linear,
    source: Panel,
    target: Panel,
    tiles: range,
    chunk: range,
    weights: Buffer,
    parameters: Buffer,
) -> None:
    """One MATMUL: ``tiles`` of ``source`` by the columns ``chunk``, whose operands lie in those buffers."""
    inside = chunk.start if linear.destination is Memory.R else chunk.start // plan.depth
    plan.emitter.matmul(
        linear.layer,
        {
            "a_base": source.word(tiles.start, plan.lanes),
            "b_base": (weights, 0),
            "o_base": target.word(tiles.start, plan.lanes, inside),
            "p_base": (parameters, 0),
        },
        destination=int(linear.destination),
        scale=int(Scale.COLUMN),
        activation=int(linear.activation),
        residual=int(linear.residual is not None),
        a_stride=source.stride,
        b_stride=source.stride,
        k_words=source.stride,
        row_tiles=len(tiles),
        columns=len(chunk),
        o_stride=target.stride,
        zero_point=linear.zero_point,
        multiplier=linear.activated[0],
        shift=linear.activated[1],
    )


def transposed_product(plan: Plan, linear: Linear, source: Panel, target: Panel) -> None:
    """The same with weights as A and tokens as B: the result has channels in lanes. One MATMUL for each
    chunk of channels."""
    for chunk in plan.chunks(linear.columns, source.stride, plan.free_words):
        weights, parameters = plan.weights(linear, chunk, source), plan.parameters(linear, chunk)
        plan.emitter.matmul(
            linear.layer,
            {
                "a_base": (weights, 0),
                "b_base": source.word(0, plan.lanes),
                "o_base": target.word(chunk.start // plan.lanes, plan.lanes),
                "p_base": (parameters, 0),
            },
            operands=int(Operands.WX),
            destination=int(Memory.W),
            scale=int(Scale.LANE),
            a_stride=source.stride,
            b_stride=source.stride,
            k_words=source.stride,
            row_tiles=ceil_div(len(chunk), plan.lanes),
            columns=linear.rows,
            o_stride=target.stride,
        )


def lower_linear(plan: Plan, linear: Linear, norm: Norm | None) -> None:
    """A linear layer over all rows of its input; ``norm`` reads its result, if given."""
    source = plan.panels[linear.input]
    tiles = source.tiles(plan.lanes)
    target = result_panel(plan, linear, source)
    follower = Follower(plan, norm, target)
    product(plan, linear, source, target, tiles, done=follower.done if norm is not None else None)
    follower.finish()
    plan.panels[linear.output] = target
    plan.observe(linear.output, target, linear.layer)


def lower_head(plan: Plan, linear: Linear, output: Output) -> None:
    """A linear layer whose result is the output: in parts of columns, each stored while the next one is made, where
    memory does not hold it whole."""
    source = plan.panels[linear.input]
    unit = max(plan.lanes, plan.depth)
    parts = balanced(linear.columns, unit, align(ceil_div(linear.columns, plan.budget.outputs), unit))
    for index, columns in enumerate(parts):
        part = linear.part(columns, f"columns{columns.start}") if len(parts) > 1 else linear
        target = result_panel(plan, part, source, where="high" if index % 2 else "low")
        product(plan, part, source, target, source.tiles(plan.lanes), split_first=index == 0)
        plan.observe(linear.output, target, linear.layer, column_start=columns.start)
        plan.store(output.output, target, output.layer, Cause.OUTPUT, column_start=columns.start)


def result_panel(plan: Plan, linear: Linear, source: Panel, where: str = "low") -> Panel:
    """A new panel with the rows of ``source``, or the residual stream that the result is added to."""
    if linear.residual is not None:
        return plan.panels.pop(linear.residual)
    return plan.panel(
        linear.output,
        linear.destination,
        source.rows,
        linear.columns,
        linear.layer,
        row_start=source.row_start,
        where=where,
    )


def lower_mlp(plan: Plan, first: Linear, second: Linear, norm: Norm | None) -> None:
    """Two linear layers, block by block of row tiles where the hidden tensor is larger than X has room for."""
    source = plan.panels[first.input]
    stream = plan.panels.pop(second.residual or "")
    follower = Follower(plan, norm, stream)
    beside = max(source.buffer.words, follower.words if plan.budget.early_norm else 0)
    tiles = source.tiles(plan.lanes)
    free = plan.words[Memory.X] - beside
    blocks = row_blocks(len(tiles), plan.k_words(first.columns), free, plan.budget.blocks)
    for index, relative in enumerate(blocks):
        block = range(tiles.start + relative.start, tiles.start + relative.stop)
        rows = min(source.rows - relative.start * plan.lanes, len(block) * plan.lanes)
        hidden = plan.panel(
            first.output, Memory.X, rows, first.columns, first.layer, row_start=block.start * plan.lanes
        )
        product(plan, first, source, hidden, block)
        plan.observe(first.output, hidden, first.layer)
        last = index == len(blocks) - 1
        follower.waiting = not (last and plan.budget.early_norm)
        product(plan, second, hidden, stream, block, done=follower.done if norm is not None else None)
    follower.finish()
    plan.panels[second.output] = stream
    plan.observe(second.output, stream, second.layer)
