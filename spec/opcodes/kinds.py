"""What instructions are written in: queues, opcodes, memories and the other kinds that a field can name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


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
    """On-chip memories that an instruction can name. As ``memory`` P only in LOAD; S only as a MATMUL destination."""

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


@dataclass(frozen=True)
class Field:
    """A field of an instruction or of a parameter word: its name, width in bits and signedness."""

    name: str
    width: int
    signed: bool = False


PARAMETER_BYTES = 8
"""Of a word of P: bias, multiplier and shift of an output channel (``isa.PARAMETER_FIELDS``), or the shifts of channels
of a norm (``layout.pack_shifts``)."""
