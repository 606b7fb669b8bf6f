"""The border of hw: the simulated RTL leaves the same bytes as the functional machine, and its counters count the
program's work.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.sim.small import CASES, CONFIGURATIONS, TIMINGS, golden_window, small_program
from vitreous.sim.run.runtime import ImageRun, simulate
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import QUEUE_OF, Activation, Instruction, Memory, Opcode, Operands, Queue
from vitreous.spec.layout import ceil_div
from vitreous.spec.program import Program

pytestmark = pytest.mark.slow

RUNS = [
    pytest.param(name, case, id=f"{name}, {case}", marks=pytest.mark.xdist_group(name))
    for name in CONFIGURATIONS
    for case in CASES
]


def bytes_of_word(memory: int, config: AcceleratorConfig) -> int:
    if memory == Memory.P:
        return 8
    return config.residual_word_bytes if memory == Memory.R else config.panel_word_bytes


def beats(i: Instruction, config: AcceleratorConfig) -> int:
    """AXI beats of a transfer: each row is one contiguous range that begins at a beat."""
    if i.opcode is Opcode.LOAD_PATCHES:
        rows, size = i["grid_rows"] * i["channels"] * i["patch"], i["grid_columns"] * i["patch"]
    elif i.opcode in (Opcode.LOAD, Opcode.STORE):
        rows, size = i["rows"], i["words"] * bytes_of_word(i["memory"], config)
    else:
        return 0
    return rows * ceil_div(size, config.bus.beat_bytes)


def expected_counters(program: Program, config: AcceleratorConfig) -> dict[str, int]:
    """What the program alone decides, whatever the timing."""
    code, lanes = program.instructions, config.array.lanes
    matmuls = [i for i in code if i.opcode is Opcode.MATMUL]
    columns = {id(i): i["row_tiles"] * i["columns"] for i in matmuls}
    norms = [i for i in code if i.opcode is Opcode.NORM]
    # Each byte plane of a two-pass operand is a pass of its own.
    words = [i["row_tiles"] * ceil_div(i["columns"], lanes) * i["k_words"] * (1 + i["wide"]) for i in matmuls]
    probabilities = [count for i, count in zip(matmuls, words, strict=True) if i["operands"] == Operands.SW]
    return {
        "instructions": len(code),
        "array_busy": sum(words),
        "s_reads": sum(probabilities),
        "readout_columns": sum(columns.values()),
        "activation_columns": sum(columns[id(i)] for i in matmuls if i["activation"] == Activation.SMOOTH),
        "score_columns": sum(columns[id(i)] for i in matmuls if i["destination"] == Memory.S),
        "norm_columns": sum(i["row_tiles"] * i["channels"] for i in norms),
        "load_beats": sum(beats(i, config) for i in code if QUEUE_OF.get(i.opcode) is Queue.LOAD),
        "store_beats": sum(beats(i, config) for i in code if i.opcode is Opcode.STORE),
        "fetch_beats": ceil_div(32 * len(code), config.bus.beat_bytes),
    }


def check_counters(run: ImageRun, program: Program, config: AcceleratorConfig) -> None:
    counters = run.counters
    for name, value in expected_counters(program, config).items():
        assert counters[name] == value, name
    assert counters["array_busy"] < counters["cycles"] <= run.simulated_cycles
    for name in ("matrix_empty", "load_busy", "vector_busy", "store_busy"):
        assert counters[name] < counters["cycles"], name


def check_spans(run: ImageRun, program: Program) -> None:
    """Every instruction but END issues once and completes later, in order within its queue."""
    assert sorted(span.pc for span in run.spans) == list(range(len(program.instructions) - 1))
    for queue in Queue:
        own = [span for span in run.spans if span.queue is queue]
        assert all(QUEUE_OF[program.instructions[span.pc].opcode] is queue for span in own)
        assert [s.pc for s in own] == sorted(s.pc for s in own)
        assert [s.end for s in own] == sorted(s.end for s in own)
    assert all(0 < span.start < span.end <= run.simulated_cycles for span in run.spans)


@pytest.mark.parametrize(("name", "case"), RUNS)
def test_rtl_equals_the_functional_machine(name: str, case: str, tmp_path: Path) -> None:
    config = CONFIGURATIONS[name]
    timing = TIMINGS[(list(CONFIGURATIONS).index(name) + list(CASES).index(case)) % len(TIMINGS)]
    program, image = small_program(config, case)
    images = [image, np.roll(image, 1, axis=2)]
    result = simulate(program, images, config, folder=tmp_path, timing=timing)
    for index, (run, picture) in enumerate(zip(result.images, images, strict=True)):
        expected = golden_window(program, picture, config)
        different = np.flatnonzero(run.window != expected)
        assert different.size == 0, first_difference(program, int(different[0]), different.size, config)
        assert expected.any(), f"image {index} stores only zeros, which proves nothing"
        check_counters(run, program, config)
        check_spans(run, program)


def first_difference(program: Program, byte: int, count: int, config: AcceleratorConfig) -> str:
    """Which tensor of which layer holds the byte."""
    lanes, depth = config.array.lanes, config.array.depth
    for p in program.placements:
        if p.offset <= byte < p.offset + p.size(lanes, depth):
            return f"{count} bytes differ, the first in {p.tensor} ({p.kind} {p.shape}, {p.layer}) at {byte - p.offset}"
    return f"{count} bytes differ, the first at {byte}, in no tensor"
