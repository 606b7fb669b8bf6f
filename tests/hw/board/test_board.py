"""A whole board in simulation: a program comes over the serial line, runs, and its results go back over it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from amaranth.back import verilog
from cocotb_tools.check_results import get_results

from tests.support.sim.small import TINY, golden_window, small_program
from vitreous.hw.board.board import Board
from vitreous.sim.cycles.limit import cycle_limit
from vitreous.sim.host import board as host
from vitreous.sim.run.build import build_bench
from vitreous.sim.run.cocotb_bench import run_bench
from vitreous.spec import isa, layout
from vitreous.spec.isa import Register

FOLDER = Path(__file__).parent
MEMORY_KIB, DIVISOR = 32, 4


@pytest.mark.slow
def test_a_program_over_the_serial_line(tmp_path: Path) -> None:
    program, image = small_program(TINY, "one token, one head, pooled", observe=False)
    assert host.memory_bytes(program) <= MEMORY_KIB * 1024
    words = layout.ceil_div(program.write_size, host.WORD_BYTES)
    limit = cycle_limit(program, TINY, host.memory_timing(TINY))
    writes = [
        (0, host.padded(program.with_input(image).tobytes())),
        *(
            (host.REGISTERS | register, struct.pack("<I", value))
            for register, value in host.registers_of(program, limit).items()
        ),
        (host.REGISTERS | Register.CONTROL, struct.pack("<I", isa.CONTROL_START)),
    ]
    (tmp_path / "before.bin").write_bytes(b"".join(host.write_request(*write) for write in writes))
    reads = [
        (host.REGISTERS | Register.MAGIC, 2),
        (host.REGISTERS | Register.STATUS, 1),
        (host.window_base(program), words),
    ]
    # A host sends a request after the answer to the one before; zeros are ignored and take as long.
    (tmp_path / "after.bin").write_bytes(b"".join(host.read_request(*read) + bytes(16) for read in reads))
    sizes = [*([1] * len(writes)), *(host.WORD_BYTES * count + 1 for _, count in reads)]
    text = verilog.convert(Board(TINY, memory_kib=MEMORY_KIB, divisor=DIVISOR), name="board", emit_src=False)
    made = build_bench("board", text, FOLDER / "bench.sv", top="board_bench", ports=["finished"])
    run_bench(
        made.folder,
        tmp_path,
        top="board_bench",
        session="tests.support.hw.board_session",
        arguments=(f"folder={tmp_path}", f"expected={sum(sizes)}"),
        simulator=made.simulator,
    )
    assert not get_results(tmp_path / "results.xml")[1]
    answers = (tmp_path / "answers.bin").read_bytes()
    assert len(answers) == sum(sizes)
    parts, start = [], 0
    for size in sizes:
        parts.append(answers[start : start + size])
        start += size
    assert parts[: len(writes)] == [host.checksum(data) for _, data in writes]
    identity, status, window = parts[-3:]
    assert struct.unpack("<II", identity[:-1]) == (isa.MAGIC_VALUE, TINY.digest32)
    assert struct.unpack("<I", status[:-1]) == (isa.STATUS_DONE,)
    assert window[-1:] == host.checksum(window[:-1])
    got = np.frombuffer(window[:-1], np.uint8)[: program.write_size]
    assert np.array_equal(got, golden_window(program, image, TINY))
