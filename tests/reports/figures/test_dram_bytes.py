"""Bytes by tensor and cause: by hand, and on compiled programs against the counters of the cycle model."""

import copy
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.compiler.graphs import TWO_BLOCKS, random_vit_graph
from tests.support.instructions import zeros
from tests.support.reports.recorded import record, record_data
from vitreous.compiler import compile
from vitreous.flow.recording import memory_record
from vitreous.reports import ReportError, summarize
from vitreous.reports.figures.dram_bytes import DramBytes, dram_bytes, once, rows
from vitreous.reports.record.record import from_dict
from vitreous.sim.cycles import predict
from vitreous.sim.dram import MemoryTiming
from vitreous.spec import layout
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, BusConfig, MemoryConfig, ScheduleConfig
from vitreous.spec.isa import Memory, Opcode
from vitreous.spec.opcodes.causes import Cause
from vitreous.spec.program import Program

MEMORIES = MemoryConfig(
    activation_kib=16, weight_kib=8, residual_kib=16, parameter_entries=256, score_keys=64
)
PLAIN = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=4), memory=MEMORIES)
CONFIGS = {
    "plain": PLAIN,
    "wide bus": replace(PLAIN, bus=BusConfig(data_bits=256)),
    "spilled scores": replace(PLAIN, schedule=ScheduleConfig(fused_attention=False)),
    "blocks of rows": replace(PLAIN, memory=replace(MEMORIES, activation_kib=3)),
}
GRAPH = random_vit_graph(3, **{**TWO_BLOCKS, "mlp": 128})


def moved(program: Program, config: AcceleratorConfig) -> tuple[DramBytes, dict[str, int]]:
    """Both the table and the counters of the cycle model."""
    counters = predict(program, config, MemoryTiming()).counters
    transfers = memory_record(program, config).transfers
    return dram_bytes(program.instructions, transfers, config, counters), counters


