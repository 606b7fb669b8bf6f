"""The accelerator's own ports under an independent protocol model: stalls, error responses, bad programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.sim.programs import first, with_fields, with_instructions
from tests.support.sim.small import TINY, golden_window, small_program
from vitreous.golden.machine import Machine, MachineError
from vitreous.sim.bench.checked import STALLS, CheckedRun, simulate_checked
from vitreous.sim.errors import SimulationError
from vitreous.spec import isa
from vitreous.spec.isa import INSTRUCTION_BYTES, ErrorCode, Instruction, Memory, Opcode, Queue
from vitreous.spec.program import Program

# A group of its own: this build is another one than that of test_border and test_runtime.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("checked")]

CASE = "class token, many classes"


@pytest.fixture(scope="module")
def compiled() -> tuple[Program, np.ndarray]:
    return small_program(TINY, CASE)


@pytest.fixture(scope="module")
def expected(compiled: tuple[Program, np.ndarray]) -> np.ndarray:
    return golden_window(*compiled, TINY)


def assert_clean(run: CheckedRun) -> None:
    assert run.violations == ()
    assert run.late_writes == 0
    assert run.outside_writes == 0


@pytest.mark.parametrize(("stalls", "seed"), [*((kind, 1) for kind in STALLS), ("random", 2), ("bursts", 2)])
def test_stalls_change_nothing(
    stalls: str, seed: int, compiled: tuple[Program, np.ndarray], expected: np.ndarray, tmp_path: Path
) -> None:
    run = simulate_checked(*compiled, TINY, folder=tmp_path, stalls=stalls, seed=seed)
    assert run.statuses == (isa.STATUS_DONE,)
    assert run.writes > 0
    assert_clean(run)
    np.testing.assert_array_equal(run.window, expected)


def _bus_errors(program: Program) -> dict[str, tuple[dict[str, int], ErrorCode, int]]:
    """Where the response is an error, and which instruction is to blame."""
    middle = len(program.instructions) // 2
    weights = first(program, Opcode.LOAD, after=middle, memory=int(Memory.W))
    stored = first(program, Opcode.STORE, after=middle)
    patches = first(program, Opcode.LOAD_PATCHES)
    code = program.instructions
    return {
        "fetch": (
            {"read_error": program.program_offset + middle * INSTRUCTION_BYTES},
            ErrorCode.BUS_READ,
            middle,
        ),
        "weights": ({"read_error": code[weights]["dram_offset"] + 3}, ErrorCode.BUS_READ, weights),
        "input": ({"read_error": program.input_offset}, ErrorCode.BUS_READ, patches),
        "store": ({"write_error": code[stored]["dram_offset"]}, ErrorCode.BUS_WRITE, stored),
    }


@pytest.mark.parametrize("stalls", ["none", "random"])
@pytest.mark.parametrize("kind", ["fetch", "weights", "input", "store"])
def test_error_responses(
    kind: str, stalls: str, compiled: tuple[Program, np.ndarray], expected: np.ndarray, tmp_path: Path
) -> None:
    """The machine stops, says who, writes nothing more; after a reset and without the fault it works."""
    fault, code, pc = _bus_errors(compiled[0])[kind]
    run = simulate_checked(
        *compiled, TINY, folder=tmp_path, stalls=stalls, seed=7, runs=2, heal=True, **fault
    )  # type: ignore[arg-type]
    assert run.error() == (code, pc)
    assert run.statuses[0] & (isa.STATUS_BUSY | isa.STATUS_DONE) == 0
    assert run.statuses[1] == isa.STATUS_DONE
    assert_clean(run)
    np.testing.assert_array_equal(run.window, expected)


@pytest.mark.parametrize("register", ["READ_SIZE", "WRITE_SIZE"])
def test_a_window_that_is_too_small(
    register: str, compiled: tuple[Program, np.ndarray], expected: np.ndarray, tmp_path: Path
) -> None:
    """The program lies behind the data in the read window, so fetch is what reaches beyond its end."""
    program = compiled[0]
    middle = len(program.instructions) // 2
    assert program.program_offset > program.input_offset
    size = {
        "READ_SIZE": program.program_offset + middle * INSTRUCTION_BYTES,
        "WRITE_SIZE": program.write_size // 2 & ~63,
    }[register]
    run = simulate_checked(*compiled, TINY, folder=tmp_path, settings={register: size})
    error = run.error()
    assert error is not None
    code, pc = error
    assert code is ErrorCode.WINDOW
    if register == "READ_SIZE":
        assert pc == middle
    else:
        stores = [pc for pc, i in enumerate(program.instructions) if i.opcode is Opcode.STORE]
        assert pc == next(pc for pc in stores if reaches(program.instructions[pc]) > size)
        assert run.writes > 0
    assert_clean(run)


def reaches(i: Instruction) -> int:
    word = TINY.residual_word_bytes if i["memory"] == Memory.R else TINY.panel_word_bytes
    return i["dram_offset"] + (i["rows"] - 1) * i["dram_stride"] + i["words"] * word


def _bad_programs(program: Program) -> dict[str, tuple[Program, ErrorCode]]:
    code = program.instructions
    middle = len(code) // 2
    matmul, norm = first(program, Opcode.MATMUL, after=middle), first(program, Opcode.NORM, after=middle)
    store, load = first(program, Opcode.STORE, after=middle), first(program, Opcode.LOAD, after=middle)
    every = (1 << len(Queue)) - 1
    changes: dict[str, tuple[dict[int, Instruction | bytes], ErrorCode]] = {
        "unknown opcode": ({middle: bytes([0x0F]) + bytes(31)}, ErrorCode.UNKNOWN_OPCODE),
        "no end": ({len(code) - 1: code[store].with_tokens(wait=0, signal=0)}, ErrorCode.NO_END),
        "matrix reads beyond W": (
            {matmul: with_fields(code[matmul], b_base=TINY.w_depth)},
            ErrorCode.ADDRESS,
        ),
        "load beyond its memory": ({load: with_fields(code[load], base=0xFFFF)}, ErrorCode.ADDRESS),
        "load beyond the window": (
            {load: with_fields(code[load], dram_offset=program.read_size - TINY.bus.beat_bytes)},
            ErrorCode.WINDOW,
        ),
        "norm writes beyond X": ({norm: with_fields(code[norm], x_base=TINY.x_depth)}, ErrorCode.ADDRESS),
        "illegal field": ({matmul: with_fields(code[matmul], k_words=0)}, ErrorCode.ILLEGAL_FIELD),
        "misaligned store": ({store: with_fields(code[store], dram_offset=3)}, ErrorCode.ALIGNMENT),
        "deadlock": ({norm: code[norm].with_tokens(wait=every, signal=0)}, ErrorCode.DEADLOCK),
    }
    return {name: (with_instructions(program, change), error) for name, (change, error) in changes.items()}


@pytest.mark.parametrize(
    ("kind", "stalls"),
    [
        ("unknown opcode", "none"),
        ("no end", "none"),
        ("matrix reads beyond W", "random"),
        ("load beyond its memory", "random"),
        ("load beyond the window", "regular"),
        ("norm writes beyond X", "bursts"),
        ("illegal field", "none"),
        ("misaligned store", "random"),
        ("deadlock", "random"),
    ],
)
def test_bad_programs(kind: str, stalls: str, compiled: tuple[Program, np.ndarray], tmp_path: Path) -> None:
    """Code and program counter are those of the functional machine, also on a second try after a reset."""
    program, code = _bad_programs(compiled[0])[kind]
    with pytest.raises(MachineError) as stopped:
        Machine(TINY).run(program, compiled[1])
    assert stopped.value.code is code
    run = simulate_checked(program, compiled[1], TINY, folder=tmp_path, stalls=stalls, seed=3, runs=2)
    assert [run.error(0), run.error(1)] == [(code, stopped.value.pc)] * 2
    assert_clean(run)


def test_a_fault_beyond_the_run_is_a_hang(compiled: tuple[Program, np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="The checking bench failed \\(stalls none, seed 9\\)"):
        simulate_checked(*compiled, TINY, folder=tmp_path, stalls="none", seed=9, timeout_cycles=50)
    with pytest.raises(
        SimulationError, match="Stalls must be one of none, regular, random, bursts, not 'some'"
    ):
        simulate_checked(*compiled, TINY, folder=tmp_path, stalls="some")
