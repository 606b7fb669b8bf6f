from __future__ import annotations

import pytest

from vitreous.reports.area.block_memory import GEOMETRIES, block_memories
from vitreous.reports.errors import ReportError


@pytest.mark.parametrize(
    ("width", "words", "family", "masked", "blocks"),
    [
        (36, 512, "xcup", False, 1),  # half a RAMB36: one unit of 18 Kbit
        (72, 512, "xcup", False, 2),
        (64, 2048, "xcup", False, 8),  # 2K x 18: 4 of 36 Kbit
        (128, 4096, "xcup", False, 30),  # 4K x 9: 15 columns
        (128, 4096, "xcup", True, 32),  # a byte mask leaves the ninth bit idle
        (64, 10240, "xcup", False, 40),  # 2K x 18: 4 columns of 5
        (18, 1024, "ecp5", False, 1),
        (36, 512, "ecp5", False, 1),
        (1, 16384, "ecp5", False, 1),
        (16, 256, "ice40", False, 1),
        (2, 2049, "ice40", False, 2),
    ],
)
def test_the_shape_that_needs_least_is_taken(
    width: int, words: int, family: str, masked: bool, blocks: int
) -> None:
    assert block_memories(width, words, family, masked=masked) == blocks


@pytest.mark.parametrize("family", sorted(GEOMETRIES))
def test_no_memory_needs_fewer_blocks_than_its_bits(family: str) -> None:
    largest = {"xcup": 18432, "ecp5": 18432, "ice40": 4096}[family]
    for width in (1, 7, 8, 16, 33, 64, 100, 256):
        for words in (2, 100, 512, 1000, 4097, 16384):
            blocks = block_memories(width, words, family)
            assert blocks * largest >= width * words
            assert block_memories(width, words, family, masked=True) >= blocks


def test_a_family_without_shapes_is_refused() -> None:
    with pytest.raises(
        ReportError, match="No block memory of 'osu018' is known; there are xcup, ecp5, ice40"
    ):
        block_memories(8, 8, "osu018")
