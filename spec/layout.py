"""Tensor layouts: how matrices lie in the panel memories X and W, in the residual memory R, and in DRAM.

``N`` is the number of lanes, ``V`` the depth of the array.

Panel (X, W): ``panel[tile][k // V][lane][k % V]`` of int8. ``lane`` runs over the rows of one tile of N, ``k``
over the dimension
that a product sums over. One word is ``[lane][k % V]``: byte ``lane * V + k % V``.

Residual (R): ``residual[tile][channel][lane]`` of int16, one word for each channel: bytes ``2 * lane`` and ``2
* lane + 1``.

Image (DRAM): int8 ``[channel][row][column]``, each row padded to a multiple of ``IMAGE_ALIGN`` bytes.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.limits import SCORE_SLOTS
from vitreous.spec.numbers import CHANNEL_SHIFT_BITS
from vitreous.spec.opcodes.kinds import PARAMETER_BYTES, Memory
from vitreous.spec.softmax import CODE

DRAM_ALIGN = 64
"""Every region and tensor in DRAM starts at a multiple of this many bytes."""
IMAGE_ALIGN = 32
"""Bytes; the widest bus beat, so that every image row starts on a beat."""
SHIFTS_PER_WORD = 8 * PARAMETER_BYTES // CHANNEL_SHIFT_BITS
"""Channel shifts of a norm in a word of P."""


def ceil_div(value: int, unit: int) -> int:
    """``value / unit``, rounded up."""
    return -(-value // unit)


def align(value: int, unit: int) -> int:
    """The multiple of ``unit`` at or above ``value``."""
    return ceil_div(value, unit) * unit


def word_bits(config: AcceleratorConfig, memory: Memory) -> int:
    """Bits of one word of ``memory``: ``N V`` bytes of X and W, ``2 N`` of R, 8 of P; ``N V`` codes of S."""
    match memory:
        case Memory.X | Memory.W:
            return 8 * config.panel_word_bytes
        case Memory.R:
            return 8 * config.residual_word_bytes
        case Memory.P:
            return 8 * PARAMETER_BYTES
        case Memory.S:
            return CODE.width * config.array.lanes * config.array.depth
        case _:
            assert_never(memory)


def word_bytes(config: AcceleratorConfig, memory: Memory) -> int:
    """``word_bits`` in bytes, rounded up; of S a word need not be a whole number of them, nor does DRAM see it."""
    return ceil_div(word_bits(config, memory), 8)


def memory_words(config: AcceleratorConfig, memory: Memory) -> int:
    """Words of ``memory``, of both slots of S."""
    match memory:
        case Memory.X:
            return config.x_depth
        case Memory.W:
            return config.w_depth
        case Memory.R:
            return config.r_depth
        case Memory.P:
            return config.p_depth
        case Memory.S:
            return SCORE_SLOTS * config.s_depth
        case _:
            assert_never(memory)


def pack_panel(matrix: np.ndarray, lanes: int, depth: int) -> np.ndarray:
    """int8 [rows, K] -> int8 [ceil(rows/N), ceil(K/V), N, V], padded with zeros."""
    rows, k = matrix.shape
    padded = np.zeros((align(rows, lanes), align(k, depth)), matrix.dtype)
    padded[:rows, :k] = matrix
    return padded.reshape(-1, lanes, padded.shape[1] // depth, depth).transpose(0, 2, 1, 3).copy()


def unpack_panel(panel: np.ndarray, rows: int, k: int) -> np.ndarray:
    """The inverse of ``pack_panel``: int8 [tiles, words, N, V] -> [rows, k]."""
    tiles, words, lanes, depth = panel.shape
    return panel.transpose(0, 2, 1, 3).reshape(tiles * lanes, words * depth)[:rows, :k].copy()


def pack_residual(matrix: np.ndarray, lanes: int) -> np.ndarray:
    """int16 [rows, D] -> int16 [ceil(rows/N), D, N], padded with zeros."""
    rows, channels = matrix.shape
    padded = np.zeros((align(rows, lanes), channels), matrix.dtype)
    padded[:rows] = matrix
    return padded.reshape(-1, lanes, channels).transpose(0, 2, 1).copy()


def unpack_residual(words: np.ndarray, rows: int) -> np.ndarray:
    """The inverse of ``pack_residual``: int16 [tiles, D, N] -> [rows, D]."""
    tiles, channels, lanes = words.shape
    return words.transpose(0, 2, 1).reshape(tiles * lanes, channels)[:rows].copy()


def image_row_stride(width: int) -> int:
    """Bytes from one image row to the next in DRAM."""
    return align(width, IMAGE_ALIGN)


def pack_image(image: np.ndarray) -> bytes:
    """int8 [C, H, W] -> the bytes of the DRAM image."""
    channels, height, width = image.shape
    padded = np.zeros((channels, height, image_row_stride(width)), np.int8)
    padded[:, :, :width] = image
    return padded.tobytes()


def pack_parameters(bias: np.ndarray, multiplier: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Bias int32, multiplier, shift (all [n]) -> uint64 [n]: words of P as ``isa.PARAMETER_FIELDS`` lays them
    out.
    """
    word = bias.astype(np.int64).astype(np.uint64) & np.uint64(0xFFFFFFFF)
    word |= multiplier.astype(np.uint64) << np.uint64(32)
    return word | (shift.astype(np.uint64) << np.uint64(47))


def pack_shifts(shifts: np.ndarray) -> np.ndarray:
    """Channel shifts uint8 [n], 0..3 -> uint64 [ceil(n / 32)]: words of P, channel ``c`` at bit ``2 * (c mod 32)``."""
    padded = np.zeros(align(len(shifts), SHIFTS_PER_WORD), np.uint64)
    padded[: len(shifts)] = shifts
    places = np.arange(SHIFTS_PER_WORD, dtype=np.uint64) * np.uint64(CHANNEL_SHIFT_BITS)
    return np.asarray((padded.reshape(-1, SHIFTS_PER_WORD) << places).sum(axis=1, dtype=np.uint64))
