from pathlib import Path

import numpy as np

from tests.support.compiler.cases import random_case
from tests.support.compiler.graphs import random_vit_graph
from vitreous.compiler import compile, listing
from vitreous.compiler.listing import matrix_cycles
from vitreous.spec.isa import INSTRUCTION_BYTES, Opcode, Queue
from vitreous.spec.layout import DRAM_ALIGN
from vitreous.spec.program import load, save


def test_listing_has_a_line_for_each_instruction() -> None:
    arguments, config = random_case(5)
    program = compile(random_vit_graph(**arguments), config)
    text = listing(program)
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("    pc"))
    assert len(lines) - first - 1 == len(program.instructions)
    for line, instruction in zip(lines[first + 1 :], program.instructions, strict=True):
        assert instruction.opcode.name in line
        assert instruction.label in line
        for queue in Queue:
            if instruction.wait >> queue & 1:
                assert queue.name.lower() in line
    for entry in program.notes["transfers"]:
        assert lines[first + 1 + entry["pc"]].endswith(f"; {entry['tensor']}: {entry['cause']}")
    assert "blocks.0.attn.qkv" in text
    assert f"{len(program.instructions)} instructions" in text
    assert "(the result)" in text
    assert config.digest in text


def test_the_image_holds_the_program_and_survives_saving(tmp_path: Path) -> None:
    arguments, config = random_case(6)
    graph = random_vit_graph(**arguments)
    program = compile(graph, config, observe=True)
    assert program.program_offset % DRAM_ALIGN == program.input_offset % DRAM_ALIGN == 0
    code = program.image[program.program_offset :][: len(program.instructions) * INSTRUCTION_BYTES].tobytes()
    assert code == b"".join(i.encode() for i in program.instructions)
    assert program.instructions[-1].opcode is Opcode.END
    read = load(save(program, tmp_path / "program.safetensors"))
    assert read.instructions == program.instructions
    assert np.array_equal(read.image, program.image)
    assert read.notes == program.notes
    assert listing(read) == listing(program)


def test_notes_name_every_layer_with_its_work() -> None:
    arguments, config = random_case(6)
    graph = random_vit_graph(**arguments)
    program = compile(graph, config)
    layers = {entry["label"]: entry["macs"] for entry in program.notes["layers"]}
    assert sum(layers.values()) == graph.macs
    labels = {i.label for i in program.instructions if i.opcode is not Opcode.END}
    assert labels <= set(layers) | {"head"}
    assert [entry["layer"] for entry in program.notes["attention"]] == [
        label for label in layers if label.endswith(".attn")
    ]
    assert matrix_cycles(program) * config.array.macs_per_cycle >= graph.macs
