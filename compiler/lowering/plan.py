"""What lowering knows: where tensors lie, how much memory is spoken for, and how operands are loaded and
results stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from vitreous.compiler.operations import Linear, Norm
from vitreous.compiler.steps import Address, Buffer, Emitter, Moved
from vitreous.compiler.tiling import MemoryBudget, Words, column_chunks, parameter_words
from vitreous.spec import layout
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import PARAMETER_BYTES, Memory, Opcode
from vitreous.spec.layout import DRAM_ALIGN, align, ceil_div
from vitreous.spec.opcodes.causes import Cause
from vitreous.spec.program import Placement


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A tensor, or some of its row tiles, in X, W or R.

    stride : words from one row tile to the next. row_start : the tensor's row in lane 0 of the first tile, a
    multiple of N. heads : groups of columns that each begin with a new word.
    """

    buffer: Buffer
    rows: int
    columns: int
    stride: int
    offset: int = 0
    row_start: int = 0
    heads: int = 1

    def word(self, tile: int, lanes: int, inside: int = 0) -> Address:
        """Word ``inside`` of row tile ``tile`` of the whole tensor."""
        return self.buffer, self.offset + (tile - self.row_start // lanes) * self.stride + inside

    def tiles(self, lanes: int) -> range:
        """Its row tiles, counted in the whole tensor."""
        first = self.row_start // lanes
        return range(first, first + ceil_div(self.rows, lanes))


class Spill(NamedTuple):
    """Room for the scores of two blocks of keys of a query tile in R, in the read window and in the write window, and
    the words of one."""

    buffer: Buffer
    words: int
    read_offset: int
    write_offset: int


@dataclass
class Plan:
    """The state of one lowering. ``panels``: where each tensor that still exists lies; ``held_words``: of W
    by keys and values; ``spills``: what stands in for spilled scores, by the keys of the longest block; ``words``: of
    each memory, the configuration's or those of a search for the fewest; ``starts``: steps before each operation that
    begins something, by its position."""

    config: AcceleratorConfig
    budget: MemoryBudget
    words: Words
    emitter: Emitter
    input_offset: int
    panels: dict[str, Panel] = field(default_factory=dict)
    held_words: int = 0
    spills: dict[int, Spill] = field(default_factory=dict)
    starts: dict[int, int] = field(default_factory=dict)

    @property
    def lanes(self) -> int:
        return self.config.array.lanes

    @property
    def depth(self) -> int:
        return self.config.array.depth

    @property
    def free_words(self) -> int:
        """Words of W for weights."""
        return max(1, self.words[Memory.W] - self.held_words)

    def chunks(self, columns: int, k_words: int, free_words: int) -> list[range]:
        """``tiling.column_chunks`` within this plan's memories."""
        return column_chunks(self.config, columns, k_words, free_words, self.words[Memory.P], self.budget)

    def tiles(self, rows: int) -> int:
        return ceil_div(rows, self.lanes)

    def k_words(self, columns: int) -> int:
        return ceil_div(columns, self.depth)

    def panel(
        self,
        name: str,
        memory: Memory,
        rows: int,
        columns: int,
        layer: str,
        *,
        row_start: int = 0,
        heads: int = 1,
        where: str = "low",
    ) -> Panel:
        """A new panel in a new buffer, which in W lies high."""
        stride = columns if memory is Memory.R else heads * self.k_words(columns // heads)
        buffer = Buffer(
            name, memory, self.tiles(rows) * stride, layer, "high" if memory is Memory.W else where
        )
        return Panel(
            buffer=buffer, rows=rows, columns=columns, stride=stride, row_start=row_start, heads=heads
        )

    def weights(self, linear: Linear, chunk: range, source: Panel) -> Buffer:
        """LOAD the weights of some output channels, their inner dimension laid out as ``source``'s columns."""
        tiles = ceil_div(len(chunk), self.lanes)
        buffer = Buffer(
            f"{linear.node}.weight[{chunk.start}:{chunk.stop}]",
            Memory.W,
            tiles * source.stride,
            linear.layer,
            "oldest",
        )
        key = ("weight", linear.node, chunk.start, chunk.stop)
        image = self.emitter.image
        offset, cause = image.known(key), Cause.WEIGHTS_AGAIN
        if offset is None:
            cause = Cause.WEIGHTS

            def packed() -> np.ndarray:
                matrix = _spread(linear.weight[chunk.start : chunk.stop], source.heads, self.depth)
                return layout.pack_panel(matrix, self.lanes, self.depth)

            offset = image.add_later(buffer.words * self.config.panel_word_bytes, packed, key)
        self.emitter.load(buffer, 0, buffer.words, offset, linear.layer, Moved(linear.tensor, cause))
        return buffer

    def parameters(self, linear: Linear, chunk: range) -> Buffer:
        """LOAD bias, multiplier and shift of some output channels."""
        words = parameter_words(self.config, len(chunk), linear.transposed)
        buffer = Buffer(
            f"{linear.node}.scale[{chunk.start}:{chunk.stop}]", Memory.P, words, linear.layer, "oldest"
        )
        key = ("scale", linear.node, chunk.start, chunk.stop)
        offset = self.emitter.image.known(key)
        if offset is None:
            offset = self.emitter.image.add_later(
                words * PARAMETER_BYTES, lambda: _parameters(linear, chunk, words), key
            )
        moved = Moved(f"{linear.whole or linear.node}.scale", Cause.PARAMETERS)
        self.emitter.load(buffer, 0, words, offset, linear.layer, moved)
        return buffer

    def shifts(self, norm: Norm) -> Buffer:
        """LOAD the shifts of a norm's channels."""
        packed = layout.pack_shifts(norm.channel_shifts)
        buffer = Buffer(f"{norm.output}.shifts", Memory.P, len(packed), norm.layer, "oldest")
        offset = self.emitter.image.add(packed)
        self.emitter.load(buffer, 0, buffer.words, offset, norm.layer, Moved(buffer.name, Cause.PARAMETERS))
        return buffer

    def observe(
        self, tensor: str, panel: Panel, layer: str, *, column_start: int = 0, transposed: bool = False
    ) -> None:
        """``store``, if intermediates are to be stored."""
        if self.emitter.observe:
            self.store(
                tensor,
                panel,
                layer,
                Cause.INTERMEDIATES,
                column_start=column_start,
                transposed=transposed,
            )

    def store(
        self,
        tensor: str,
        panel: Panel,
        layer: str,
        cause: Cause,
        *,
        column_start: int = 0,
        transposed: bool = False,
    ) -> None:
        """STORE a whole panel at once. ``transposed``: its lanes are the tensor's columns."""
        words = len(panel.tiles(self.lanes)) * panel.stride
        residual = panel.buffer.memory is Memory.R
        word_bytes = self.config.residual_word_bytes if residual else self.config.panel_word_bytes
        offset = self.emitter.write_size
        self.emitter.write_size = align(offset + words * word_bytes, DRAM_ALIGN)
        self.emitter.transfer(
            Opcode.STORE,
            layer,
            {"base": (panel.buffer, panel.offset)},
            Moved(tensor, cause),
            memory=int(panel.buffer.memory),
            words=words,
            rows=1,
            stride=words,
            dram_offset=offset,
            dram_stride=0,
        )
        shape = (panel.columns, panel.rows) if transposed else (panel.rows, panel.columns)
        width = panel.columns // panel.heads
        parts = panel.heads if width % self.depth and not residual else 1
        for part in range(parts):
            self.emitter.placements.append(
                Placement(
                    tensor=tensor,
                    offset=offset + part * self.k_words(width) * word_bytes,
                    kind="residual" if residual else "panel_transposed" if transposed else "panel",
                    shape=shape if parts == 1 else (panel.rows, width),
                    tile_stride=panel.stride,
                    row_start=0 if transposed else panel.row_start,
                    column_start=column_start + part * width,
                    layer=layer,
                )
            )


def _parameters(linear: Linear, chunk: range, words: int) -> np.ndarray:
    """uint64 [words]: the words of P of some output channels, filled up with idle ones."""
    part, padding = slice(chunk.start, chunk.stop), (0, words - len(chunk))
    bias, multiplier, shift = (
        np.pad(values[part], padding, constant_values=fill)
        for values, fill in ((linear.bias, 0), (linear.multiplier, 1), (linear.shift, 1))
    )
    return layout.pack_parameters(bias, multiplier, shift)


def _spread(weight: np.ndarray, heads: int, depth: int) -> np.ndarray:
    """int8 [O, heads * d] -> [O, heads * ceil(d / V) * V]: zeros after each head, where the panel has its padding."""
    rows, columns = weight.shape
    width = columns // heads
    padding = align(width, depth) - width
    if heads == 1 or not padding:
        return weight
    return np.pad(weight.reshape(rows, heads, width), ((0, 0), (0, 0), (0, padding))).reshape(rows, -1)
