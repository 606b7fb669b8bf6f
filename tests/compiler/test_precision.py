"""The closed form of what a width costs, against the instructions; and what comes from the graph's notes."""

import dataclasses

import pytest

from tests.support.compiler.cases import random_case
from tests.support.compiler.graphs import random_vit_graph
from vitreous.compiler import compile, listing
from vitreous.compiler.listing import matrix_cycles
from vitreous.spec.config import AcceleratorConfig, SoftmaxConfig
from vitreous.spec.isa import Opcode, Operands
from vitreous.spec.layout import ceil_div
from vitreous.spec.program import Program


def context_cycles(program: Program, config: AcceleratorConfig, layer: str) -> int:
    """Of all instructions that multiply probabilities with values in one layer."""
    lanes = config.array.lanes
    return sum(
        i["row_tiles"] * ceil_div(i["columns"], lanes) * max(i["k_words"], lanes) * (1 + i["extra_planes"])
        for i in program.instructions
        if i.opcode is Opcode.MATMUL and i["operands"] == Operands.SW and i.label == layer
    )


@pytest.mark.parametrize("seed", range(4, 16))
def test_cycles_are_those_of_the_instructions(seed: int) -> None:
    arguments, config = random_case(seed)
    program = compile(random_vit_graph(**arguments), config)
    widths = arguments["widths"]
    for index, entry in enumerate(program.notes["attention"]):
        assert entry["probability_bits"] == widths[index % len(widths)]
        taken = entry["cycles"][str(entry["probability_bits"])]
        assert context_cycles(program, config, entry["layer"]) == taken
        assert entry["cycles"]["16"] == 2 * entry["cycles"]["8"]
    assert len(program.notes["attention"]) == arguments["depth"]


def test_two_planes_cost_what_the_notes_say() -> None:
    arguments, _ = random_case(5)
    del arguments["widths"], arguments["softmax"], arguments["activation"], arguments["norm"]
    config = AcceleratorConfig(softmax=SoftmaxConfig(probability_bits=16))
    narrow, wide = (compile(random_vit_graph(**arguments, widths=(bits,)), config) for bits in (8, 16))
    cost = sum(entry["cycles"]["8"] for entry in narrow.notes["attention"])
    assert matrix_cycles(wide) - matrix_cycles(narrow) == cost


def test_what_calibration_measured_reaches_program_and_listing() -> None:
    arguments, config = random_case(6)
    graph = random_vit_graph(**arguments)
    name = "blocks.0.attn.out"
    measured = {"8": {"error": 0.0173, "rounding": 0.0061, "mass": 0.0123, "worst": 0.0571}}
    gain = {"part": 0.0312, "interval": [-0.1, 0.15]}
    choice = {
        "reason": "measured",
        "images": 8,
        "margin": 0.1,
        "errors": {"8": 0.02, "16": 0.01, "chosen": 0.02},
    }
    notes = {"attention": {**choice, "layers": [{"name": name, "measured": measured, "gain": gain}]}}
    program = compile(dataclasses.replace(graph, notes=notes), config)
    first = program.notes["attention"][0]
    assert (first["name"], first["measured"], first["gain"]) == (name, measured, gain)
    assert program.notes["probabilities"] == choice
    line = next(line for line in listing(program).splitlines() if line.startswith("blocks.0.attn "))
    assert "rounding 0.0061, row sums off by 1.23% rms; 16 bits gain 3.1%" in line
    assert str(first["cycles"]["8"]) in line
    bare = compile(graph, config)
    assert "not measured" in listing(bare)
    assert bare.notes["probabilities"] == {}
    assert all(entry["gain"] is None for entry in bare.notes["attention"])
