"""Recorded data about memory: where a program lies in DRAM, and what its compiler put where on the chip."""

from __future__ import annotations

from dataclasses import dataclass

from vitreous.reports.errors import ReportError
from vitreous.spec.isa import Memory
from vitreous.spec.opcodes.causes import Cause


@dataclass(frozen=True, kw_only=True)
class StoredRecord:
    """A tensor, or a part of one, that the program stores: ``bytes`` at ``offset`` of the write window."""

    tensor: str
    layer: str
    offset: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class BufferRecord:
    """``words`` of an on-chip memory from ``base`` on, taken from instruction ``first_pc`` to ``last_pc``."""

    name: str
    memory: str
    layer: str
    base: int
    words: int
    first_pc: int
    last_pc: int

    def __post_init__(self) -> None:
        if self.memory not in Memory.__members__:
            raise ReportError(
                f"Buffer {self.name}: memory must be one of {', '.join(Memory.__members__)}, not {self.memory!r}"
            )
        if not (self.base >= 0 and self.words >= 1 and 0 <= self.first_pc <= self.last_pc):
            raise ReportError(f"Buffer {self.name}: its words or instructions are not valid")


@dataclass(frozen=True, kw_only=True)
class TransferRecord:
    """The instruction ``pc`` moves a part of ``tensor`` between DRAM and the chip, because of ``cause``."""

    pc: int
    tensor: str
    cause: Cause


@dataclass(frozen=True, kw_only=True)
class MemoryRecord:
    """The program's two windows in DRAM, its buffers on the chip, and what it moves between them.

    read_bytes, write_bytes : of the windows; offsets count from the start of their window, wherever the host puts it.
    program_offset, input_offset, input_bytes : in the read window.
    transfers : of each load and store; empty for a program whose compiler did not note them.
    """

    read_bytes: int
    write_bytes: int
    program_offset: int
    input_offset: int
    input_bytes: int
    stored: tuple[StoredRecord, ...]
    buffers: tuple[BufferRecord, ...]
    transfers: tuple[TransferRecord, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.input_offset <= self.input_offset + self.input_bytes <= self.read_bytes:
            raise ReportError("The input image lies outside the read window")
        if not 0 <= self.program_offset < self.read_bytes:
            raise ReportError("The program lies outside the read window")
        for stored in self.stored:
            if not 0 <= stored.offset <= stored.offset + stored.bytes <= self.write_bytes:
                raise ReportError(f"{stored.tensor} is stored outside the write window")
