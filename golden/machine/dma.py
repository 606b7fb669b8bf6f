"""Load and store: transfers between DRAM and the on-chip memories (docs/machine.md, LOAD and STORE)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitreous.golden.machine.matmul import Finish
from vitreous.golden.machine.memories import Dram, Ints, Memories, rows_of_words
from vitreous.spec.isa import Instruction, Memory


def _transfer(
    i: Instruction, memories: Memories, dram: Dram, window: NDArray[np.uint8], pc: int
) -> tuple[NDArray[np.uint8], Ints, Ints, int]:
    """Of LOAD and STORE, checked: the memory as bytes, its words [rows, words], the rows' DRAM offsets [rows] in
    ``window`` and a row's bytes."""
    memory = Memory(i["memory"])
    raw = memories.raw(memory)
    words = rows_of_words(i["base"], i["stride"], i["rows"], i["words"])
    offsets = i["dram_offset"] + i["dram_stride"] * np.arange(i["rows"])
    size = i["words"] * raw.shape[1]
    dram.check_alignment(pc, dram_offset=i["dram_offset"], dram_stride=i["dram_stride"])
    dram.check_window(window, offsets, size, pc)
    memories.check(memory, words, pc)
    return raw, words, offsets, size


def start_load(i: Instruction, memories: Memories, dram: Dram, pc: int) -> Finish:
    """Read the rows from DRAM; the returned call writes them to ``memory``."""
    raw, words, offsets, size = _transfer(i, memories, dram, dram.read, pc)
    data = [dram.read[offset : offset + size].reshape(i["words"], -1) for offset in offsets]

    def finish() -> None:
        for row, part in zip(words, data, strict=True):
            raw[row] = part

    return finish


def start_store(i: Instruction, memories: Memories, dram: Dram, pc: int) -> Finish:
    """Read the rows from ``memory``; the returned call writes them to DRAM."""
    raw, words, offsets, size = _transfer(i, memories, dram, dram.write, pc)
    data = raw[words].reshape(i["rows"], -1)

    def finish() -> None:
        for offset, part in zip(offsets, data, strict=True):
            dram.write[offset : offset + size] = part

    return finish


def start_fill(i: Instruction, memories: Memories, pc: int) -> Finish:
    """The returned call writes the zero words."""
    memory = Memory(i["memory"])
    words = i["base"] + np.arange(i["words"])
    memories.check(memory, words, pc)
    raw = memories.raw(memory)

    def finish() -> None:
        raw[words] = 0

    return finish


def start_load_patches(i: Instruction, memories: Memories, dram: Dram, pc: int) -> Finish:
    """Read the image's rows, one for each (gy, c, y); the returned call scatters their bytes into the panel of X, and
    zeros into what is left of a token's last word."""
    patch, across, down, channels = i["patch"], i["grid_columns"], i["grid_rows"], i["channels"]
    dram.check_alignment(
        pc, dram_offset=i["dram_offset"], row_stride=i["row_stride"], channel_stride=i["channel_stride"]
    )
    gy, c, y = np.ix_(range(down), range(channels), range(patch))
    starts = i["dram_offset"] + (gy * patch + y) * i["row_stride"] + c * i["channel_stride"]
    dram.check_window(dram.read, starts, across * patch, pc)
    data = dram.read[starts[..., None] + np.arange(across * patch)]
    lanes, depth = memories.config.array.lanes, memories.config.array.depth
    padding = -(channels * patch * patch) % depth
    shape = (down, channels, patch, across, patch + padding)
    gy, c, y, gx, x = np.ix_(*(range(size) for size in shape))
    written = np.broadcast_to((x < patch) | ((c == channels - 1) & (y == patch - 1)), shape)
    values = np.zeros(shape, np.int8)
    values[..., :patch] = data.reshape(*shape[:-1], patch).view(np.int8)
    token = np.broadcast_to(i["first_token"] + gy * across + gx, shape)[written]
    k = np.broadcast_to((c * patch + y) * patch + x, shape)[written]
    words = i["base"] + token // lanes * i["stride"] + k // depth
    memories.check(Memory.X, words, pc)

    def finish() -> None:
        memories.x[words, token % lanes, k % depth] = values[written]

    return finish