@pytest.mark.parametrize("observe", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_causes_add_up_to_the_counters(name: str, observe: bool) -> None:
    config = CONFIGS[name]
    found, counters = moved(compile(GRAPH, config, observe=observe), config)
    beat = config.bus.beat_bytes
    assert found.read == (counters["load_beats"] + counters["fetch_beats"]) * beat
    assert found.written == counters["store_beats"] * beat
    for field in ("read", "written", "minimum", "transfers"):
        assert sum(getattr(row, field) for row in found.causes) == sum(
            getattr(row, field) for row in found.tensors
        )
    by_cause = {row.cause: row for row in found.causes}
    assert list(by_cause) == [cause for cause in Cause if cause in by_cause]
    assert (Cause.INTERMEDIATES in by_cause) == observe
    assert (Cause.SCORES in by_cause) == (name == "spilled scores")
    assert (Cause.WEIGHTS_AGAIN in by_cause) == (name == "blocks of rows")
    assert [row.bytes for row in found.tensors] == sorted((r.bytes for r in found.tensors), reverse=True)


def test_the_minimum_is_each_weight_input_and_output_once() -> None:
    """From the graph's sizes alone: no instruction is looked at."""
    config, graph = PLAIN, GRAPH
    least = {
        name: moved(compile(graph, CONFIGS[name]), CONFIGS[name])[0] for name in ("plain", "blocks of rows")
    }
    found = {row.cause: row.minimum for row in least["plain"].causes}
    matrices = [
        value
        for node in graph
        for name, value in node.constants.items()
        if name == "weight" and np.ndim(value) == 2
    ]
    lanes, depth = config.array.lanes, config.array.depth
    panels = sum(
        layout.align(matrix.shape[0], lanes) * layout.align(matrix.shape[1], depth) for matrix in matrices
    )
    assert found[Cause.WEIGHTS] == panels
    channels, height, width = graph.input.shape
    assert found[Cause.IMAGE] == channels * height * layout.align(width, config.bus.beat_bytes)
    assert found[Cause.OUTPUT] == 10 * lanes * 2, "ten classes in one tile of R"
    assert {cause for cause, least in found.items() if not least} == {Cause.INSTRUCTIONS}
    # What moves again does not change what must.
    again = {row.cause: row for row in least["blocks of rows"].causes}
    assert again[Cause.WEIGHTS].minimum == again[Cause.WEIGHTS].read == panels
    assert (again[Cause.WEIGHTS_AGAIN].minimum, again[Cause.WEIGHTS_AGAIN].read > 0) == (0, True)
    ratio = least["blocks of rows"].ratio
    assert ratio is not None
    assert ratio > (least["plain"].ratio or 0) > 1


def test_bytes_by_hand() -> None:
    found = summarize(record()).dram_bytes
    assert found is not None
    assert {row.cause: (row.read, row.written, row.minimum, row.transfers) for row in found.causes} == {
        Cause.WEIGHTS: (8, 0, 8, 1),
        Cause.INSTRUCTIONS: (192, 0, 0, 0),
        Cause.OUTPUT: (0, 8, 8, 1),
    }
    assert (found.read, found.written, found.minimum, found.ratio) == (200, 8, 16, 13)
    assert [(row.layer, row.tensor) for row in found.tensors] == [
        ("", "program"),
        ("first", "first.weight"),
        ("second", "logits"),
    ]


def test_rows_are_whole_beats() -> None:
    config = replace(PLAIN, bus=BusConfig(data_bits=256))  # words of 16 bytes, beats of 32
    load = zeros(Opcode.LOAD, memory=Memory.W, words=3, rows=2, stride=3, dram_offset=64, dram_stride=128)
    assert rows(load, config) == [(64, 128), (192, 256)]
    patches = zeros(
        Opcode.LOAD_PATCHES, patch=4, grid_columns=5, grid_rows=1, channels=2,
        dram_offset=0, row_stride=32, channel_stride=640,
    )  # fmt: skip
    starts = [640 * channel + 32 * y for channel in range(2) for y in range(4)]
    assert rows(patches, config) == [(start, start + 32) for start in starts]
    with pytest.raises(ReportError, match="^FILL moves no bytes between DRAM and the chip$"):
        rows(zeros(Opcode.FILL), config)


def test_what_overlaps_counts_once() -> None:
    assert once([]) == 0
    assert once([(0, 8), (8, 16), (0, 8)]) == 16
    assert once([(64, 128), (0, 96), (80, 90)]) == 128


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda said: said.pop(0), "Instruction 0 moves bytes without a cause, or has one too many"),
        (lambda said: said.append(said[0]), "Instruction 0 moves bytes without a cause, or has one too many"),
        (
            lambda said: said.append({**said[0], "pc": 2}),
            "Instruction 2 moves bytes without a cause, or has one too many",
        ),
        (
            lambda said: said.append({**said[0], "pc": 6}),
            "The transfer of first.weight is no instruction of the program",
        ),
        (
            lambda said: said[0].update(cause="luck"),
            r"transfers\[0\].cause must be one of input image, .*'luck'",
        ),
    ],
)
def test_a_transfer_without_a_cause_is_no_report(change: Any, sentence: str) -> None:
    data = copy.deepcopy(record_data())
    change(data["memory"]["transfers"])
    with pytest.raises(ReportError, match=sentence):
        summarize(from_dict(data))


@pytest.mark.parametrize("counter", ["load_beats", "store_beats"])
def test_counters_that_saw_other_bytes_are_no_report(counter: str) -> None:
    data = copy.deepcopy(record_data())
    data["simulation"]["images"][0]["counters"][counter] += 1
    sentence = r"^The counters saw \d+ bytes of DRAM \w+, but the program's instructions ask for \d+$"
    with pytest.raises(ReportError, match=sentence):
        summarize(from_dict(data))


def test_a_program_without_causes_has_no_table() -> None:
    data = copy.deepcopy(record_data())
    data["memory"]["transfers"] = []
    assert summarize(from_dict(data)).dram_bytes is None


def test_a_tensor_is_one_row_for_each_cause() -> None:
    found, _ = moved(compile(GRAPH, CONFIGS["blocks of rows"]), CONFIGS["blocks of rows"])
    keys = Counter((row.layer, row.tensor, row.cause) for row in found.tensors)
    assert set(keys.values()) == {1}
