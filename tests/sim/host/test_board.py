"""The host of a board against a model of its loader."""

from __future__ import annotations

import struct

import pytest

from tests.support.sim.small import TINY, small_program
from vitreous.hw.board.loader import READ, WRITE
from vitreous.sim.cycles.limit import cycle_limit
from vitreous.sim.errors import SimulationError
from vitreous.sim.host.board import (
    HEADER_BYTES,
    REGISTERS,
    Board,
    checksum,
    memory_timing,
    padded,
    read_request,
    write_request,
)
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import ErrorCode, Register

CONFIG = AcceleratorConfig(name="here")


class Line:
    """Answers as the loader does, out of a dictionary of words; ``wrong`` is added to every sum."""

    def __init__(self, digest: int = CONFIG.digest32, wrong: int = 0) -> None:
        self.words = {REGISTERS | Register.MAGIC: isa.MAGIC_VALUE, REGISTERS | Register.CONFIG: digest}
        self.wrong, self.answers = wrong, b""

    def write(self, data: bytes) -> None:
        data = data.lstrip(b"\0")
        if not data:
            return
        kind, address, count = struct.unpack("<BII", data[:HEADER_BYTES])
        places = range(address, address + 4 * count, 4)
        if kind == WRITE:
            sent = struct.unpack(f"<{count}I", data[HEADER_BYTES:])
            self.words |= dict(zip(places, sent, strict=True))
            self.answers += bytes([(checksum(data[HEADER_BYTES:])[0] + self.wrong) & 255])
        else:
            assert kind == READ
            found = struct.pack(f"<{count}I", *(self.words.get(place, 0) for place in places))
            self.answers += found + bytes([(checksum(found)[0] + self.wrong) & 255])

    def read(self, size: int) -> bytes:
        answer, self.answers = self.answers[:size], self.answers[size:]
        return answer


def test_words_come_back() -> None:
    line = Line()
    board = Board(line, CONFIG)
    data = bytes(range(256)) * 100
    board.write(64, data)
    assert board.read(64, len(data) // 4) == data, "also in several requests"
    assert padded(b"12345") == b"12345\0\0\0"


def test_another_accelerator() -> None:
    with pytest.raises(
        SimulationError, match=r"The board has accelerator 00000007, not here with [0-9a-f]{8}"
    ):
        Board(Line(digest=7), CONFIG)


def test_a_line_that_loses_bytes() -> None:
    with pytest.raises(SimulationError, match="a byte was lost or changed"):
        Board(Line(wrong=1), CONFIG)
    line = Line()
    board = Board(line, CONFIG)
    line.write = lambda data: None  # type: ignore[method-assign]
    with pytest.raises(SimulationError, match="The board answered 0 of 9 bytes"):
        board.read(0, 2)


def test_whole_words() -> None:
    with pytest.raises(SimulationError, match="A request must be of whole words, not of 3 bytes at 0"):
        write_request(0, b"123")
    assert read_request(8, 2) == b"R" + struct.pack("<II", 8, 2)


def test_a_run_has_a_limit_from_the_cycle_model() -> None:
    program, image = small_program(TINY, "one token, one head, pooled")
    line = Line(digest=TINY.digest32)
    board = Board(line, TINY)
    board.load(program)
    limit = cycle_limit(program, TINY, memory_timing(TINY))
    assert line.words[REGISTERS | Register.CYCLE_LIMIT] == limit > 10_000
    line.words[REGISTERS | Register.STATUS] = isa.error_status(ErrorCode.CYCLE_LIMIT, 7)
    sentence = f"error CYCLE_LIMIT at instruction 7: it was not done after {limit} cycles, the limit that the host set"
    with pytest.raises(SimulationError, match=sentence):
        board.run(program, image)
    line.words[REGISTERS | Register.STATUS] = isa.error_status(ErrorCode.BUS_SILENT)
    with pytest.raises(SimulationError, match="the memory did not answer, reset it too"):
        board.run(program, image)
