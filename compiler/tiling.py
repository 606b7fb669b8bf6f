"""Pass 2: how a product is cut: chunks of columns whose weights fit, groups of row tiles, blocks of row tiles.

``N`` lanes, ``V`` depth; a *tile* is N rows or N columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Memory
from vitreous.spec.layout import align, ceil_div

GROUPS = 8
"""Row groups around a layer norm: enough that its work hides behind the matrix unit, few enough to keep
programs short."""


Words = Mapping[Memory, int]
"""Words of each memory."""
LARGEST_PARTS = 1000
"""A plan whose chunks are a smaller part of W than this has the smallest ones there are."""


@dataclass(frozen=True)
class MemoryBudget:
    """How much memory a plan may use. Each smaller budget costs some overlap or some weight traffic.

    weight_parts : a chunk of weights takes at most this part of the free W (and P).
    early_norm : a layer norm writes its panel while the previous product still runs.
    blocks : the least number of row blocks of an MLP or of the patch embedding.
    outputs : the least number of parts of columns in which a product that is the output is made and stored.
    """

    weight_parts: float = 3.0
    early_norm: bool = True
    blocks: int = 1
    outputs: int = 1

    def without(self, memory: str, tiles: int, columns: int = 1) -> MemoryBudget | None:
        """The next smaller memory budget when ``memory`` was too small for one with ``tiles`` row tiles and an output
        of ``columns``, or None."""
        if memory in "WP" and self.weight_parts < LARGEST_PARTS:
            return replace(self, weight_parts=self.weight_parts * 2)
        if memory == "X" and self.early_norm:
            return replace(self, early_norm=False)
        if memory == "X" and self.blocks < tiles:
            return replace(self, blocks=min(tiles, self.blocks * 2))
        if memory == "R" and self.outputs < columns:
            return replace(self, outputs=self.outputs * 2)
        return None


def balanced(count: int, unit: int, most: int) -> list[range]:
    """``range(count)`` in the fewest parts of at most ``most`` (at least ``unit``), multiples of ``unit``
    but the last, about equal."""
    units = ceil_div(count, unit)
    parts = ceil_div(units, max(1, most // unit))
    bounds = [min(count, unit * ceil_div(units * part, parts)) for part in range(parts + 1)]
    return [range(a, b) for a, b in pairwise(bounds) if b > a]


def column_chunks(
    config: AcceleratorConfig,
    columns: int,
    k_words: int,
    free_words: int,
    entries: int,
    budget: MemoryBudget,
) -> list[range]:
    """Output channels in chunks whose weights take ``free_words / budget.weight_parts`` words of W, and
    their parameters as large a part of the ``entries`` of P.

    A chunk is a multiple of max(N, V) channels, so that it begins with a weight tile and with an output word.
    """
    lanes, unit = config.array.lanes, max(config.array.lanes, config.array.depth)
    weights = int(free_words / budget.weight_parts) // k_words * lanes
    parameters = int(entries / budget.weight_parts) - 1
    return balanced(columns, unit, min(weights, parameters))


def indivisible(config: AcceleratorConfig, budget: MemoryBudget, inner: int, w_words: int) -> bool:
    """Whether every chunk of ``column_chunks`` is as small as it can be, for products that sum over ``inner`` or more
    and ``w_words`` of W: a plan with more ``weight_parts`` would be the same.
    """
    lanes, unit = config.array.lanes, max(config.array.lanes, config.array.depth)
    k_words = ceil_div(inner, config.array.depth)
    return int(w_words / budget.weight_parts) // k_words * lanes <= unit


def row_groups(tiles: range, groups: int = GROUPS) -> list[range]:
    """Row tiles in at most ``groups`` parts."""
    return [
        range(tiles.start + part.start, tiles.start + part.stop)
        for part in balanced(len(tiles), 1, ceil_div(len(tiles), groups))
    ]


def row_blocks(tiles: int, tile_words: int, free_words: int, blocks: int) -> list[range]:
    """Row tiles in the fewest blocks (at least ``blocks``) whose panel of ``tile_words`` for each tile fits
    ``free_words``."""
    return balanced(tiles, 1, min(max(1, free_words // tile_words), ceil_div(tiles, min(blocks, tiles))))


def parameter_words(config: AcceleratorConfig, columns: int, by_lane: bool) -> int:
    """Words of P for a chunk: LANE reads whole tiles."""
    return align(columns, config.array.lanes) if by_lane else columns
