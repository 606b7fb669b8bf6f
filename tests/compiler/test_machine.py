"""The border of this room: the functional machine running a compiled program equals the integer graph, on
every stored value."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.compiler.cases import random_case
from tests.support.compiler.graphs import random_image, random_vit_graph
from vitreous.compiler import compile
from vitreous.flow.comparison import expected_part
from vitreous.golden import run
from vitreous.golden.machine import ORDERS, Machine
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig, QueueConfig
from vitreous.spec.graph import Graph
from vitreous.spec.program import Program

torch.set_num_threads(1)

CASES = 32
QUICK = 4

# Each makes the compiler cut something that fits whole in the random cases.
TIGHT: dict[str, tuple[dict[str, Any], AcceleratorConfig]] = {
    "embedding in blocks of rows": (
        {"image": (48, 24), "patch": 8, "channels": 2, "dim": 8, "heads": 1, "depth": 1, "mlp": 16},
        AcceleratorConfig(array=ArrayConfig(lanes=4, depth=4), memory=MemoryConfig(activation_kib=2)),
    ),
    "embedding in blocks, patches wider than a tile": (
        {"image": (32, 72), "patch": 8, "channels": 1, "dim": 6, "heads": 2, "depth": 1, "mlp": 9},
        AcceleratorConfig(array=ArrayConfig(lanes=4, depth=2), memory=MemoryConfig(activation_kib=2)),
    ),
    "hidden tensor in blocks of rows": (
        {"image": (20, 20), "patch": 4, "dim": 12, "heads": 3, "depth": 2, "mlp": 300},
        AcceleratorConfig(array=ArrayConfig(lanes=4, depth=4), memory=MemoryConfig(activation_kib=4)),
    ),
    "many chunks of weights": (
        {"image": (16, 16), "patch": 4, "dim": 48, "heads": 2, "depth": 1, "mlp": 96, "classes": 70},
        AcceleratorConfig(
            array=ArrayConfig(lanes=8, depth=2),
            memory=MemoryConfig(weight_kib=4, parameter_entries=32),
            queue=QueueConfig(depth=2),
        ),
    ),
}


def placed(program: Program, window: np.ndarray, config: AcceleratorConfig) -> dict[str, int]:
    """How many values of each tensor the program stored, all of which are read to be compared."""
    counts: dict[str, int] = {}
    for p in program.placements:
        values = p.read(window, config.array.lanes, config.array.depth)
        counts[p.tensor] = counts.get(p.tensor, 0) + values.size
    return counts


def differing(
    graph: Graph, program: Program, config: AcceleratorConfig, image: np.ndarray, order: str, seed: int
) -> list[str]:
    """Tensors of which a stored part differs from the integer graph."""
    wanted = run(graph, image, keep=True)
    result = Machine(config).run(program, image, order=order, seed=seed)
    wrong = []
    for p in program.placements:
        found = p.read(result.window, config.array.lanes, config.array.depth)
        if not np.array_equal(found, expected_part(p, wanted)):
            wrong.append(f"{p.tensor} {p.kind} rows {p.row_start} columns {p.column_start}")
    assert not any(result.leftover_tokens.values())
    return wrong


def check(graph: Graph, config: AcceleratorConfig, seed: int) -> Program:
    program = compile(graph, config, observe=True)
    image = random_image(graph, seed)
    chosen = [*ORDERS[:3], *ORDERS[3 + seed % 3 :: 3]]  # all of them over three seeds
    for order in chosen:
        assert differing(graph, program, config, image, order, seed) == [], order
    return program


@pytest.mark.parametrize(
    "seed", [pytest.param(i, marks=[] if i < QUICK else [pytest.mark.slow]) for i in range(CASES)]
)
def test_random_case(seed: int) -> None:
    arguments, config = random_case(seed)
    graph = random_vit_graph(**arguments)
    program = check(graph, config, seed)
    image = random_image(graph, seed + 1)
    plain = compile(graph, config)
    output = Machine(config).run(plain, image, order="late", seed=seed).output
    assert np.array_equal(output, run(graph, image)[graph.output.name])
    assert {p.tensor for p in plain.placements} == {graph.output.name}
    assert len(program.placements) > len(plain.placements)


def test_more_image_channels_than_a_byte_counts() -> None:
    sizes = {"image": (4, 6), "patch": 2, "channels": 300, "dim": 8, "heads": 1, "depth": 1, "mlp": 16}
    check(random_vit_graph(5, **sizes), AcceleratorConfig(array=ArrayConfig(lanes=4, depth=4)), 5)


@pytest.mark.parametrize("name", TIGHT)
def test_tight_memory(name: str) -> None:
    arguments, config = TIGHT[name]
    graph = random_vit_graph(5, **arguments)
    program = check(graph, config, 5)
    names = [entry["name"] for entry in program.notes["memory"]]
    if "embedding" in name:
        assert sum(entry.startswith("patches[") for entry in names) > 1
    elif "hidden" in name:
        assert sum(entry == "blocks.0.fc1.out" for entry in names) > 1
    else:
        assert sum(entry.startswith("head.acc.") and ".weight[" in entry for entry in names) > 3


def test_every_intermediate_is_stored_whole() -> None:
    arguments, config = random_case(4)
    graph = random_vit_graph(**arguments)
    program = compile(graph, config, observe=True)
    window = np.zeros(program.write_size, np.uint8)
    counts = placed(program, window, config)
    whole = {name: int(np.prod(graph.tensors[name].shape)) for name in counts}
    assert counts == whole
    for kind in ("norm1", "attn.q", "attn.k", "attn.v", "attn.out", "add1", "norm2", "add2"):
        assert f"blocks.0.{kind}" in counts
    assert {"embed", "logits"} <= set(counts)
    assert any("fc1" in name for name in counts)


def test_a_program_runs_again_on_used_memories() -> None:
    """Nothing may depend on memories being zero at the start."""
    arguments, config = random_case(5)
    graph = random_vit_graph(**arguments)
    program = compile(graph, config)
    machine = Machine(config)
    for seed in range(3):
        image = random_image(graph, seed)
        assert np.array_equal(machine.run(program, image).output, run(graph, image)[graph.output.name])


def test_the_comparison_sees_missing_tokens() -> None:
    arguments, config = random_case(4)
    graph = random_vit_graph(**arguments)
    program = compile(graph, config, observe=True)
    bare = tuple(i.with_tokens(wait=0, signal=0) for i in program.instructions)
    image = program.image.copy()
    code = np.frombuffer(b"".join(i.encode() for i in bare), np.uint8)
    image[program.program_offset : program.program_offset + code.size] = code
    broken = dataclasses.replace(program, instructions=bare, image=image)
    assert differing(graph, broken, config, random_image(graph, 4), "late", 4)


def test_the_comparison_sees_a_wrong_weight() -> None:
    arguments, config = random_case(3)
    graph = random_vit_graph(**arguments)
    program = compile(graph, config, observe=True)
    load = next(i for i in program.instructions if i.label == "blocks.0.mlp.fc2" and i.opcode.name == "LOAD")
    image = program.image.copy()
    image[load["dram_offset"]] ^= 0x55
    broken = dataclasses.replace(program, image=image)
    assert differing(graph, broken, config, random_image(graph, 3), "program", 3)
