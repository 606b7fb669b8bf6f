"""The five on-chip memories and the two DRAM windows, with the checks that the machine makes on every address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.golden.errors import GoldenError
from vitreous.golden.machine.errors import MachineError
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import PARAMETER_FIELDS, ErrorCode, Memory

Ints = NDArray[np.int64]


@dataclass
class Slot:
    """Softmax state of the query tile in one slot of S: one value for each lane, all int64 [lanes]. Maximum and total
    are those of the slot's block of keys, the scale is that of the last row that ended in it."""

    maximum: Ints
    total: Ints
    multiplier: Ints
    shift: Ints

    @classmethod
    def empty(cls, lanes: int) -> Slot:
        return cls(*(np.zeros(lanes, np.int64) for _ in range(4)))


@dataclass
class Blocks:
    """What is kept from one block of a score row to the next, for each lane.

    maximum, total : of the row's scores so far, int64 [lanes]. context_maximum : of the blocks in the contexts so far,
    int64 [lanes]. contexts : the partial contexts of each column of a head, int32 [context_columns, lanes].
    """

    maximum: Ints
    total: Ints
    context_maximum: Ints
    contexts: NDArray[np.int32]

    @classmethod
    def empty(cls, config: AcceleratorConfig) -> Blocks:
        lanes = config.array.lanes
        return cls(
            maximum=np.zeros(lanes, np.int64),
            total=np.zeros(lanes, np.int64),
            context_maximum=np.zeros(lanes, np.int64),
            contexts=np.zeros((config.memory.context_columns, lanes), np.int32),
        )


class Memories:
    """X, W, R, P and S of one accelerator; zero after configuration.

    x, w : int8 [words, lanes, depth]; r : int16 [words, lanes]; p : uint64 [words];
    s : int32 [2, words, lanes, depth], the stored codes; slots : the softmax state that goes with each half of S.
    blocks : what score rows and contexts keep from block to block.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        lanes, depth = config.array.lanes, config.array.depth
        self.config = config
        self.x = np.zeros((config.x_depth, lanes, depth), np.int8)
        self.w = np.zeros((config.w_depth, lanes, depth), np.int8)
        self.r = np.zeros((config.r_depth, lanes), np.int16)
        self.p = np.zeros(config.p_depth, np.uint64)
        self.s = np.zeros((2, config.s_depth, lanes, depth), np.int32)
        self.slots = [Slot.empty(lanes), Slot.empty(lanes)]
        self.blocks = Blocks.empty(config)

    def array(self, memory: Memory) -> NDArray[Any]:
        """The words of a memory that instructions address, in its first dimension."""
        arrays: dict[Memory, NDArray[Any]] = {
            Memory.X: self.x,
            Memory.W: self.w,
            Memory.R: self.r,
            Memory.P: self.p,
        }
        return arrays[memory]

    def raw(self, memory: Memory) -> NDArray[np.uint8]:
        """The same words as bytes [words, bytes of a word], little endian; a view."""
        words = self.array(memory)
        return words.reshape(len(words), -1).view(np.uint8)

    def check(self, memory: Memory, addresses: Ints, pc: int) -> None:
        """Raises MachineError ADDRESS when one is at or beyond the end of its memory."""
        highest, depth = int(addresses.max()), len(self.array(memory))
        if highest >= depth:
            detail = f"word {highest} of {memory.name}, which has {depth}"
            raise MachineError(ErrorCode.ADDRESS, pc, detail)

    def parameters(self, addresses: Ints, pc: int) -> tuple[Ints, Ints, Ints]:
        """Bias, multiplier and shift of words of P, each int64 of the shape of ``addresses``."""
        self.check(Memory.P, addresses, pc)
        words = self.p[addresses]
        values, offset = [], 0
        for f in PARAMETER_FIELDS:
            value = (words >> np.uint64(offset) & np.uint64((1 << f.width) - 1)).astype(np.int64)
            if f.signed:
                value = (value ^ 1 << f.width - 1) - (1 << f.width - 1)
            values.append(value)
            offset += f.width
        return values[0], values[1], values[2]

    def shifts(self, base: int, channels: int, pc: int) -> Ints:
        """The shifts of a norm's channels from word ``base`` of P on, 2 bits each: int64 [channels]."""
        channel = np.arange(channels)
        addresses = base + channel // 32
        self.check(Memory.P, addresses, pc)
        places = (2 * (channel % 32)).astype(np.uint64)
        return (self.p[addresses] >> places & np.uint64(3)).astype(np.int64)


def rows_of_words(base: int, stride: int, rows: int, words: int) -> Ints:
    """Addresses ``base + row * stride + word``: int64 [rows, words]."""
    return base + stride * np.arange(rows)[:, None] + np.arange(words)


def refuse_overlap(read: Ints, written: Ints) -> None:
    """Of an instruction that writes while it still reads: what a shared word holds is a matter of timing.

    Raises GoldenError.
    """
    if read.min() <= written.max() and written.min() <= read.max() and np.intersect1d(read, written).size:
        raise GoldenError("it reads words that it writes")


class Dram:
    """The read window and the write window, as bytes, with the checks of the bus."""

    def __init__(self, read: NDArray[np.uint8], write_size: int, beat_bytes: int) -> None:
        if read.dtype != np.uint8 or read.ndim != 1:
            raise GoldenError(f"The read window must be uint8 [bytes], not {read.dtype} {read.shape}")
        self.read = read
        self.write = np.zeros(write_size, np.uint8)
        self._beat = beat_bytes

    def check_alignment(self, pc: int, **values: int) -> None:
        """Raises MachineError ALIGNMENT when one is not a multiple of the bus width."""
        for name, value in values.items():
            if value % self._beat:
                detail = f"{name} {value} is not a multiple of {self._beat} bytes"
                raise MachineError(ErrorCode.ALIGNMENT, pc, detail)

    def check_window(self, window: NDArray[np.uint8], offsets: Ints, size: int, pc: int) -> None:
        """Raises MachineError WINDOW when ``size`` bytes at one of the offsets do not lie in the window."""
        end = int(offsets.max()) + size
        if end > window.size:
            raise MachineError(ErrorCode.WINDOW, pc, f"byte {end - 1} of a window of {window.size}")
