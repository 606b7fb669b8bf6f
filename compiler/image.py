"""The read window in DRAM: constants as the loads want them, room for the input image, and the program at the end."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from vitreous.compiler.errors import CompileError
from vitreous.spec.layout import DRAM_ALIGN, align

WINDOW_LIMIT = 1 << 32


class ImageBuilder:
    """Appends regions at multiples of 64 bytes; a region with a key seen before is stored once."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, np.ndarray]] = []
        self._known: dict[Hashable, int] = {}
        self.size = 0

    def reserve(self, count: int) -> int:
        """Byte offset of a new region of ``count`` bytes, zero for now."""
        offset = self.size
        self.size = align(offset + count, DRAM_ALIGN)
        if self.size > WINDOW_LIMIT:
            raise CompileError(f"The memory image needs {self.size} bytes, more than 32 bits can address")
        return offset

    def add(self, array: np.ndarray, key: Hashable = None) -> int:
        """Byte offset of a region that holds ``array``, little endian, in its own order."""
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        offset = self.reserve(raw.size)
        self._parts.append((offset, raw))
        if key is not None:
            self._known[key] = offset
        return offset

    def known(self, key: Hashable) -> int | None:
        """Where the region added with ``key`` lies, or None."""
        return self._known.get(key)

    def build(self) -> np.ndarray:
        """uint8 [size]: the whole window."""
        image = np.zeros(self.size, np.uint8)
        for offset, raw in self._parts:
            image[offset : offset + raw.size] = raw
        return image
