"""Score rows in blocks of keys: which instructions they are, that they compute the integer graph, what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.compiler.graphs import random_image, random_vit_graph
from vitreous.compiler import CompileError, compile
from vitreous.compiler.accesses import accesses
from vitreous.compiler.checks import attention_needs
from vitreous.compiler.fusion import match
from vitreous.compiler.listing import listing, matrix_cycles
from vitreous.compiler.needs import DoesNotFitError
from vitreous.compiler.operations import Attention
from vitreous.flow.comparison import expected_part
from vitreous.golden import run
from vitreous.golden.machine import ORDERS, Machine
from vitreous.sim.cycles import predict
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import (
    AcceleratorConfig,
    ArrayConfig,
    MemoryConfig,
    ScheduleConfig,
    SoftmaxConfig,
)
from vitreous.spec.graph import Graph, Node, Op
from vitreous.spec.isa import Instruction, Memory, Opcode, Operands
from vitreous.spec.layout import ceil_div
from vitreous.spec.limits import ATTENTION_KEYS, KEY_BLOCK, SCORE_SLOTS
from vitreous.spec.program import Program
from vitreous.spec.softmax import key_blocks

torch.set_num_threads(1)

CONFIG = AcceleratorConfig(
    array=ArrayConfig(lanes=8, depth=4),
    memory=MemoryConfig(score_keys=96),
    softmax=SoftmaxConfig(probability_bits=16),
)


def tokens(count: int, **changes: Any) -> Graph:
    """One layer of ``count`` tokens, two heads of 9 channels."""
    sizes: dict[str, Any] = {"patch": 2, "channels": 1, "dim": 18, "heads": 2, "depth": 1, "mlp": 8}
    return random_vit_graph(count, **{**sizes, "image": (2, 2 * count), "class_token": False, **changes})


def edited(graph: Graph, op: Op, edit: Callable[[Node], Node]) -> Graph:
    return dataclasses.replace(graph, nodes=tuple(edit(node) if node.op is op else node for node in graph))


def in_one_block(graph: Graph) -> Graph:
    """The same graph with a maximum for the whole row."""

    def whole(node: Node) -> Node:
        if node.op not in (Op.SOFTMAX, Op.CONTEXT):
            return node
        return dataclasses.replace(node, attributes={**node.attributes, "key_block": 0})

    maxima = {node.outputs[3] for node in graph if node.op is Op.SOFTMAX}
    entries = {
        name: dataclasses.replace(entry, shape=(*entry.shape[:2], 1)) if name in maxima else entry
        for name, entry in graph.tensors.items()
    }
    return dataclasses.replace(graph, nodes=tuple(map(whole, graph)), tensors=entries)


def parts(program: Program) -> tuple[list[Instruction], list[Instruction]]:
    """The products that make scores, and those of probabilities and values."""
    products = [i for i in program.instructions if i.opcode is Opcode.MATMUL]
    scores = [i for i in products if i["destination"] == Memory.S]
    return scores, [i for i in products if i["operands"] == Operands.SW]


# -------------------------------------------------------------------------------------------------------- instructions
@pytest.mark.parametrize(("lanes", "depth"), [(4, 1), (8, 4), (32, 8)])
@pytest.mark.parametrize("keys", [1, 95, 96, 200])
def test_every_block_has_its_instructions(keys: int, lanes: int, depth: int) -> None:
    """Blocks follow each other in tiles of K and words of V, their bits tell the first and the last, the slots
    alternate, and only the last block of a row writes."""
    config = dataclasses.replace(CONFIG, array=ArrayConfig(lanes=lanes, depth=depth))
    blocks = key_blocks(keys, KEY_BLOCK)
    program = compile(tokens(keys), config)
    scores, contexts = parts(program)
    rows = 2 * ceil_div(keys, lanes)  # of both heads
    assert len(scores) == len(contexts) == rows * len(blocks)
    for row in range(rows):
        of_scores, of_context = (made[row * len(blocks) :][: len(blocks)] for made in (scores, contexts))
        for index, (block, score, context) in enumerate(zip(blocks, of_scores, of_context, strict=True)):
            place = row % (rows // 2) * len(blocks) + index
            bits = {"first_block": int(index == 0), "last_block": int(index == len(blocks) - 1)}
            for i in (score, context):
                assert i["slot"] == place % 2
                assert {name: i[name] for name in bits} == bits
            assert score["columns"] == len(block)
            assert score["b_base"] - of_scores[0]["b_base"] == block.start // lanes * score["b_stride"]
            assert context["k_words"] == ceil_div(len(block), depth)
            assert context["b_base"] - of_context[0]["b_base"] == block.start // depth
            assert context["columns"] == 9
            assert bool(accesses(context, config).writes) == bool(bits["last_block"])
    ends = [accesses(i, config).writes[0].base for i in contexts if i["last_block"]]
    assert len(set(ends)) == rows
    others = {id(i) for i in (*scores, *contexts)}
    for i in program.instructions:
        if i.opcode is Opcode.MATMUL and id(i) not in others:
            assert (i["first_block"], i["last_block"]) == (0, 0)


def test_scores_of_a_block_come_before_the_context_of_the_one_before() -> None:
    program = compile(tokens(200), CONFIG)
    order = "".join(
        "S" if i["destination"] == Memory.S else "C"
        for i in program.instructions
        if i.opcode is Opcode.MATMUL and (i["destination"] == Memory.S or i["operands"] == Operands.SW)
    )
    pieces = ceil_div(200, 8) * 3
    assert order == ("S" + "SC" * (pieces - 1) + "C") * 2


@pytest.mark.parametrize("keys", [1, 17, 64, 95])
def test_a_row_of_one_block_is_the_program_of_a_row_with_one_maximum(keys: int) -> None:
    graph = tokens(keys)
    assert compile(graph, CONFIG).instructions == compile(in_one_block(graph), CONFIG).instructions


def test_a_row_with_one_maximum_is_one_block_of_any_length() -> None:
    config = dataclasses.replace(CONFIG, memory=MemoryConfig(score_keys=200))
    scores, contexts = parts(compile(in_one_block(tokens(200)), config))
    assert {i["columns"] for i in scores} == {200}
    assert all(i["first_block"] and i["last_block"] for i in (*scores, *contexts))


def test_a_listing_names_the_blocks() -> None:
    def named(keys: int) -> list[int]:
        lines = [line for line in listing(compile(tokens(keys), CONFIG)).splitlines() if " MATMUL " in line]
        return [sum(f", {name} block" in line for line in lines) for name in ("first", "next", "last")]

    assert named(200) == [2 * 2 * 25] * 3
    assert named(300) == [2 * 2 * 38, 3 * 2 * 2 * 38, 2 * 2 * 38]
    assert named(95) == [0, 0, 0]


def test_cycles_of_a_context_are_those_of_its_blocks() -> None:
    """Blocks that are shorter than the array is wide cost more than the whole row."""
    for lanes, depth in ((8, 4), (32, 4)):
        config = dataclasses.replace(CONFIG, array=ArrayConfig(lanes=lanes, depth=depth))
        program = compile(tokens(200), config)
        (entry,) = program.notes["attention"]
        _, contexts = parts(program)
        other = dataclasses.replace(program, instructions=tuple(contexts))
        assert entry["cycles"][str(entry["probability_bits"])] == matrix_cycles(other)
        rows = 2 * ceil_div(200, lanes) * ceil_div(9, lanes)
        assert entry["cycles"]["8"] == rows * sum(max(16 if k < 2 else 18, lanes) for k in range(3))


# ------------------------------------------------------------------------------------------------------------- results
def check(graph: Graph, config: AcceleratorConfig, orders: Sequence[str]) -> None:
    program = compile(graph, config, observe=True)
    image = random_image(graph, 1)
    wanted = run(graph, image, keep=True)
    for order in orders:
        found = Machine(config).run(program, image, order=order, seed=1)
        for p in program.placements:
            values = p.read(found.window, config.array.lanes, config.array.depth)
            assert np.array_equal(values, expected_part(p, wanted)), (order, p)
        assert not any(found.leftover_tokens.values())


def random_rows(seed: int) -> tuple[Graph, AcceleratorConfig]:
    """1 to 400 tokens, near a border of blocks in half of the cases, on a random array; one pass or two."""
    pick = np.random.default_rng(seed)
    count = int(pick.integers(1, 401))
    if pick.integers(2):
        count = min(400, 32 + KEY_BLOCK * int(pick.integers(6)) + int(pick.integers(-2, 3)))
    heads, width = int(pick.integers(1, 3)), int(pick.integers(1, 14))
    config = AcceleratorConfig(
        array=ArrayConfig(lanes=int(pick.choice([4, 8, 16, 32])), depth=int(pick.choice([1, 2, 4, 8]))),
        memory=MemoryConfig(score_keys=96, context_columns=32),
        softmax=SoftmaxConfig(probability_bits=16, fraction_bits=int(pick.integers(6, 10))),
        schedule=ScheduleConfig(fused_attention=bool(pick.integers(4))),
    )
    bits = int(pick.choice([8, 16]))
    sizes = {"dim": heads * width, "heads": heads, "softmax": config.softmax, "widths": (bits,)}
    return tokens(count, **sizes), config


@pytest.mark.parametrize(
    "seed", [pytest.param(i, marks=[] if i < 3 else [pytest.mark.slow]) for i in range(24)]
)
def test_rows_of_any_length_are_those_of_the_integer_graph(seed: int) -> None:
    graph, config = random_rows(seed)
    check(graph, config, (ORDERS[0], ORDERS[1 + seed % (len(ORDERS) - 1)]))


def test_rows_with_one_maximum_are_those_of_the_integer_graph() -> None:
    config = dataclasses.replace(CONFIG, memory=MemoryConfig(score_keys=136))
    check(in_one_block(tokens(130)), config, ORDERS[:1])


# ------------------------------------------------------------------------------------------------------------ refusals
def refused(graph: Graph, sentence: str, config: AcceleratorConfig = CONFIG) -> None:
    with pytest.raises(CompileError, match=sentence):
        compile(graph, config)


def test_a_context_in_other_blocks_is_refused() -> None:
    def whole(node: Node) -> Node:
        return dataclasses.replace(node, attributes={**node.attributes, "key_block": 0})

    refused(
        edited(tokens(40), Op.CONTEXT, whole),
        r"\(context\) .*: has key_block 0, and must have that of blocks.0.attn.softmax, 64",
    )


def test_a_context_with_the_maxima_of_others_is_refused() -> None:
    def first(node: Node) -> Node:
        return dataclasses.replace(node, inputs=(*node.inputs[:2], "blocks.0.attn.softmax.3"))

    refused(
        edited(tokens(40, depth=2), Op.CONTEXT, first),
        r"Node blocks.1.attn.context \(context\) .*: takes the maxima blocks.0.attn.softmax.3, and must take those of "
        r"its probabilities, blocks.1.attn.softmax.3",
    )


def test_the_score_buffer_holds_the_longest_block() -> None:
    config = dataclasses.replace(CONFIG, memory=MemoryConfig(score_keys=72))
    compile(tokens(200), config)
    compile(tokens(197 + KEY_BLOCK), config)
    needed = r"S, the score buffer, needs 95 keys for .* has 72 keys \(memory.score_keys\)"
    refused(tokens(95), needed, config)
    refused(tokens(95 + KEY_BLOCK), needed, config)


def test_columns_of_a_head_have_room_between_two_blocks() -> None:
    config = dataclasses.replace(CONFIG, memory=MemoryConfig(score_keys=96, context_columns=32))
    compile(tokens(96, dim=32, heads=1), config)
    compile(tokens(95, dim=40, heads=1), config)
    refused(
        tokens(96, dim=65, heads=1),
        r"the memory of partial contexts needs 128 columns for Node blocks.0.attn.scores \(scores\) of layer "
        r"blocks.0.attn with 65 channels a head and 2 blocks of keys and has 32 columns \(memory.context_columns\)",
        config,
    )
    with pytest.raises(DoesNotFitError, match="needs 513 columns .*, and no more than 512 can be had") as no:
        compile(tokens(96, dim=513, heads=1), config)
    assert "vitreous fit" not in str(no.value)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("keys", [1, 95, 96, 1000, ATTENTION_KEYS])
def test_accumulators_hold_the_largest_contexts(keys: int, bits: int) -> None:
    """The largest probabilities with values of -128, all of the same maximum, so that nothing is shifted away."""
    node = next(node for node in tokens(4) if node.op is Op.SCORES)
    blocks = key_blocks(keys, KEY_BLOCK)
    (largest,) = (n for n in attention_needs(node, blocks, 9, CONFIG, a_bits=bits) if n.unit == "steps")
    reached = 0
    for block in blocks:
        high, low = (len(block) * 128 * most for most in (127, 128))
        if bits == 16:
            reached += (high << 4) + ((low + 8) >> 4)
        else:
            reached += high << 4 if len(blocks) > 1 else high
    assert largest.needed == max(reached, 9 << 14)
    assert not largest.short


# --------------------------------------------------------------------------------------------------------- other paths
def test_blocks_are_spilled_one_by_one() -> None:
    config = dataclasses.replace(CONFIG, schedule=ScheduleConfig(fused_attention=False))
    fused, spilling = (compile(tokens(200), c) for c in (CONFIG, config))
    stored, loaded = (
        [i["words"] for i in spilling.instructions if i.opcode is opcode and i.label == "blocks.0.attn"]
        for opcode in (Opcode.STORE, Opcode.LOAD)
    )
    assert stored == [64, 64, 72] * 2 * 25
    assert loaded[-len(stored) :] == stored
    room = next(entry for entry in spilling.notes["memory"] if entry["name"].startswith("spilled"))
    assert room["words"] == SCORE_SLOTS * 72
    counts = [predict(p, c, MemoryTiming()).counters for p, c in ((fused, CONFIG), (spilling, config))]
    assert counts[1]["store_beats"] - counts[0]["store_beats"] == 2 * 25 * 200 * 16 // CONFIG.bus.beat_bytes
    assert counts[1]["array_busy"] == counts[0]["array_busy"]


def test_an_attention_knows_its_blocks() -> None:
    attentions = [o for o in match(tokens(200, depth=2), CONFIG).operations if isinstance(o, Attention)]
    assert [o.blocks for o in attentions] == [key_blocks(200, KEY_BLOCK)] * 2
