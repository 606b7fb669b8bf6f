"""Lowering the patch embedding: image rows are loaded, unfolded into a panel and multiplied group by group
of row tiles."""

from __future__ import annotations

from vitreous.compiler.lowering.linear import rows_by_columns
from vitreous.compiler.lowering.norm import Follower
from vitreous.compiler.lowering.plan import Panel, Plan
from vitreous.compiler.operations import Embedding, Linear, Norm
from vitreous.compiler.steps import Buffer, Moved
from vitreous.compiler.tiling import balanced, row_groups
from vitreous.spec import layout
from vitreous.spec.isa import Memory, Opcode
from vitreous.spec.layout import ceil_div
from vitreous.spec.opcodes.causes import Cause

RESIDENT_SHARE = 2.1
"""Times a chunk's share of W: 0.7 of W holds weights while the image arrives, the rest is for those that come next."""


def grid_rows(embedding: Embedding, tiles: range, lanes: int) -> range:
    """Rows of the patch grid that the row tiles ``tiles`` hold patches of."""
    columns, last = embedding.grid[1], embedding.projection.rows
    first = min(max(0, tiles.start * lanes - embedding.count), last) // columns
    return range(first, ceil_div(min(max(0, tiles.stop * lanes - embedding.count), last), columns))


def loaded_tiles(embedding: Embedding, tiles: range, lanes: int) -> range:
    """``tiles``, and those that the same rows of the patch grid reach into."""
    rows, columns = grid_rows(embedding, tiles, lanes), embedding.grid[1]
    if not rows:
        return tiles
    first = (embedding.count + rows.start * columns) // lanes
    stop = (embedding.count + rows.stop * columns - 1) // lanes + 1
    return range(min(tiles.start, first), max(tiles.stop, stop))


def embedding_blocks(plan: Plan, embedding: Embedding, k_words: int, free: int) -> list[range]:
    """Row tiles in one block if the panel fits ``free`` words of X, else in blocks of which two fit, or at
    least one."""
    tiles = plan.tiles(embedding.tokens)
    fewest = min(plan.budget.blocks, tiles)
    options = [balanced(tiles, 1, ceil_div(tiles, count)) for count in range(fewest, tiles + 1)]

    def words(blocks: list[range]) -> int:
        return k_words * max(len(loaded_tiles(embedding, block, plan.lanes)) for block in blocks)

    for held in (2, 1):
        for blocks in options:
            if words(blocks) * (1 if len(blocks) == 1 else held) <= free:
                return blocks
    return options[-1]


def lower_embedding(plan: Plan, embedding: Embedding, norm: Norm | None) -> None:
    """The residual stream's first value; ``norm`` reads it, if given."""
    projection = embedding.projection
    stream = plan.panel(embedding.output, Memory.R, embedding.tokens, projection.columns, projection.layer)
    follower = Follower(plan, norm, stream)
    k_words = plan.k_words(projection.inner)
    beside = follower.words if plan.budget.early_norm else 0
    blocks = embedding_blocks(plan, embedding, k_words, plan.words[Memory.X] - beside)
    for index, block in enumerate(blocks):
        last = index == len(blocks) - 1
        follower.waiting = not (last and plan.budget.early_norm)
        _block(plan, embedding, stream, block, follower)
    follower.finish()
    plan.panels[embedding.output] = stream
    plan.observe(embedding.output, stream, projection.layer)


