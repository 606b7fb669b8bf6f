"""What a unit is tested with, and the parts that the units' files are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from amaranth.lib import wiring
from torch import Tensor

from vitreous.sim.bench.vectors import Block

LANES = 8
"""Vectors a cycle of most units: more would save cycles and cost more compile time."""
CHUNK = 1 << 16
"""Vectors whose expected values are computed at once: the intermediate tensors stay in the cache."""
Blocks = Callable[[np.random.Generator, int], Iterator[Block]]


def every_value(block: Block) -> int:
    """Values of the first expected output: units that answer each input."""
    return next(iter(block.expected.values())).size


def checked(output: str) -> Callable[[Block], int]:
    """Values of an output in the cycles in which it is checked."""
    return lambda block: int(np.count_nonzero(block.check[output])) * block.expected[output].shape[1]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One unit with one set of vectors.

    unit, variant : its name; cases with the same name share one copy of the hardware. space : what the vectors are.
    exhaustive : ``blocks`` goes through the whole space, whatever count it is asked for. share : of the count that a
    campaign asks for, below 1 for further settings of a variant.
    counted : the vectors of a block.
    blocks : makes at least as many vectors as it is asked for, expected values from ``golden``.
    """

    unit: str
    variant: str
    space: str
    make: Callable[[], wiring.Component]
    blocks: Blocks
    exhaustive: bool = False
    share: float = 1.0
    latency: int | Mapping[str, int] | None = None
    counted: Callable[[Block], int] = every_value

    @property
    def name(self) -> str:
        return f"{self.unit} {self.variant}".strip()


def lanes(values: Tensor | np.ndarray, count: int = LANES) -> np.ndarray:
    """[cycles, count] from a flat array, whose length is a multiple of count."""
    return np.asarray(values).reshape(-1, count)


def columns(size: int) -> int:
    """Vectors in whole columns of LANES that ``size`` vectors need."""
    return -(-size // LANES) * LANES


def chunks(count: int, size: int = CHUNK) -> Iterator[int]:
    """Sizes of the blocks that make ``count`` vectors, in whole columns."""
    for start in range(0, count, size):
        yield columns(min(size, count - start))


def flat(cycles: int, value: int) -> np.ndarray:
    """The same value in each cycle."""
    return np.full(cycles, value, np.int64)


def magnitudes(rng: np.random.Generator, size: int, bits: int) -> np.ndarray:
    """Positive integers below ``2**bits`` of all bit lengths alike; a sixth are powers of two, or next to one."""
    length = rng.integers(1, bits + 1, size)
    top = np.left_shift(np.int64(1), length - 1)
    below = rng.integers(0, np.int64(2) ** 62, size) & (top - 1)
    edges = np.stack([top, np.maximum(top - 1, 1), np.minimum(top + 1, 2 * top - 1), 2 * top - 1])
    choice = rng.integers(0, 24, size)
    return np.where(choice < 4, edges[np.minimum(choice, 3), np.arange(size)], top | below)


def tensor(values: np.ndarray) -> Tensor:
    """int64, sharing memory where it can."""
    return torch.from_numpy(np.ascontiguousarray(values, np.int64))


def column_times(
    rng: np.random.Generator, rows: int, keys: int, spacing: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cycles of the columns [rows, keys] and of the last ones [rows], which are ``spacing`` apart or more.

    Half of the blocks have pauses inside their rows.
    """
    steps = np.ones((rows, keys), np.int64)
    if rng.integers(0, 2):
        steps += (rng.random(steps.shape) < 0.05) * rng.integers(1, 4, steps.shape)
    inside = np.cumsum(steps, axis=1)
    length = inside[:, -1]
    last = np.cumsum(np.maximum(length, spacing)) - 1
    return last[:, None] - (length[:, None] - inside), last
