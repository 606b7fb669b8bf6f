"""The whole machine: instruction fetch from the memory image, execution, tensors read back from the write window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from vitreous.golden.errors import GoldenError
from vitreous.golden.machine import dma, matmul
from vitreous.golden.machine import vector_unit as row
from vitreous.golden.machine.errors import MachineError
from vitreous.golden.machine.faults import Windows, first_fault
from vitreous.golden.machine.memories import Dram, Memories
from vitreous.golden.machine.queues import Finish, Sequencer, Tokens
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import (
    INSTRUCTION_BYTES,
    ErrorCode,
    Instruction,
    Opcode,
    ProgramError,
    Queue,
    decode,
    layout,
    make,
)
from vitreous.spec.program import Program


@dataclass(frozen=True, kw_only=True)
class Result:
    """window : uint8, the write window after the run. tensors : by name, [rows, columns], assembled from their parts.

    output : the tensor that the program names as its result.
    leftover_tokens : by (source, target) queue, those above 0.
    """

    window: NDArray[np.uint8]
    tensors: dict[str, NDArray[np.generic]]
    output: NDArray[np.generic]
    leftover_tokens: dict[tuple[Queue, Queue], int]


class Machine:
    """One accelerator of this configuration. Its memories and tokens keep their contents from one run to the next.

    Members: ``memories`` and, as the arrays themselves, ``x``, ``w``, ``r``, ``p``, ``s``, ``slots``, ``blocks`` (see
    Memories).
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.memories = Memories(config)
        self.x, self.w, self.r = self.memories.x, self.memories.w, self.memories.r
        self.p, self.s, self.slots = self.memories.p, self.memories.s, self.memories.slots
        self.blocks = self.memories.blocks
        self.tokens = Tokens()

    def reset(self) -> None:
        """What CONTROL.reset does: no tokens; memories keep their contents."""
        self.tokens = Tokens()

    def run(
        self, program: Program, image: NDArray[np.int8], *, order: str = "program", seed: int = 0
    ) -> Result:
        """Execute ``program`` on an int8 image [C, H, W]; ``order`` is one of ORDERS.

        Raises GoldenError when the program was compiled for another accelerator, ProgramError on a wrong image and on
        placements that contradict each other, and MachineError where the machine would stop.
        """
        if program.config_digest != self.config.digest:
            raise GoldenError(
                f"The program was compiled for accelerator {program.config_digest}, this one is {self.config.digest}"
            )
        memory = program.with_input(image)
        code = self._fetch(memory, program.program_offset, len(program.instructions))
        window = self._sequence(code, memory, program.write_size, order=order, seed=seed)
        tensors = program.tensors(window, self.config.array.lanes, self.config.array.depth)
        leftover = {pair: count for pair, count in self.tokens.counts.items() if count}
        return Result(
            window=window, tensors=tensors, output=tensors[program.output_tensor], leftover_tokens=leftover
        )

    def execute(
        self,
        instructions: Sequence[Instruction],
        read_image: NDArray[np.uint8] | None = None,
        write_size: int = 0,
        *,
        order: str = "program",
        seed: int = 0,
    ) -> NDArray[np.uint8]:
        """Execute instructions with ``read_image`` as read window -> the write window. END may be left out."""
        code: list[Instruction | None] = list(instructions)
        if not code or code[-1] is None or code[-1].opcode is not Opcode.END:
            code.append(make(Opcode.END))
        memory = np.zeros(0, np.uint8) if read_image is None else read_image
        return self._sequence(code, memory, write_size, order=order, seed=seed)

    def execute_encoded(
        self,
        read_image: NDArray[np.uint8],
        offset: int,
        length: int,
        write_size: int = 0,
        *,
        order: str = "program",
    ) -> NDArray[np.uint8]:
        """Execute ``length`` encoded instructions at byte ``offset`` of the read window -> the write window."""
        return self._sequence(
            self._fetch(read_image, offset, length), read_image, write_size, order=order, seed=0
        )

    def _fetch(self, memory: NDArray[np.uint8], offset: int, length: int) -> list[Instruction | None]:
        """Decoded instructions; None for an unknown opcode. Bits beyond the fields are ignored, as in the hardware."""
        code: list[Instruction | None] = []
        for pc in range(length):
            start = offset + pc * INSTRUCTION_BYTES
            if start + INSTRUCTION_BYTES > memory.size:
                raise MachineError(
                    ErrorCode.WINDOW, pc, f"fetch of byte {start} of a window of {memory.size}"
                )
            code.append(decode_word(memory[start : start + INSTRUCTION_BYTES].tobytes()))
        return code

    def _sequence(
        self,
        code: list[Instruction | None],
        memory: NDArray[np.uint8],
        write_size: int,
        *,
        order: str,
        seed: int,
    ) -> NDArray[np.uint8]:
        dram = Dram(memory, write_size, self.config.bus.beat_bytes)
        depth = self.config.queue.depth
        sequencer = Sequencer(
            code, lambda i, pc: self.start(i, pc, dram), self.tokens, depth=depth, order=order, seed=seed
        )
        try:
            sequencer.run()
        except MachineError:
            self.reset()
            raise
        return dram.write

    def start(self, i: Instruction, pc: int, dram: Dram) -> Finish:
        """Read what one instruction reads; the returned call writes what it writes.

        Raises MachineError where the machine stops at it, and GoldenError where its result is not defined.
        """
        fault = first_fault(i, pc, self.config, Windows(dram.read.size, dram.write.size))
        if fault is not None:
            raise fault
        memories = self.memories
        with _naming(i, pc):
            match i.opcode:
                case Opcode.MATMUL:
                    finish = matmul.start(i, memories, pc)
                case Opcode.NORM:
                    finish = row.start_norm(i, memories, pc)
                case Opcode.POOL:
                    finish = row.start_pool(i, memories, pc)
                case Opcode.LOAD:
                    finish = dma.start_load(i, memories, dram, pc)
                case Opcode.LOAD_PATCHES:
                    finish = dma.start_load_patches(i, memories, dram, pc)
                case Opcode.FILL:
                    finish = dma.start_fill(i, memories, pc)
                case Opcode.STORE:
                    finish = dma.start_store(i, memories, dram, pc)
                case Opcode.END:
                    raise GoldenError("no unit executes it")
                case _:
                    assert_never(i.opcode)
        return _naming(i, pc)(finish)


@contextmanager
def _naming(i: Instruction, pc: int) -> Iterator[None]:
    """Puts the instruction into the sentence of a GoldenError that comes from an operation."""
    try:
        yield
    except MachineError:
        raise
    except GoldenError as error:
        raise GoldenError(f"Instruction {pc} ({i.opcode.name} {i.label}): {error}") from None


def decode_word(data: bytes) -> Instruction | None:
    """What the machine makes of the 32 bytes of an instruction: bits beyond the fields are ignored; None where the
    opcode does not exist."""
    word = int.from_bytes(data, "little")
    try:
        fields = layout(Opcode(word & 0xF))
    except ValueError:
        return None
    kept, offset = 0, 0
    for f in fields:
        if f.name != "reserved":
            kept |= word & ((1 << f.width) - 1) << offset
        offset += f.width
    try:
        return decode(kept.to_bytes(INSTRUCTION_BYTES, "little"))
    except ProgramError as error:  # every bit pattern of the fields is a value, so this is a fault of ours
        raise GoldenError(f"Cannot decode an instruction: {error}") from None
