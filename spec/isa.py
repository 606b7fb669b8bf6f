"""The instruction set: 256-bit instructions, queues, tokens, register map, counters and error codes.
docs/machine.md gives the semantics.

Hardware and software both derive their layouts from the field tables of this file; nothing else states a width
or an offset.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar

INSTRUCTION_BYTES = 32
ADDRESS_BITS = 16
TOKEN_BITS = 16
PC_BITS = 16


class ProgramError(ValueError):
    """An instruction or a program that the machine would refuse."""


class Queue(IntEnum):
    """The four in-order queues; also the bit number in ``wait`` and ``signal`` masks."""

    LOAD = 0
    MATRIX = 1
    VECTOR = 2
    STORE = 3


class Opcode(IntEnum):
    """What an instruction does; docs/machine.md has the semantics."""

    END = 0
    LOAD = 1
    LOAD_PATCHES = 2
    FILL = 3
    MATMUL = 4
    NORM = 5
    POOL = 6
    STORE = 7


class Memory(IntEnum):
    """On-chip memories that an instruction can name. P only in LOAD; S only as a MATMUL destination."""

    X = 0
    W = 1
    R = 2
    P = 3
    S = 4


class Operands(IntEnum):
    """Where a MATMUL reads its A and B panels."""

    XW = 0
    WX = 1
    SW = 2


class Scale(IntEnum):
    """Which requantization parameters a MATMUL's readout uses."""

    COLUMN = 0
    """P[p_base + column]: one set for each output column."""
    TENSOR = 1
    """P[p_base]: one set for all."""
    LANE = 2
    """P[p_base + row_tile * lanes + lane]: one set for each lane of A."""
    SOFTMAX = 3
    """Bias 0 and the multiplier and shift of each lane's softmax row in the slot."""


class Activation(IntEnum):
    """The nonlinear function of a MATMUL's readout."""

    NONE = 0
    SMOOTH = 1
    """The accelerator's smooth function, ``activation.function``: GELU or SiLU."""
    RELU = 2


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


@dataclass(frozen=True)
class Field:
    """A field of an instruction or of a parameter word: its name, width in bits and signedness."""

    name: str
    width: int
    signed: bool = False


_HEADER = (Field("opcode", 4), Field("wait", 4), Field("signal", 4), Field("reserved", 4))

_TRANSFER = (
    Field("memory", 3),
    Field("base", 16),
    Field("words", 16),
    Field("rows", 16),
    Field("stride", 16),
    Field("dram_offset", 32),
    Field("dram_stride", 32),
)
"""Rows of words between DRAM and an on-chip memory; LOAD and STORE differ in direction only."""

FIELDS: dict[Opcode, tuple[Field, ...]] = {
    Opcode.END: (),
    Opcode.LOAD: _TRANSFER,
    Opcode.LOAD_PATCHES: (
        Field("base", 16),
        Field("stride", 16),
        Field("first_token", 16),
        Field("patch", 8),
        Field("grid_columns", 16),
        Field("grid_rows", 16),
        Field("channels", 8),
        Field("dram_offset", 32),
        Field("row_stride", 16),
        Field("channel_stride", 32),
    ),
    Opcode.FILL: (Field("memory", 3), Field("base", 16), Field("words", 16)),
    Opcode.MATMUL: (
        Field("operands", 2),
        Field("destination", 3),
        Field("scale", 2),
        Field("activation", 2),
        Field("residual", 1),
        Field("slot", 1),
        Field("a_base", 16),
        Field("a_stride", 16),
        Field("b_base", 16),
        Field("b_stride", 16),
        Field("k_words", 16),
        Field("row_tiles", 12),
        Field("columns", 16),
        Field("o_base", 16),
        Field("o_stride", 16),
        Field("p_base", 16),
        Field("zero_point", 8, signed=True),
        Field("multiplier", 15),
        Field("shift", 6),
        Field("wide", 1),
    ),
    Opcode.NORM: (
        Field("r_base", 16),
        Field("r_stride", 16),
        Field("channels", 16),
        Field("row_tiles", 12),
        Field("x_base", 16),
        Field("x_stride", 16),
        Field("epsilon", 32),
        Field("multiplier", 15),
        Field("shift", 6),
        Field("zero_point", 8, signed=True),
        Field("centred", 1),
    ),
    Opcode.POOL: (
        Field("r_base", 16),
        Field("r_stride", 16),
        Field("channels", 16),
        Field("row_tiles", 12),
        Field("tokens", 16),
        Field("o_base", 16),
        Field("multiplier", 15),
        Field("shift", 6),
    ),
    Opcode.STORE: _TRANSFER,
}

