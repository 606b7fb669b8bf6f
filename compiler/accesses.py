"""Which words of which on-chip memory an instruction reads and writes, from its fields alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, Operands, Scale
from vitreous.spec.layout import ceil_div

SLOTS = 2


class Region(NamedTuple):
    """``rows`` runs of ``words`` words of ``memory``, ``stride`` words apart. A "word" of S is a whole slot."""

    memory: Memory
    base: int
    words: int
    rows: int = 1
    stride: int = 0

    @property
    def end(self) -> int:
        """One past the last word."""
        return self.base + (self.rows - 1) * self.stride + self.words


Accesses = tuple[tuple[Region, ...], tuple[Region, ...]]


def memory_words(config: AcceleratorConfig) -> dict[Memory, int]:
    """Words of each memory; S counts its two slots."""
    return {
        Memory.X: config.x_depth,
        Memory.W: config.w_depth,
        Memory.R: config.r_depth,
        Memory.P: config.p_depth,
        Memory.S: SLOTS,
    }


def accesses(instruction: Instruction, config: AcceleratorConfig, slot: int | None = None) -> Accesses:
    """(reads, writes). ``slot`` of S is what a STORE or a LOAD represents besides its own words: ``lowering.spill``."""
    i, opcode = instruction.fields, instruction.opcode
    if opcode is Opcode.MATMUL:
        return _matmul(instruction, config)
    if opcode in (Opcode.LOAD, Opcode.STORE):
        moved: tuple[Region, ...] = (
            Region(Memory(i["memory"]), i["base"], i["words"], i["rows"], i["stride"]),
        )
        if slot is not None:
            moved += (Region(Memory.S, slot, 1),)
        return ((), moved) if opcode is Opcode.LOAD else (moved, ())
    if opcode is Opcode.FILL:
        return (), (Region(Memory(i["memory"]), i["base"], i["words"]),)
    if opcode is Opcode.LOAD_PATCHES:
        return (), (_patches(i, config),)
    if opcode is Opcode.NORM:
        panel = ceil_div(i["channels"], config.array.depth)
        return (
            (Region(Memory.R, i["r_base"], i["channels"], i["row_tiles"], i["r_stride"]),),
            (Region(Memory.X, i["x_base"], panel, i["row_tiles"], i["x_stride"]),),
        )
    if opcode is Opcode.POOL:
        return (
            (Region(Memory.R, i["r_base"], i["channels"], i["row_tiles"], i["r_stride"]),),
            (Region(Memory.R, i["o_base"], i["channels"]),),
        )
    return (), ()


def _patches(i: dict[str, int], config: AcceleratorConfig) -> Region:
    lanes = config.array.lanes
    first = i["first_token"] // lanes
    last = (i["first_token"] + i["grid_rows"] * i["grid_columns"] - 1) // lanes
    words = ceil_div(i["channels"] * i["patch"] ** 2, config.array.depth)
    return Region(Memory.X, i["base"] + first * i["stride"], words, last - first + 1, i["stride"])


def _matmul(instruction: Instruction, config: AcceleratorConfig) -> Accesses:
    i, lanes = instruction.fields, config.array.lanes
    rows, columns = i["row_tiles"], i["columns"]
    operands, scale, destination = Operands(i["operands"]), Scale(i["scale"]), Memory(i["destination"])
    reads: list[Region] = []
    if operands is Operands.SW:
        reads.append(Region(Memory.S, i["slot"], 1))
    else:
        source = Memory.X if operands is Operands.XW else Memory.W
        reads.append(Region(source, i["a_base"], i["k_words"], rows, i["a_stride"]))
    other = Memory.X if operands is Operands.WX else Memory.W
    reads.append(Region(other, i["b_base"], i["k_words"], ceil_div(columns, lanes), i["b_stride"]))
    if scale is not Scale.SOFTMAX:
        words = {Scale.COLUMN: columns, Scale.TENSOR: 1, Scale.LANE: rows * lanes}[scale]
        reads.append(Region(Memory.P, i["p_base"], words))
    if destination is Memory.S:
        written = Region(Memory.S, i["slot"], 1)
    elif destination is Memory.R:
        written = Region(Memory.R, i["o_base"], columns, rows, i["o_stride"])
        if i["residual"]:
            reads.append(written)
    else:
        written = Region(destination, i["o_base"], ceil_div(columns, config.array.depth), rows, i["o_stride"])
    return tuple(reads), (written,)


class WordMap:
    """One integer for each word of each memory and each of ``kinds`` kinds, -1 at first; reads and writes
    whole regions."""

    def __init__(self, config: AcceleratorConfig, kinds: int) -> None:
        self._values = {
            memory: np.full((kinds, words), -1, np.int32) for memory, words in memory_words(config).items()
        }

    def _view(self, region: Region) -> np.ndarray:
        values = self._values[region.memory]
        if region.base < 0 or region.end > values.shape[1]:
            raise IndexError(f"{region} is beyond {values.shape[1]} words")
        if region.rows == 1 or region.stride == region.words:
            return values[:, region.base : region.base + region.rows * region.words]
        part = values[:, region.base :]
        shape = (values.shape[0], region.rows, region.words)
        return as_strided(part, shape, (part.strides[0], region.stride * part.strides[1], part.strides[1]))

    def latest(self, region: Region) -> np.ndarray:
        """The largest value in the region for each kind, int32 [kinds]."""
        view = self._view(region)
        return np.asarray(view.reshape(view.shape[0], -1).max(axis=1))

    def put(self, region: Region, kind: int, value: int) -> None:
        """Set the region's words of one kind."""
        self._view(region)[kind] = value
