"""Channel shifts of norms: loaded where there are any, and only there."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.support.compiler.graphs import random_vit_graph
from vitreous.compiler import CompileError, compile, listing
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig
from vitreous.spec.graph import Graph
from vitreous.spec.isa import Memory, Opcode, Queue
from vitreous.spec.layout import pack_shifts
from vitreous.spec.program import Program

CONFIG = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=4))
SIZES: dict[str, Any] = {"image": (16, 16), "patch": 4, "dim": 40, "heads": 2, "depth": 1, "mlp": 24}


def graph_of(*, shifted: bool) -> Graph:
    return random_vit_graph(3, **SIZES, shifted=shifted)


def shift_buffers(program: Program) -> dict[str, dict[str, Any]]:
    return {e["name"]: e for e in program.notes["memory"] if e["name"].endswith(".shifts")}


def test_a_norm_without_shifts_loads_and_reads_none() -> None:
    program = compile(graph_of(shifted=False), CONFIG)
    assert shift_buffers(program) == {}
    norms = [i for i in program.instructions if i.opcode is Opcode.NORM]
    assert {(i["shifted"], i["shift_base"]) for i in norms} == {(0, 0)}


def test_shifts_are_loaded_once_for_a_norm() -> None:
    graph = graph_of(shifted=True)
    program = compile(graph, CONFIG)
    wanted = {
        f"{node.outputs[0]}.shifts": node.constants["channel_shifts"]
        for node in graph
        if "channel_shifts" in node.constants and node.constants["channel_shifts"].any()
    }
    buffers = shift_buffers(program)
    assert list(buffers) == list(wanted)
    assert len(wanted) == 2, "of three norms"
    for name, shifts in wanted.items():
        buffer = buffers[name]
        assert (buffer["memory"], buffer["words"]) == ("P", 2)
        loads = [
            i
            for i in program.instructions[buffer["first_pc"] : buffer["last_pc"] + 1]
            if i.opcode is Opcode.LOAD
            and i["memory"] == Memory.P
            and i["base"] == buffer["base"]
            and i["words"] == 2
        ]
        assert len(loads) == 1
        stored = program.image[loads[0]["dram_offset"] :][:16].view(np.uint64)
        np.testing.assert_array_equal(stored, pack_shifts(shifts))
        users = [i for i in program.instructions if i.opcode is Opcode.NORM and i.label == buffer["layer"]]
        assert {(i["shifted"], i["shift_base"]) for i in users} == {(1, buffer["base"])}


def test_shifts_change_nothing_else() -> None:
    """The same instructions in the same order on every queue but that of the loads."""

    def others(program: Program) -> list[tuple[Opcode, str]]:
        return [(i.opcode, i.label) for i in program.instructions if i.queue is not Queue.LOAD]

    assert others(compile(graph_of(shifted=True), CONFIG)) == others(compile(graph_of(shifted=False), CONFIG))


def test_a_listing_names_them() -> None:
    lines = listing(compile(graph_of(shifted=True), CONFIG)).splitlines()
    norms = [line for line in lines if " NORM " in line]
    shifted = [line for line in norms if line.endswith("shifted") and " P[" in line]
    assert 0 < len(shifted) < len(norms)


def test_a_memory_that_is_too_small_for_them_is_named() -> None:
    memory = MemoryConfig(parameter_entries=32)
    config = dataclasses.replace(CONFIG, memory=memory)
    graph = random_vit_graph(
        3, image=(8, 8), patch=4, dim=1056, heads=2, depth=1, mlp=24, shifted=True
    )  # 33 words of shifts
    with pytest.raises(
        CompileError, match=r"P, the parameter memory, needs 37 entries for .*norm1\.shifts .*has 32 entries"
    ):
        compile(graph, config)
