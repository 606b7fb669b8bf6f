"""Lowering attention: head after head; within a head the scores of one query tile by one block of keys run before the
context of the previous ones."""

from __future__ import annotations

from itertools import product as pairs
from typing import NamedTuple

import numpy as np

from vitreous.compiler.lowering.linear import product, transposed_product
from vitreous.compiler.lowering.plan import Panel, Plan
from vitreous.compiler.lowering.spill import spill_scores
from vitreous.compiler.operations import Attention
from vitreous.compiler.steps import Buffer, Moved
from vitreous.spec import layout
from vitreous.spec.isa import Memory, Operands, Scale
from vitreous.spec.opcodes.causes import Cause


class _Piece(NamedTuple):
    """A query tile by a block of keys; ``place`` in the order of a head; ``first_block``, ``last_block`` of the row."""

    place: int
    tile: int
    block: range
    first_block: bool
    last_block: bool

    @property
    def slot(self) -> int:
        """Of S, where its scores lie."""
        return self.place % 2


def _pieces(plan: Plan, attention: Attention) -> list[_Piece]:
    """Of one head, in their order."""
    tiles, blocks = range(plan.tiles(attention.query.rows)), attention.blocks
    return [
        _Piece(place, tile, block, block is blocks[0], block is blocks[-1])
        for place, (tile, block) in enumerate(pairs(tiles, blocks))
    ]


def lower_attention(plan: Plan, attention: Attention) -> None:
    """Projections, scores and context of every head; the heads' contexts side by side in one panel of X."""
    width, heads = attention.head_columns, attention.heads
    rows, keys = attention.query.rows, attention.key.rows
    context = plan.panel(
        attention.output, Memory.X, rows, heads * width, attention.context_layer, heads=heads
    )
    scale = _score_scale(plan, attention)
    plan.held_words = plan.tiles(keys) * plan.k_words(width) + plan.tiles(width) * plan.k_words(keys)
    pieces = _pieces(plan, attention)
    for head in range(heads):
        query, key, value = _project(plan, attention, head)
        for piece in pieces:
            _scores(plan, attention, query, key, piece, scale)
            if not plan.config.schedule.fused_attention:
                spill_scores(plan, attention, piece.block, piece.slot)
            if piece.place:
                _context(plan, attention, value, context, head, pieces[piece.place - 1])
        _context(plan, attention, value, context, head, pieces[-1], defer=True)
    plan.held_words = 0
    plan.panels[attention.output] = context
    plan.observe(attention.output, context, attention.context_layer)


def _score_scale(plan: Plan, attention: Attention) -> Buffer:
    """LOAD the one parameter word of the scores: bias 0, multiplier, shift."""
    buffer = Buffer(f"{attention.output}.score_scale", Memory.P, 1, attention.layer, "oldest")
    multiplier, shift = attention.score
    word = layout.pack_parameters(np.zeros(1, np.int32), np.array([multiplier]), np.array([shift]))
    moved = Moved(buffer.name, Cause.PARAMETERS)
    plan.emitter.load(buffer, 0, 1, plan.emitter.image.add(word), attention.layer, moved)
    return buffer


def _project(plan: Plan, attention: Attention, head: int) -> tuple[Panel, Panel, Panel]:
    """Query panel in X, key and value panels in W of one head."""
    width = attention.head_columns
    columns = range(head * width, (head + 1) * width)
    query, key, value = (
        linear.part(columns, f"head{head}") for linear in (attention.query, attention.key, attention.value)
    )
    panels = []
    for linear in (query, key):
        source = plan.panels[linear.input]
        target = plan.panel(
            f"{linear.output}.head{head}", linear.destination, linear.rows, width, linear.layer
        )
        # Only the first product after a layer norm meets rows that become ready group by group.
        product(
            plan, linear, source, target, source.tiles(plan.lanes), split_first=head == 0 and linear is query
        )
        plan.observe(linear.output, target, linear.layer, column_start=head * width)
        panels.append(target)
    target = plan.panel(f"{value.output}.head{head}", Memory.W, width, value.rows, value.layer)
    transposed_product(plan, value, plan.panels[value.input], target)
    plan.observe(value.output, target, value.layer, column_start=head * width, transposed=True)
    return panels[0], panels[1], target


def _scores(plan: Plan, attention: Attention, query: Panel, key: Panel, piece: _Piece, scale: Buffer) -> None:
    """MATMUL to S: one query tile by a block of keys, which begins with a tile of them."""
    plan.emitter.matmul(
        attention.layer,
        {
            "a_base": query.word(piece.tile, plan.lanes),
            "b_base": key.word(piece.block.start // plan.lanes, plan.lanes),
            "p_base": (scale, 0),
        },
        destination=int(Memory.S),
        scale=int(Scale.TENSOR),
        b_stride=key.stride,
        k_words=key.stride,
        columns=len(piece.block),
        multiplier=attention.row[0],
        shift=attention.row[1],
        slot=piece.slot,
        first_block=int(piece.first_block),
        last_block=int(piece.last_block),
    )


def _context(
    plan: Plan,
    attention: Attention,
    value: Panel,
    context: Panel,
    head: int,
    piece: _Piece,
    *,
    defer: bool = False,
) -> None:
    """MATMUL from S: the probabilities of one query tile by the values of a block of keys, which begins with a word of
    them; the last block of a row writes the contexts."""
    width = attention.head_columns
    addresses = {"b_base": value.word(0, plan.lanes, piece.block.start // plan.depth)}
    if piece.last_block:
        addresses["o_base"] = context.word(piece.tile, plan.lanes, head * plan.k_words(width))
    plan.emitter.matmul(
        attention.context_layer,
        addresses,
        defer=defer,
        operands=int(Operands.SW),
        destination=int(Memory.X),
        scale=int(Scale.SOFTMAX),
        b_stride=value.stride,
        k_words=plan.k_words(len(piece.block)),
        columns=width,
        o_stride=context.stride,
        zero_point=attention.zero_point,
        extra_planes=attention.a_bits // 8 - 1,
        slot=piece.slot,
        first_block=int(piece.first_block),
        last_block=int(piece.last_block),
    )
