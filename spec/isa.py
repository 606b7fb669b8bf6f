"""The instruction set: 256-bit instructions, queues, tokens, register map, counters and error codes.
docs/machine.md gives the semantics.

Hardware and software both derive their layouts from the field tables of ``spec.opcodes`` and of this file; nothing
else states a width or an offset.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar

from vitreous.spec.counters import COUNTER_BITS, HardwareCounter
from vitreous.spec.errors import VitreousError
from vitreous.spec.opcodes.kinds import (
    PARAMETER_BYTES,
    Activation,
    Field,
    Memory,
    Opcode,
    Operands,
    Queue,
    Scale,
)
from vitreous.spec.opcodes.table import OPCODES

__all__ = [
    "ADDRESS_BITS",
    "CONTROL_CLEAR_INTERRUPT",
    "CONTROL_RESET",
    "CONTROL_START",
    "COUNTERS",
    "COUNTER_BITS",
    "FIELDS",
    "INSTRUCTION_BYTES",
    "MAGIC_VALUE",
    "OPCODES",
    "PARAMETER_BYTES",
    "PARAMETER_FIELDS",
    "PC_BITS",
    "QUEUE_OF",
    "STATUS_BUSY",
    "STATUS_CODE_BITS",
    "STATUS_DONE",
    "STATUS_ERROR",
    "TOKEN_BITS",
    "Activation",
    "ErrorCode",
    "Field",
    "HardwareCounter",
    "Instruction",
    "Memory",
    "Opcode",
    "Operands",
    "ProgramError",
    "Queue",
    "Register",
    "Scale",
    "check_queue",
    "decode",
    "error_status",
    "field_maximum",
    "layout",
    "make",
    "status_error",
]

INSTRUCTION_BYTES = 32
ADDRESS_BITS = 16
TOKEN_BITS = 16
PC_BITS = 24


class ProgramError(VitreousError, ValueError):
    """An instruction or a program that the machine would refuse."""


class ErrorCode(IntEnum):
    """STATUS.code. The machine stops on the first one."""

    NONE = 0
    UNKNOWN_OPCODE = 1
    ILLEGAL_FIELD = 2
    ADDRESS = 3
    """An on-chip address beyond the end of its memory."""
    WINDOW = 4
    """A DRAM access outside the window that the host set."""
    ALIGNMENT = 5
    """A DRAM offset or stride that is not a multiple of the bus width."""
    BUS_READ = 6
    BUS_WRITE = 7
    DEADLOCK = 8
    NO_END = 9
    TOKEN_OVERFLOW = 10
    CYCLE_LIMIT = 11
    """The run took more cycles than the host allowed (register CYCLE_LIMIT)."""
    BUS_SILENT = 12
    """The program ended, but the bus owes answers and has been silent for ``spec.limits.SILENT_CYCLES`` cycles."""
    PARITY = 13
    """A bit of the machine's own state changed by itself (``[protect] parity``)."""


_HEADER = (Field("opcode", 4), Field("wait", 4), Field("signal", 4), Field("reserved", 4))

FIELDS: Mapping[Opcode, tuple[Field, ...]] = {opcode: spec.fields for opcode, spec in OPCODES.items()}
QUEUE_OF: Mapping[Opcode, Queue] = {
    opcode: spec.queue for opcode, spec in OPCODES.items() if spec.queue is not None
}


def check_queue(queue: Queue, *known: Opcode) -> None:
    """A unit states what it can execute, so that it never takes a new opcode of its queue for one of those.

    Raises ProgramError where ``known`` are not the opcodes of ``queue``.
    """
    opcodes = {opcode for opcode, its in QUEUE_OF.items() if its is queue}
    if opcodes != set(known):
        wrong = ", ".join(opcode.name for opcode in sorted(opcodes ^ set(known)))
        raise ProgramError(
            f"Queue {queue.name}: {wrong} is in the table of opcodes or in its unit, not in both"
        )


def layout(opcode: Opcode) -> tuple[Field, ...]:
    """All fields of an instruction from bit 0 upwards, header included; the rest up to bit 255 is zero."""
    return _HEADER + FIELDS[opcode]


def field_maximum(opcode: Opcode, name: str) -> int:
    """The largest value that field ``name`` of an instruction holds."""
    (found,) = (f for f in layout(opcode) if f.name == name)
    return (1 << (found.width - found.signed)) - 1


