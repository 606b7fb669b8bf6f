"""Programs that are spoiled on purpose: instructions replaced in a program's list and in its memory image."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from vitreous.spec.isa import INSTRUCTION_BYTES, Instruction
from vitreous.spec.program import Program


def with_instructions(program: Program, changes: Mapping[int, Instruction | bytes]) -> Program:
    """``changes``: by program counter, an instruction, or 32 bytes that are none (the list keeps the old one then)."""
    code, image = list(program.instructions), program.image.copy()
    for pc, change in changes.items():
        if isinstance(change, Instruction):
            code[pc] = dataclasses.replace(change, label=code[pc].label)
            change = change.encode()
        start = program.program_offset + pc * INSTRUCTION_BYTES
        image[start : start + INSTRUCTION_BYTES] = np.frombuffer(change, np.uint8)
    return dataclasses.replace(program, instructions=tuple(code), image=image)


def first(program: Program, opcode: int, *, after: int = 0, **fields: int) -> int:
    """Program counter of the first instruction of ``opcode`` with these field values."""
    for pc, i in enumerate(program.instructions):
        if pc >= after and i.opcode == opcode and all(i[name] == value for name, value in fields.items()):
            return pc
    raise LookupError(f"no instruction {opcode} with {fields}")


def with_fields(i: Instruction, **fields: int) -> Instruction:
    return dataclasses.replace(i, fields={**i.fields, **fields})
