"""Every load and store of a program says which tensor it moves and why; what has no cause cannot be emitted."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.support.compiler.cases import random_case
from tests.support.compiler.graphs import TWO_BLOCKS, random_vit_graph
from vitreous.compiler import compile
from vitreous.compiler.steps import TRANSFERS, Moved, Step
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig, ScheduleConfig, SoftmaxConfig
from vitreous.spec.isa import Opcode
from vitreous.spec.opcodes.causes import Cause
from vitreous.spec.program import Program
from vitreous.spec.work import work

CONFIG = AcceleratorConfig(
    array=ArrayConfig(lanes=4, depth=4),
    memory=MemoryConfig(
        activation_kib=16, weight_kib=8, residual_kib=16, parameter_entries=256, score_keys=64
    ),
)
SMALL_X = replace(CONFIG, memory=replace(CONFIG.memory, activation_kib=3))
"""The hidden tensor of an MLP does not fit: it is computed in blocks of rows, with the weights of each again."""


def causes(program: Program) -> dict[int, Cause]:
    return {entry["pc"]: Cause(entry["cause"]) for entry in program.notes["transfers"]}


@pytest.mark.parametrize("observe", [False, True])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_every_transfer_has_one_cause(seed: int, fused: bool, observe: bool) -> None:
    arguments, config = random_case(seed)
    config = replace(config, schedule=ScheduleConfig(fused_attention=fused))
    program = compile(random_vit_graph(**arguments), config, observe=observe)
    moves = [pc for pc, i in enumerate(program.instructions) if i.opcode in TRANSFERS]
    assert [entry["pc"] for entry in program.notes["transfers"]] == moves
    assert all(entry["tensor"] for entry in program.notes["transfers"])
    found = set(causes(program).values())
    assert {Cause.IMAGE, Cause.CONSTANTS, Cause.WEIGHTS, Cause.PARAMETERS, Cause.OUTPUT} <= found
    assert (Cause.INTERMEDIATES in found) == observe
    assert (Cause.SCORES in found) == (not fused)
    assert Cause.INSTRUCTIONS not in found, "the machine fetches them, no load does"


def test_what_is_stored_has_the_name_of_its_placement() -> None:
    program = compile(random_vit_graph(3, **TWO_BLOCKS), CONFIG, observe=True)
    moved = {entry["pc"]: entry["tensor"] for entry in program.notes["transfers"]}
    stores = [
        (i["dram_offset"], moved[pc]) for pc, i in enumerate(program.instructions) if i.opcode is Opcode.STORE
    ]
    tensors = {placement.offset: placement.tensor for placement in program.placements}
    assert stores == [(offset, tensors[offset]) for offset, _ in stores]
    outputs = [moved[pc] for pc, cause in causes(program).items() if cause is Cause.OUTPUT]
    assert outputs == [program.output_tensor]


def test_weights_that_come_again_are_not_those_that_come_once() -> None:
    graph = random_vit_graph(3, **{**TWO_BLOCKS, "mlp": 128})
    once, again = compile(graph, CONFIG), compile(graph, SMALL_X)
    assert Cause.WEIGHTS_AGAIN not in causes(once).values()
    moved = Counter(causes(again).values())
    assert moved[Cause.WEIGHTS_AGAIN] > 0
    seen: set[int] = set()
    for pc, cause in causes(again).items():
        if cause in (Cause.WEIGHTS, Cause.WEIGHTS_AGAIN):
            offset = again.instructions[pc]["dram_offset"]
            assert (cause is Cause.WEIGHTS_AGAIN) == (offset in seen)
            seen.add(offset)


def test_heads_are_parts_of_one_tensor() -> None:
    program = compile(random_vit_graph(3, **TWO_BLOCKS), CONFIG)
    weights = {e["tensor"] for e in program.notes["transfers"] if Cause(e["cause"]) is Cause.WEIGHTS}
    assert "blocks.0.attn.q.acc.weight" in weights
    assert not [name for name in weights if "head0" in name]


@pytest.mark.parametrize(("opcode", "moved"), [(Opcode.LOAD, None), (Opcode.FILL, Moved("x", Cause.WEIGHTS))])
def test_a_transfer_without_a_cause_is_refused(opcode: Opcode, moved: Moved | None) -> None:
    sentence = f"^{opcode.name} of layer embed: a transfer needs a cause, and nothing else has one$"
    with pytest.raises(ValueError, match=sentence):
        Step(opcode, "embed", {}, {}, None, moved)


def test_one_pass_or_two_have_the_same_multiply_accumulates() -> None:
    """Utilization counts each once: a second pass of the probabilities is work of the array, not of the network."""
    both = replace(CONFIG, softmax=SoftmaxConfig(probability_bits=16))
    one, two = (compile(random_vit_graph(3, **TWO_BLOCKS, widths=(bits,)), both) for bits in (8, 16))
    assert one.macs == two.macs == sum(layer["macs"] for layer in two.notes["layers"])
    assert one.notes["layers"] == two.notes["layers"]
    busy = [work(program.instructions, both)["array_busy"] for program in (one, two)]
    assert busy[0] < busy[1], "but they count for the occupancy"
