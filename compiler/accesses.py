"""Which words of which on-chip memory an instruction reads and writes, and which instruction was the last to do so."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from vitreous.spec import layout
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import OPCODES, Instruction, Memory
from vitreous.spec.limits import SCORE_SLOTS
from vitreous.spec.opcodes.opcode import Accesses, Region


def memory_words(config: AcceleratorConfig) -> dict[Memory, int]:
    """Words of each memory; S counts its two slots."""
    return {
        memory: SCORE_SLOTS if memory is Memory.S else layout.memory_words(config, memory)
        for memory in Memory
    }


def accesses(instruction: Instruction, config: AcceleratorConfig, slot: int | None = None) -> Accesses:
    """(reads, writes). ``slot`` of S is what a STORE or a LOAD stands for beside its own words: ``lowering.spill``."""
    found = OPCODES[instruction.opcode].accesses(instruction.fields, config)
    if slot is None:
        return found
    scores = (Region(Memory.S, slot, 1),)
    return Accesses(*(regions + scores if regions else regions for regions in found))


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
