"""The host of an accelerator on a board: programs, images and results over a serial line (``hw.board.loader``).

import serial                                        # pyserial, or anything that writes and reads bytes
board = Board(serial.Serial("/dev/ttyUSB0", 1_000_000, timeout=2), config)
board.load(program)
window = board.run(program, image)                   # as sim.runtime's: program.placements say what lies where
"""

from __future__ import annotations

import struct
import time
from typing import Protocol

import numpy as np

from vitreous.hw.board.host_bus import REGISTERS_BIT, WORD_BYTES
from vitreous.hw.board.loader import READ, WRITE
from vitreous.sim.cycles.limit import cycle_limit, explanation
from vitreous.sim.dram import MemoryTiming
from vitreous.sim.errors import SimulationError
from vitreous.spec import isa, layout
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Register
from vitreous.spec.program import Program

REGISTERS = 1 << REGISTERS_BIT
"""Where the accelerator's registers begin; the memory begins at 0."""
HEADER_BYTES = 1 + 2 * WORD_BYTES
_LONGEST = 1 << 12
"""Words of one read request: an answer that is lost costs little."""


class Line(Protocol):
    """A serial line."""

    def write(self, data: bytes, /) -> object:
        """Send all of it."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, fewer when no more come."""


def checksum(data: bytes) -> bytes:
    """What the loader answers after the words of a request."""
    return bytes([sum(data) & 0xFF])


def write_request(address: int, data: bytes) -> bytes:
    """Bytes that write ``data``, whole words, from ``address`` on."""
    if address % WORD_BYTES or len(data) % WORD_BYTES:
        raise SimulationError(f"A request must be of whole words, not of {len(data)} bytes at {address}")
    return struct.pack("<BII", WRITE, address, len(data) // WORD_BYTES) + data


def read_request(address: int, words: int) -> bytes:
    """Bytes that read ``words`` words from ``address`` on."""
    return struct.pack("<BII", READ, address, words)


def window_base(program: Program) -> int:
    """Where the write window begins: after the read window, which begins at 0."""
    return layout.align(program.read_size, layout.DRAM_ALIGN)


def memory_bytes(program: Program) -> int:
    """The memory that a program needs, both windows together."""
    return window_base(program) + program.write_size


def memory_timing(config: AcceleratorConfig) -> MemoryTiming:
    """At most what the memory on the chip needs, for the cycle model: it serves one burst at a time, at most 6 cycles
    beside its beats, and the loader is in its way only while it sends."""
    return MemoryTiming(throughput=100 * config.bus.burst_beats // (config.bus.burst_beats + 6))


def registers_of(program: Program, limit: int) -> dict[Register, int]:
    """What the registers must hold before a start; ``limit``: the cycles that a run may take."""
    return {
        Register.READ_BASE: 0,
        Register.READ_SIZE: program.read_size,
        Register.WRITE_BASE: window_base(program),
        Register.WRITE_SIZE: program.write_size,
        Register.PROGRAM_OFFSET: program.program_offset,
        Register.PROGRAM_LENGTH: len(program.instructions),
        Register.INTERRUPT_ENABLE: 1,
        Register.CYCLE_LIMIT: limit,
    }


def padded(data: bytes) -> bytes:
    """``data`` with zeros up to whole words."""
    return data + bytes(-len(data) % WORD_BYTES)


class Board:
    """An accelerator of ``config`` behind a serial line.

    Raises SimulationError when nothing or something else answers, a sum is wrong, or the machine stops with an error.
    """

    def __init__(self, line: Line, config: AcceleratorConfig) -> None:
        self._line, self._config, self._limit = line, config, 0
        line.write(bytes(HEADER_BYTES))  # no request; they end a header that was left half
        magic, digest = struct.unpack("<II", self.read(REGISTERS | Register.MAGIC, 2))
        if (magic, digest) != (isa.MAGIC_VALUE, config.digest32):
            raise SimulationError(
                f"The board has accelerator {digest:08x}, not {config.name} with {config.digest32:08x}"
            )

    def write(self, address: int, data: bytes) -> None:
        """``data``, whole words, from ``address`` on."""
        self._line.write(write_request(address, data))
        self._take(0, checksum(data))

    def read(self, address: int, words: int) -> bytes:
        """``words`` words from ``address`` on."""
        found = b""
        while words:
            count = min(words, _LONGEST)
            self._line.write(read_request(address + len(found), count))
            found += self._take(count * WORD_BYTES)
            words -= count
        return found

    def _take(self, size: int, expected: bytes | None = None) -> bytes:
        answer = self._line.read(size + 1)
        if len(answer) != size + 1:
            raise SimulationError(f"The board answered {len(answer)} of {size + 1} bytes")
        if answer[size:] != (checksum(answer[:size]) if expected is None else expected):
            raise SimulationError(
                "The checksum of an answer is wrong: a byte was lost or changed on the line"
            )
        return answer[:size]

    def load(self, program: Program) -> None:
        """Program, weights and windows; an image comes with ``run``."""
        self.write(0, padded(program.image.tobytes()))
        self._limit = cycle_limit(program, self._config, memory_timing(self._config))
        for register, value in registers_of(program, self._limit).items():
            self.write(REGISTERS | register, struct.pack("<I", value))

    def run(self, program: Program, image: np.ndarray, *, timeout: float = 60) -> np.ndarray:
        """uint8, the write window after an int8 [C, H, W] image; ``load`` comes before."""
        first, packed = program.input_offset, layout.pack_image(image)
        self.write(first, padded(np.frombuffer(packed, np.uint8).tobytes()))
        self.write(REGISTERS | Register.CONTROL, struct.pack("<I", isa.CONTROL_START))
        ends = time.monotonic() + timeout
        while True:
            (status,) = struct.unpack("<I", self.read(REGISTERS | Register.STATUS, 1))
            if status & isa.STATUS_ERROR:
                code, pc = isa.status_error(status)
                raise SimulationError(
                    f"The machine stopped with error {isa.ErrorCode(code).name} at instruction {pc}"
                    f"{explanation(isa.ErrorCode(code), self._limit)}"
                )
            if status & isa.STATUS_DONE:
                break
            if time.monotonic() > ends:
                raise SimulationError(f"The machine is not done after {timeout:g} seconds")
        words = -(-program.write_size // WORD_BYTES)
        return np.frombuffer(self.read(window_base(program), words), np.uint8)[: program.write_size]
