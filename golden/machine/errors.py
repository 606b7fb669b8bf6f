"""What stops the machine."""

from __future__ import annotations

from vitreous.golden.errors import GoldenError
from vitreous.spec.isa import ErrorCode


class MachineError(GoldenError):
    """The machine stopped as the hardware would: ``code`` and program counter ``pc`` are what STATUS shows."""

    def __init__(self, code: ErrorCode, pc: int, detail: str) -> None:
        super().__init__(f"Instruction {pc}: {code.name}: {detail}")
        self.code = code
        self.pc = pc
