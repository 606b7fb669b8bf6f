"""What every opcode states about itself: one ``OpcodeSpec`` in a file of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.opcodes.kinds import Field, Memory, Queue

Fields = Mapping[str, int]
"""Values of an instruction's fields by name."""


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

    def __str__(self) -> str:
        """``W[0:64]``, with rows ``X[0:48]x25+96``: 25 rows, 96 words apart."""
        name = f"{self.memory.name}[{self.base}:{self.base + self.words}]"
        return name if self.rows == 1 else f"{name}x{self.rows}+{self.stride}"


class Accesses(NamedTuple):
    """The words that an instruction reads and those that it writes, on the chip."""

    reads: tuple[Region, ...] = ()
    writes: tuple[Region, ...] = ()

    def __str__(self) -> str:
        """``X[0:4] W[0:8] -> R[0:16]``; DRAM stands where nothing on the chip is named."""
        read, written = (" ".join(map(str, regions)) or "DRAM" for regions in self)
        return f"{read} -> {written}"


@dataclass(frozen=True)
class OpcodeSpec:
    """queue : that executes it, or None where dispatch itself does. fields : from the header upwards.

    accesses : (fields, config) -> the words on the chip that it reads and writes.
    counts : (fields, config) -> what it adds to the counters of ``spec.work``, by name.
    line : (fields, config, accesses) -> what a listing says of it.
    counted : names of the fields that ``counts`` looks at, so that equal ones are counted once.
    """

    queue: Queue | None
    fields: tuple[Field, ...]
    accesses: Callable[[Fields, AcceleratorConfig], Accesses]
    counts: Callable[[Fields, AcceleratorConfig], Counter[str]]
    line: Callable[[Fields, AcceleratorConfig, Accesses], str]
    counted: tuple[str, ...]


def memory_event(memory: Memory, access: str) -> str:
    """The counter of words read (``access`` is "reads") from or written ("writes") to a memory."""
    return f"{memory.name.lower()}_{access}"
