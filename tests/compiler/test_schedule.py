"""``[schedule]``: the same results without double buffering and without fused attention, at the cost that they save."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from tests.support.compiler.cases import random_case
from tests.support.compiler.graphs import TWO_BLOCKS, random_image, random_vit_graph
from vitreous.compiler import CompileError, compile
from vitreous.golden import run
from vitreous.golden.machine import ORDERS, Machine
from vitreous.sim.cycles import predict
from vitreous.sim.cycles.model import Prediction
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig, ScheduleConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, Operands, Queue
from vitreous.spec.layout import ceil_div
from vitreous.spec.program import Program

torch.set_num_threads(1)

SERIAL = ScheduleConfig(double_buffer=False)
SPILLING = ScheduleConfig(fused_attention=False)
NEITHER = ScheduleConfig(double_buffer=False, fused_attention=False)
KEYS, HEADS, DEPTH = 26, 2, 2
CONFIG = AcceleratorConfig(
    array=ArrayConfig(lanes=4, depth=4),
    memory=MemoryConfig(
        activation_kib=16, weight_kib=8, residual_kib=16, parameter_entries=256, score_keys=64
    ),
)


def compiled(schedule: ScheduleConfig, config: AcceleratorConfig = CONFIG) -> Program:
    return compile(random_vit_graph(3, **TWO_BLOCKS), replace(config, schedule=schedule))


def predicted(program: Program) -> Prediction:
    return predict(program, CONFIG, MemoryTiming())


def is_spill(i: Instruction) -> bool:
    """STORE and LOAD of a query tile's scores; nothing else in these programs moves R within attention."""
    moves = i.opcode in (Opcode.STORE, Opcode.LOAD)
    return moves and i["memory"] == Memory.R and i.label.endswith("attn")


@pytest.mark.parametrize("schedule", [SERIAL, SPILLING, NEITHER], ids=["serial", "spilling", "neither"])
@pytest.mark.parametrize(
    "seed", [pytest.param(i, marks=[] if i in (1, 3) else [pytest.mark.slow]) for i in range(8)]
)
def test_results_are_those_of_the_integer_graph(seed: int, schedule: ScheduleConfig) -> None:
    arguments, config = random_case(seed)
    graph = random_vit_graph(**arguments)
    image = random_image(graph, seed)
    program = compile(graph, replace(config, schedule=schedule))
    for order in (ORDERS[1], *ORDERS[2 + seed % 2 :: 2]):  # all of them over two seeds
        result = Machine(config).run(program, image, order=order, seed=seed)
        assert np.array_equal(result.output, run(graph, image)[graph.output.name]), order
        assert not any(result.leftover_tokens.values())


def test_a_program_that_spills_leaves_the_same_window_on_used_memories() -> None:
    graph = random_vit_graph(3, **TWO_BLOCKS)
    program, image = compiled(NEITHER), random_image(graph, 3)
    machine = Machine(CONFIG)
    first = machine.run(program, image).window.copy()
    machine.run(program, random_image(graph, 4))
    assert np.array_equal(machine.run(program, image).window, first)


def test_without_double_buffering_no_load_runs_beside_earlier_work() -> None:
    def overlaps(program: Program) -> int:
        spans = predicted(program).spans
        work = [s for s in spans if s.queue in (Queue.MATRIX, Queue.VECTOR)]
        loads = [s for s in spans if s.queue == Queue.LOAD]
        return sum(w.pc < load.pc and w.end > load.start for load in loads for w in work)

    fused, serial = compiled(ScheduleConfig()), compiled(SERIAL)
    assert overlaps(fused) > 10
    assert overlaps(serial) == 0
    assert predicted(serial).cycles > predicted(fused).cycles


def test_without_double_buffering_the_next_weights_take_the_words_of_the_last() -> None:
    def bases(program: Program) -> set[int]:
        buffers = [b for b in program.notes["memory"] if b["memory"] == "W" and ".weight[" in b["name"]]
        return {b["base"] for b in buffers if b["layer"] != "embed"}  # where several stay for the whole image

    assert bases(compiled(SERIAL)) == {0}
    assert len(bases(compiled(ScheduleConfig()))) > 2


def test_spilling_moves_the_scores_of_every_query_tile_once_each_way() -> None:
    fused, spilling = (predicted(compiled(s)).counters for s in (ScheduleConfig(), SPILLING))
    tile_bytes = KEYS * CONFIG.array.lanes * 2
    beats = DEPTH * HEADS * ceil_div(KEYS, CONFIG.array.lanes) * ceil_div(tile_bytes, CONFIG.bus.beat_bytes)
    assert spilling["store_beats"] - fused["store_beats"] == beats
    assert spilling["load_beats"] - fused["load_beats"] == beats
    assert spilling["array_busy"] == fused["array_busy"]
    assert spilling["cycles"] > fused["cycles"]


def test_values_are_multiplied_when_the_scores_are_back() -> None:
    """For each tile: scores, STORE, LOAD, probabilities times values, each after the end of the one before."""
    program = compiled(SPILLING)
    spans = {span.pc: span for span in predicted(program).spans}
    chains: dict[int, list[int]] = {0: [], 1: []}
    complete = 0
    for pc, i in enumerate(program.instructions):
        if i.opcode is Opcode.MATMUL and i["destination"] == Memory.S:
            assert not chains[i["slot"]]
            chains[i["slot"]] = slot = [pc]
        elif is_spill(i):
            slot = next(chain for chain in chains.values() if len(chain) in (1, 2) and chain[-1] < pc)
            slot.append(pc)
        elif i.opcode is Opcode.MATMUL and i["operands"] == Operands.SW:
            chain = [*chains[i["slot"]], pc]
            chains[i["slot"]] = []
            assert len(chain) == 4
            assert all(spans[a].end <= spans[b].start for a, b in pairwise(chain))
            complete += 1
    assert complete == DEPTH * HEADS * ceil_div(KEYS, CONFIG.array.lanes)


def test_no_room_for_the_spilled_scores_is_refused() -> None:
    small = replace(CONFIG, memory=replace(CONFIG.memory, residual_kib=2))
    compiled(ScheduleConfig(), small)
    with pytest.raises(
        CompileError,
        match=r"R, the residual memory, needs 384 words \(3\.0 KiB\) for .*spilled scores of 26 keys .*has 256 words",
    ):
        compiled(SPILLING, small)
