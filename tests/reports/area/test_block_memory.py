from __future__ import annotations

import pytest

from vitreous.reports.area.block_memory import GEOMETRIES, block_memories, ultra_memories
from vitreous.reports.errors import ReportError


@pytest.mark.parametrize(
    ("width", "words", "family", "mask", "blocks"),
    [
        (36, 512, "xcup", 0, 1),  # half a RAMB36: one unit of 18 Kbit
        (72, 512, "xcup", 0, 2),
        (64, 2048, "xcup", 0, 8),  # 2K x 18: 4 of 36 Kbit
        (128, 4096, "xcup", 0, 30),  # 4K x 9: 15 columns
        (128, 4096, "xcup", 8, 32),  # a byte mask leaves the ninth bit idle
        (512, 512, "xcup", 16, 16),  # codes of 16 bits in two bytes of nine
        (576, 512, "xcup", 18, 16),  # those of 18 fill them
        (608, 512, "xcup", 19, 24),
        (64, 10240, "xcup", 0, 40),  # 2K x 18: 4 columns of 5
        (18, 1024, "ecp5", 0, 1),
        (36, 512, "ecp5", 0, 1),
        (1, 16384, "ecp5", 0, 1),
        (16, 256, "ice40", 0, 1),
        (2, 2049, "ice40", 0, 2),
    ],
)
def test_the_shape_that_needs_least_is_taken(
    width: int, words: int, family: str, mask: int, blocks: int
) -> None:
    assert block_memories(width, words, family, mask=mask) == blocks


@pytest.mark.parametrize("family", sorted(GEOMETRIES))
def test_no_memory_needs_fewer_blocks_than_its_bits(family: str) -> None:
    largest = {"xcup": 18432, "ecp5": 18432, "ice40": 4096}[family]
    for width in (1, 7, 8, 16, 33, 64, 100, 256):
        for words in (2, 100, 512, 1000, 4097, 16384):
            blocks = block_memories(width, words, family)
            assert blocks * largest >= width * words
            assert width % 8 or block_memories(width, words, family, mask=8) >= blocks


def test_a_family_without_shapes_is_refused() -> None:
    with pytest.raises(
        ReportError, match="No block memory of 'osu018' is known; there are xcup, ecp5, ice40"
    ):
        block_memories(8, 8, "osu018")


@pytest.mark.parametrize(
    ("width", "words", "mask", "units"),
    [
        (256, 8192, 8, 8),  # X of edge256: a byte mask leaves the ninth bit idle, 64 bits of 72
        (256, 4096, 0, 4),  # W
        (128, 10240, 0, 6),  # R: 2 wide, 3 deep
        (64, 4096, 0, 1),  # P
        (288, 4096, 9, 4),
        (2, 2, 0, 1),
    ],
)
def test_ultraram_has_one_shape(width: int, words: int, mask: int, units: int) -> None:
    """The first four as Yosys maps them: tests/hw/memory/test_ram.py."""
    assert ultra_memories(width, words, "xcup", mask=mask) == units


def test_a_family_without_ultraram_is_refused() -> None:
    with pytest.raises(ReportError, match='ecp5 has no UltraRAM; memory.style = "auto" leaves'):
        ultra_memories(64, 4096, "ecp5")
