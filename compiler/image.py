"""The read window in DRAM: constants as the loads want them, room for the input image, and the program at the end."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

from vitreous.spec.layout import DRAM_ALIGN, align

WINDOW_LIMIT = 1 << 32


class ImageBuilder:
    """Appends regions at multiples of 64 bytes; a region with a key seen before is stored once."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, Callable[[], np.ndarray]]] = []
        self._known: dict[Hashable, int] = {}
        self.size = 0

    def reserve(self, count: int) -> int:
        """Byte offset of a new region of ``count`` bytes, zero for now."""
        offset = self.size
        self.size = align(offset + count, DRAM_ALIGN)
        return offset

    def add(self, array: np.ndarray, key: Hashable = None) -> int:
        """Byte offset of a region that holds ``array``, little endian, in its own order."""
        return self.add_later(array.nbytes, lambda: array, key)

    def add_later(self, count: int, make: Callable[[], np.ndarray], key: Hashable = None) -> int:
        """The same for an array of ``count`` bytes that ``build`` makes: a plan that is given up never packs it."""
        offset = self.reserve(count)
        self._parts.append((offset, make))
        if key is not None:
            self._known[key] = offset
        return offset

    def known(self, key: Hashable) -> int | None:
        """Where the region added with ``key`` lies, or None."""
        return self._known.get(key)

    def build(self) -> np.ndarray:
        """uint8 [size]: the whole window."""
        image = np.zeros(self.size, np.uint8)
        for offset, make in self._parts:
            raw = np.ascontiguousarray(make()).reshape(-1).view(np.uint8)
            image[offset : offset + raw.size] = raw
        return image