for _opcode in Opcode:
    assert sum(f.width for f in layout(_opcode)) <= 8 * INSTRUCTION_BYTES, _opcode


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction: its opcode, token masks and named fields.

    wait, signal : masks over ``Queue``: tokens to take from those queues before issue, to give to them on
    completion.
    label : where it comes from in the model (not encoded).
    Raises ProgramError on an unknown, missing or too wide field.
    """

    opcode: Opcode
    wait: int = 0
    signal: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    label: str = ""

    END: ClassVar[Opcode] = Opcode.END

    def __post_init__(self) -> None:
        expected = {f.name for f in FIELDS[self.opcode]}
        if expected != set(self.fields):
            wrong = sorted(expected ^ set(self.fields))
            raise ProgramError(f"{self.opcode.name} has missing or unknown fields: {', '.join(wrong)}")
        values = {
            "opcode": int(self.opcode),
            "wait": self.wait,
            "signal": self.signal,
            "reserved": 0,
            **self.fields,
        }
        for f in layout(self.opcode):
            low, high = (-(1 << f.width - 1), (1 << f.width - 1) - 1) if f.signed else (0, (1 << f.width) - 1)
            if not low <= values[f.name] <= high:
                raise ProgramError(
                    f"{self.opcode.name}.{f.name} must be in {low}..{high}, not {values[f.name]}"
                )

    def __getitem__(self, name: str) -> int:
        return self.fields[name]

    @property
    def queue(self) -> Queue | None:
        """The queue that executes it; None for END, which dispatch itself executes."""
        return QUEUE_OF.get(self.opcode)

    def with_tokens(self, *, wait: int, signal: int) -> Instruction:
        return dataclasses.replace(self, wait=wait, signal=signal)

    def encode(self) -> bytes:
        """32 bytes, little endian."""
        values: dict[str, int] = {
            "opcode": int(self.opcode),
            "wait": self.wait,
            "signal": self.signal,
            "reserved": 0,
            **self.fields,
        }
        word, offset = 0, 0
        for f in layout(self.opcode):
            word |= (values[f.name] & ((1 << f.width) - 1)) << offset
            offset += f.width
        return word.to_bytes(INSTRUCTION_BYTES, "little")


def make(opcode: Opcode, *, label: str = "", **fields: int) -> Instruction:
    """An instruction without tokens from its fields given by name."""
    return Instruction(
        opcode=opcode, fields={name: int(value) for name, value in fields.items()}, label=label
    )


def decode(data: bytes, *, label: str = "") -> Instruction:
    """The inverse of ``Instruction.encode``. Raises ProgramError on a wrong length, an unknown opcode or bits
    beyond the fields.
    """
    if len(data) != INSTRUCTION_BYTES:
        raise ProgramError(f"An instruction has {INSTRUCTION_BYTES} bytes, not {len(data)}")
    word = int.from_bytes(data, "little")
    try:
        opcode = Opcode(word & 0xF)
    except ValueError:
        raise ProgramError(f"Unknown opcode {word & 0xF}") from None
    values: dict[str, Any] = {}
    for f in layout(opcode):
        value = word & ((1 << f.width) - 1)
        if f.signed and value >> (f.width - 1):
            value -= 1 << f.width
        values[f.name] = value
        word >>= f.width
    if word or values.pop("reserved"):
        raise ProgramError(f"{opcode.name} has bits set beyond its fields")
    values.pop("opcode")
    return Instruction(
        opcode=opcode, wait=values.pop("wait"), signal=values.pop("signal"), fields=values, label=label
    )


PARAMETER_FIELDS = (Field("bias", 32, signed=True), Field("multiplier", 15), Field("shift", 6))
"""A word of P, from bit 0 upwards; bits 53 to 63 are zero."""


class Register(IntEnum):
    """AXI4-Lite byte offsets of 32-bit registers."""

    MAGIC = 0x00
    """Reads MAGIC_VALUE."""
    CONFIG = 0x04
    """Reads ``AcceleratorConfig.digest32``."""
    CONTROL = 0x08
    """Write: bit 0 start, bit 1 reset the machine (after an error), bit 2 clear the interrupt."""
    STATUS = 0x0C
    """Bit 0 busy, bit 1 done, bit 2 error, bits 3-7 error code, bits 8-31 program counter of the error."""
    READ_BASE = 0x10
    READ_SIZE = 0x14
    WRITE_BASE = 0x18
    WRITE_SIZE = 0x1C
    PROGRAM_OFFSET = 0x20
    """Byte offset of the program in the read window, a multiple of 64."""
    PROGRAM_LENGTH = 0x24
    """Number of instructions, END included."""
    INTERRUPT_ENABLE = 0x28
    CYCLE_LIMIT = 0x2C
    """The most cycles that a run may take; 0: no limit."""
    COUNTERS = 0x100
    """Counter ``i`` of ``COUNTERS``: low word at 0x100 + 8 i, high word (16 bits) 4 bytes later. Cleared by
    start.
    """


MAGIC_VALUE = 0x56545231

CONTROL_START = 1
CONTROL_RESET = 2
CONTROL_CLEAR_INTERRUPT = 4
STATUS_BUSY = 1
STATUS_DONE = 2
STATUS_ERROR = 4
STATUS_CODE_BITS = 5
_STATUS_CODE, _STATUS_PC = 3, 8


def error_status(code: int, pc: int = 0) -> int:
    """STATUS of a machine that stopped: the inverse of ``status_error``."""
    return STATUS_ERROR | code << _STATUS_CODE | pc << _STATUS_PC


def status_error(status: int) -> tuple[int, int]:
    """The error code and the program counter of a STATUS with ``STATUS_ERROR``."""
    return status >> _STATUS_CODE & ((1 << STATUS_CODE_BITS) - 1), status >> _STATUS_PC


COUNTERS: tuple[tuple[str, str], ...] = tuple(
    (str(counter), counter.description) for counter in HardwareCounter
)
"""Name and description of each counter, in the order of their registers."""
