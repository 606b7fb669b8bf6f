"""Block memories that an on-chip memory fills, by the shapes that a family's documents name.

A memory of ``width`` bits and ``words`` is tiled with blocks of one shape: ``ceil(width / w) * ceil(words / d)`` of
them, and the shape that needs least is taken. A write mask covers whole bytes of a block, of nine bits where it has
parity, so what is written at once fills bytes up: of 8 bits the ninth is of no use, of 18 bits two bytes are full.
Sources: AMD UG573 (UltraScale block RAM, one read and one write port), Lattice FPGA-TN-02204
(ECP5 EBR), Lattice FPGA-TN-02002 (iCE40 EBR). Checked against Yosys by `make area`, which measures each memory:
Yosys may mix two shapes and take a few less (73 instead of 75 for 5120 words of 256 bits).
"""

from __future__ import annotations

from collections.abc import Mapping

from vitreous.reports.errors import ReportError

Shape = tuple[int, int, int]
"""Units of the ``bram`` column, bits of a word, words."""
GEOMETRIES: Mapping[str, tuple[Shape, ...]] = {
    "xcup": (
        *((1, 16384 // words, words) for words in (16384, 8192, 4096)),
        *((1, 18432 // words, words) for words in (2048, 1024, 512)),
        *((2, 32768 // words, words) for words in (32768, 16384, 8192)),
        *((2, 36864 // words, words) for words in (4096, 2048, 1024, 512)),
    ),
    "ecp5": (
        *((1, 16384 // words, words) for words in (16384, 8192, 4096)),
        *((1, 18432 // words, words) for words in (2048, 1024, 512)),
    ),
    "ice40": tuple((1, 4096 // words, words) for words in (2048, 1024, 512, 256)),
}


ULTRA: Mapping[str, Shape] = {"xcup": (1, 72, 4096)}
"""UltraRAM of the families that have it, its units those of the ``uram`` column (AMD UG573)."""


def block_memories(width: int, words: int, family: str, *, mask: int = 0) -> int:
    """Units of the ``bram`` column of ``family``; ``mask``: bits that are written at once, 0 for whole words.

    Raises ReportError for a family without shapes.
    """
    if family not in GEOMETRIES:
        raise ReportError(f"No block memory of {family!r} is known; there are {', '.join(GEOMETRIES)}")

    return min(_needed(shape, width, words, mask) for shape in GEOMETRIES[family])


def ultra_memories(width: int, words: int, family: str, *, mask: int = 0) -> int:
    """Units of the ``uram`` column of ``family``; the rest as for ``block_memories``."""
    if family not in ULTRA:
        raise ReportError(f'{family} has no UltraRAM; memory.style = "auto" leaves the choice to its tools')
    return _needed(ULTRA[family], width, words, mask)


def _needed(shape: Shape, width: int, words: int, mask: int) -> int:
    units, bits, depth = shape
    taken = width // mask * -(-mask // 9) * 9 if mask and bits % 9 == 0 else width
    return units * -(-taken // bits) * -(-words // depth)
