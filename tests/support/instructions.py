"""Instructions of which a test says only what matters to it."""

from __future__ import annotations

from vitreous.spec.isa import FIELDS, Instruction, Memory, Opcode, make


def zeros(opcode: Opcode, *, label: str = "", **fields: int) -> Instruction:
    """Every field that is not in ``fields`` is 0."""
    values = dict.fromkeys((field.name for field in FIELDS[opcode]), 0)
    return make(opcode, label=label, **{**values, **fields})


def transfer(opcode: Opcode = Opcode.LOAD, **fields: int) -> Instruction:
    """A LOAD or STORE of one word of W at address 0, but for ``fields``."""
    return zeros(opcode, **{"memory": Memory.W, "words": 1, "rows": 1, **fields})