QUEUE_OF: dict[Opcode, Queue] = {
    Opcode.LOAD: Queue.LOAD,
    Opcode.LOAD_PATCHES: Queue.LOAD,
    Opcode.FILL: Queue.LOAD,
    Opcode.MATMUL: Queue.MATRIX,
    Opcode.NORM: Queue.VECTOR,
    Opcode.POOL: Queue.VECTOR,
    Opcode.STORE: Queue.STORE,
}


def layout(opcode: Opcode) -> tuple[Field, ...]:
    """All fields of an instruction from bit 0 upwards, header included; the rest up to bit 255 is zero."""
    return _HEADER + FIELDS[opcode]


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


PARAMETER_BYTES = 8
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
    """Bit 0 busy, bit 1 done, bit 2 error, bits 8-15 error code, bits 16-31 program counter of the error."""
    READ_BASE = 0x10
    READ_SIZE = 0x14
    WRITE_BASE = 0x18
    WRITE_SIZE = 0x1C
    PROGRAM_OFFSET = 0x20
    """Byte offset of the program in the read window, a multiple of 64."""
    PROGRAM_LENGTH = 0x24
    """Number of instructions, END included."""
    INTERRUPT_ENABLE = 0x28
    COUNTERS = 0x100
    """Counter ``i`` of ``COUNTERS``: low word at 0x100 + 8 i, high word (16 bits) 4 bytes later. Cleared by
    start.
    """


MAGIC_VALUE = 0x56545231
COUNTER_BITS = 48

CONTROL_START = 1
CONTROL_RESET = 2
CONTROL_CLEAR_INTERRUPT = 4
STATUS_BUSY = 1
STATUS_DONE = 2
STATUS_ERROR = 4

# Of array_busy and the matrix_* counters at most one counts in a cycle; where an instruction waits for several
# queues, the lowest does.
COUNTERS: tuple[tuple[str, str], ...] = (
    ("cycles", "clock cycles from start to done"),
    ("array_busy", "cycles in which the array took a word of A and a word of B"),
    ("matrix_wait_load", "array idle: the next matrix instruction waits for a token of the load queue"),
    ("matrix_wait_matrix", "array idle: the next matrix instruction waits for an earlier matrix instruction"),
    ("matrix_wait_vector", "array idle: the next matrix instruction waits for a token of the vector queue"),
    ("matrix_wait_store", "array idle: the next matrix instruction waits for a token of the store queue"),
    (
        "matrix_stall_readout",
        "an instruction is active but the accumulators of the previous tile are still being read out",
    ),
    ("matrix_stall_parameters", "an instruction is active but lane parameters are still being read"),
    ("matrix_empty", "no matrix instruction is queued or active"),
    ("load_busy", "cycles in which a load instruction is active"),
    ("load_wait_token", "load queue: head waits for a token"),
    ("vector_busy", "cycles in which a NORM or POOL is active"),
    ("vector_wait_token", "vector queue: head waits for a token"),
    ("store_busy", "cycles in which a store is active"),
    ("store_wait_token", "store queue: head waits for a token"),
    ("instructions", "instructions dispatched, END included"),
    ("load_beats", "AXI read beats of the load queue"),
    ("fetch_beats", "AXI read beats of instruction fetch"),
    ("store_beats", "AXI write beats"),
    ("x_reads", "words read from X"),
    ("x_writes", "words written to X"),
    ("w_reads", "words read from W"),
    ("w_writes", "words written to W"),
    ("r_reads", "words read from R"),
    ("r_writes", "words written to R"),
    ("s_reads", "words read from S"),
    ("s_writes", "words written to S"),
    ("p_reads", "words read from P"),
    (
        "readout_columns",
        "columns read out through the epilogue, first passes of two-pass operands not counted",
    ),
    ("activation_columns", "columns that passed through GELU or SiLU"),
    ("score_columns", "columns that passed through the softmax statistics"),
    ("norm_columns", "columns normalized by the vector unit"),
)
