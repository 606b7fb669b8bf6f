"""LOAD_PATCHES: which pixel rows are read, and how many writes each of their beats becomes (hw.load.patches)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from vitreous.spec.config import AcceleratorConfig


def pixel_rows(i: Mapping[str, int]) -> list[tuple[int, int]]:
    """(DRAM offset, k of the row's first byte in its patch) of each pixel row in order."""
    patch = i["patch"]
    return [
        (
            i["dram_offset"] + (band * patch + y) * i["row_stride"] + channel * i["channel_stride"],
            (channel * patch + y) * patch,
        )
        for band in range(i["grid_rows"])
        for channel in range(i["channels"])
        for y in range(patch)
    ]


def steps_of_beats(i: Mapping[str, int], k: int, config: AcceleratorConfig) -> list[int]:
    """Writes of each beat of a pixel row: one ends where the patch row, the panel word or the beat ends."""
    depth = config.array.depth
    return _steps(i["patch"], i["grid_columns"], k % depth, depth, config.bus.beat_bytes)


@lru_cache(maxsize=1024)
def _steps(patch: int, columns: int, phase: int, depth: int, beat: int) -> list[int]:
    steps = [0] * -(-patch * columns // beat)
    for byte in range(patch * columns):
        x = byte % patch
        ends = x == patch - 1 or (phase + x + 1) % depth == 0 or (byte + 1) % beat == 0
        steps[byte // beat] += ends
    return steps