def _block(plan: Plan, embedding: Embedding, stream: Panel, block: range, follower: Follower) -> None:
    """All columns of the row tiles ``block``; the image and the constant arrive with the first chunk of columns."""
    projection, lanes = embedding.projection, plan.lanes
    held = loaded_tiles(embedding, block, lanes)
    stride = plan.k_words(projection.inner)
    buffer = Buffer(
        f"{projection.input}[{held.start}:{held.stop}]",
        Memory.X,
        len(held) * stride,
        projection.layer,
        "oldest",
    )
    source = Panel(
        buffer=buffer,
        rows=len(held) * lanes,
        columns=projection.inner,
        stride=stride,
        row_start=held.start * lanes,
    )
    loads = _Loads(plan, embedding, source, stream)
    loads.clear(block)
    # Groups of about one row of the patch grid: the product starts when the first has arrived.
    groups = row_groups(block, max(1, len(block) * lanes // max(lanes, embedding.grid[1])))
    resident, streamed = _chunks(plan, projection, stride)
    operands = {}
    for group in groups:
        loads.load(group)
        for chunk in resident:
            if chunk not in operands:
                operands[chunk] = plan.weights(projection, chunk, source), plan.parameters(projection, chunk)
            rows_by_columns(plan, projection, source, stream, group, chunk, *operands[chunk])
        if not streamed:
            follower.done(group)
    for chunk in streamed:
        weights, parameters = plan.weights(projection, chunk, source), plan.parameters(projection, chunk)
        last = chunk is streamed[-1]
        for group in groups if last else [block]:
            rows_by_columns(plan, projection, source, stream, group, chunk, weights, parameters)
            if last:
                follower.done(group)


def _chunks(plan: Plan, projection: Linear, k_words: int) -> tuple[list[range], list[range]]:
    """Chunks of columns that stay while the image arrives, and those that follow.

    Unfolding the image is slow: as much work as possible is done on each of its rows when it comes. The
    chunks are small, so that the first product does not wait for many weights.
    """
    chunks = plan.chunks(projection.columns, k_words, plan.free_words // 3)
    columns = min(
        int(plan.free_words * RESIDENT_SHARE / plan.budget.weight_parts) // k_words * plan.lanes,
        int(plan.words[Memory.P] * RESIDENT_SHARE / plan.budget.weight_parts),
    )
    count = max(1, sum(chunk.stop <= columns for chunk in chunks))
    return chunks[:count], chunks[count:]


class _Loads:
    """The loads of one block, in the order in which its groups need them."""

    def __init__(self, plan: Plan, embedding: Embedding, source: Panel, stream: Panel) -> None:
        self.plan = plan
        self.embedding = embedding
        self.source = source
        self.stream = stream
        self.ready = 0

    def clear(self, block: range) -> None:
        """FILL the row tiles with lanes that get no patch: the class token's and the last one."""
        plan, embedding = self.plan, self.embedding
        first = range(ceil_div(embedding.count, plan.lanes))
        tiles = plan.tiles(embedding.tokens)
        last = range(tiles - 1, tiles) if embedding.tokens % plan.lanes else range(0)
        for part in (first, range(max(last.start, first.stop), last.stop)):
            start, stop = max(part.start, block.start), min(part.stop, block.stop)
            if start < stop:
                plan.emitter.emit(
                    Opcode.FILL,
                    embedding.projection.layer,
                    {"base": self.source.word(start, plan.lanes)},
                    memory=int(Memory.X),
                    words=(stop - start) * self.source.stride,
                )

    def load(self, group: range) -> None:
        """LOAD the constant of the group's row tiles, and the patches that have not come with a group before."""
        plan, embedding = self.plan, self.embedding
        layer = embedding.projection.layer
        part = embedding.constant[group.start * plan.lanes : group.stop * plan.lanes]
        offset = plan.emitter.image.add(layout.pack_residual(part, plan.lanes))
        words = len(group) * self.stream.stride
        constant = Moved(f"{embedding.output}.constant", Cause.CONSTANTS)
        plan.emitter.load(
            self.stream.buffer, group.start * self.stream.stride, words, offset, layer, constant
        )
        rows = grid_rows(embedding, group, plan.lanes)
        rows = range(max(rows.start, self.ready), rows.stop)
        if not rows:
            return
        self.ready = rows.stop
        _, width = embedding.grid
        row_stride = layout.image_row_stride(width * embedding.patch)
        plan.emitter.transfer(
            Opcode.LOAD_PATCHES,
            layer,
            {"base": (self.source.buffer, 0)},
            Moved(embedding.image, Cause.IMAGE),
            stride=self.source.stride,
            first_token=embedding.count + rows.start * width - self.source.row_start,
            patch=embedding.patch,
            grid_columns=width,
            grid_rows=len(rows),
            channels=embedding.channels,
            dram_offset=plan.input_offset + rows.start * embedding.patch * row_stride,
            row_stride=row_stride,
            channel_stride=embedding.grid[0] * embedding.patch * row_stride,
        )
