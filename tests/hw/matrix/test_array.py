"""The array against numpy: tiles of every length back to back, the stated latencies, extreme values."""

from typing import Any

import numpy as np
import pytest

from tests.support.hw.columns import pack, run_pipeline, unpack
from vitreous.hw.matrix.array import Array
from vitreous.spec.config import AcceleratorConfig, ArrayConfig

MULTIPLIERS = ("plain", "accumulate", "packed")


def stimulus(
    tiles: list[tuple[Any, Any]], lanes: int, *, gap: bool, rng: np.random.Generator
) -> tuple[list[dict[str, int]], list[tuple[int, Any]]]:
    """Inputs of each cycle for tiles of words (A, B) [k, lanes, depth]; the cycle of each one's last word, its sums."""
    inputs: list[dict[str, int]] = []
    ends: list[tuple[int, Any]] = []

    def idle() -> None:
        # What is on the bus while valid is low must not matter.
        inputs.append({"valid": 0, "first": int(rng.integers(2)), "last": int(rng.integers(2))})

    for a, b in tiles:
        while ends and len(inputs) + len(a) - 1 < ends[-1][0] + lanes:
            idle()
        for k in range(len(a)):
            while gap and rng.integers(3) == 0:
                idle()
            words = {"a": pack(a[k].ravel(), 8), "b": pack(b[k].ravel(), 8)}
            inputs.append({"valid": 1, "first": int(k == 0), "last": int(k == len(a) - 1), **words})
        ends.append((len(inputs) - 1, np.einsum("kiv,kjv->ij", a.astype(np.int64), b.astype(np.int64))))
    return [*inputs, {"valid": 0}], ends


@pytest.mark.parametrize("gap", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("multiplier", MULTIPLIERS)
@pytest.mark.parametrize(
    ("lanes", "depth"), [(4, 1), (4, 2), (4, 8), pytest.param(8, 4, marks=pytest.mark.slow)]
)
def test_tiles(lanes: int, depth: int, multiplier: str, gap: bool) -> None:
    rng = np.random.default_rng(lanes * depth)
    config = AcceleratorConfig(array=ArrayConfig(lanes=lanes, depth=depth, multiplier=multiplier))
    lengths = [1, 1, 2, lanes, 3 * lanes, 1, lanes + 1, 5]
    tiles = [tuple(rng.integers(-128, 128, (2, k, lanes, depth), dtype=np.int8)) for k in lengths]
    tiles.append((np.full((9, lanes, depth), -128, np.int8),) * 2)
    tiles.append((np.full((9, lanes, depth), -128, np.int8), np.full((9, lanes, depth), 127, np.int8)))
    # Neighbours go to opposite ends, far enough that a packed low field wraps many times, up and down.
    ends_apart = np.full((60, lanes, depth), -128, np.int8)
    ends_apart[:, ::2] = 127
    tiles += [(ends_apart, np.full((60, lanes, depth), 127, np.int8)), (-1 - ends_apart, ends_apart)]
    inputs, ends = stimulus(tiles, lanes, gap=gap, rng=rng)
    cycles = len(inputs) + 2 * lanes
    inputs += [{} for _ in range(cycles - len(inputs))]
    for end, _ in ends:
        for j in range(lanes):
            inputs[end + Array.SHADOW_LATENCY + j] = {**inputs[end + Array.SHADOW_LATENCY + j], "select": j}
    seen = run_pipeline(Array(config), inputs, ["column"], cycles=cycles + 2)
    for end, expected in ends:
        for j in range(lanes):
            at = end + Array.SHADOW_LATENCY + j + Array.COLUMN_LATENCY
            assert unpack(seen[at]["column"], 32, lanes, signed=True) == expected[:, j].tolist()


def test_the_shadow_is_not_there_a_cycle_earlier() -> None:
    """The stated latency is the smallest one."""
    config = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=1))
    ones = pack([1] * 4, 8)
    inputs = [{"valid": 1, "first": 1, "last": 1, "a": ones, "b": ones}, {"valid": 0}]
    # The shadow has no reset: an unwritten one reads as the simulator's initial 0.
    seen = [s["column"] & 0xFFFF for s in run_pipeline(Array(config), inputs, ["column"], cycles=8)]
    assert seen.index(1) == Array.SHADOW_LATENCY + Array.COLUMN_LATENCY
