import dataclasses

import pytest

from tests.support.compiler.cases import random_case
from tests.support.compiler.graphs import random_vit_graph
from vitreous.compiler import CompileError, compile, planning
from vitreous.compiler.accesses import memory_words
from vitreous.compiler.errors import MemoryFull
from vitreous.compiler.needs import DoesNotFitError, Need, shortages
from vitreous.compiler.planning import (
    CHUNKED,
    NAMES,
    PLACED,
    granule,
    plan,
    program_needs,
    requirements,
    task,
)
from vitreous.compiler.steps import Step
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig
from vitreous.spec.isa import Memory, Opcode

SMALL = AcceleratorConfig(
    name="small",
    array=ArrayConfig(lanes=8, depth=4),
    memory=MemoryConfig(activation_kib=1, weight_kib=1, residual_kib=1, parameter_entries=32, score_keys=8),
)


def test_a_refusal_names_all_shortages_and_what_mends_them() -> None:
    graph = random_vit_graph(1, image=(40, 40), patch=4, dim=64, heads=1, depth=1, mlp=100)
    with pytest.raises(DoesNotFitError) as refusal:
        compile(graph, SMALL)
    fields = {need.field for need in refusal.value.shortages}
    assert fields == {
        "memory.activation_kib",
        "memory.weight_kib",
        "memory.residual_kib",
        "memory.score_keys",
    }
    for field in fields:
        assert f"({field})" in str(refusal.value)
    command = "`vitreous fit random-1 --accelerator small.toml --out mine.toml`"
    assert str(refusal.value).endswith(f"{command} writes an accelerator that holds it")


def test_a_named_accelerator_is_named_in_the_command() -> None:
    graph = random_vit_graph(1, image=(40, 40), patch=4, dim=64, heads=1, depth=1, mlp=100)
    with pytest.raises(DoesNotFitError, match="--accelerator edge64 --out"):
        compile(graph, dataclasses.replace(SMALL, name="edge64"))


@pytest.mark.slow
def test_no_command_is_promised_where_no_accelerator_is_large_enough() -> None:
    graph = random_vit_graph(1, image=(4, 4), patch=4, dim=4104, heads=1, depth=1, mlp=8)
    with pytest.raises(
        DoesNotFitError, match=r"4104 channels of a norm, and the machine takes at most 4096"
    ) as no:
        compile(graph, SMALL)
    assert "vitreous fit" not in str(no.value)
    assert "memory.activation_kib" in str(no.value)


@pytest.mark.parametrize("seed", range(12))
def test_the_least_words_of_a_memory_are_enough_and_fewer_are_not(seed: int) -> None:
    arguments, config = random_case(seed)
    work = task(random_vit_graph(**arguments), config)
    ample = dict.fromkeys(Memory, 1 << 16)
    for memory in PLACED:
        least = work.least[memory]
        words = {**ample, memory: least}
        plan(work, words)
        step = granule(config, memory)
        if memory not in CHUNKED and least > step:
            with pytest.raises(MemoryFull) as refusal:
                plan(work, {**words, memory: least - step})
            assert refusal.value.memory == memory.name


@pytest.mark.parametrize("seed", range(12))
def test_the_least_of_all_memories_is_enough_together(seed: int) -> None:
    arguments, config = random_case(seed)
    work = task(random_vit_graph(**arguments), config)
    words = {**memory_words(config), **work.least}
    made = plan(work, words)
    for step in made.emitter.steps:
        for buffer, _ in step.addresses.values():
            assert 0 <= buffer.base <= words[buffer.memory] - buffer.words
    assert {need.what: need.needed for need in requirements(work)}.items() >= {
        NAMES[memory]: work.least[memory] for memory in PLACED
    }.items()


def test_a_program_that_is_too_long_and_a_field_that_is_too_narrow_are_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planning, "PC_BITS", 16)
    steps = [Step(Opcode.NORM, "norm", {"row_tiles": 4096 + index}, {}) for index in range(3)]
    found = shortages(program_needs(steps * 30000, 1 << 33, 1))
    assert [(need.what, need.needed, need.available) for need in found] == [
        ("the program counter", 90001, 65536),
        ("the read window", 1 << 33, 1 << 32),
        ("the field NORM.row_tiles", 4098, 4095),
    ]


def test_the_largest_need_of_each_kind_is_kept() -> None:
    def need(what: str, needed: int) -> Need:
        return Need(what=what, needed=needed, available=5, unit="words", who="", most=9, field="a.b")

    found = shortages([need("X", 6), need("W", 5), need("X", 8), need("X", 7)])
    assert [(each.what, each.needed) for each in found] == [("X", 8)]


def test_a_program_too_long_for_the_counter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "PC_BITS", 5)
    graph = random_vit_graph(1, image=(16, 16), patch=4, dim=64, heads=1, depth=1, mlp=100)
    with pytest.raises(CompileError, match=r"\d+ instructions, and the program counter takes at most 32"):
        compile(graph, AcceleratorConfig())
