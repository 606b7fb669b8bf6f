import numpy as np
import pytest

from tests.compiler.test_machine import TIGHT
from tests.support.compiler.cases import random_case
from tests.support.compiler.graphs import random_vit_graph
from vitreous.compiler import CompileError, compile
from vitreous.compiler.errors import MemoryFull
from vitreous.compiler.memory import _oldest, allocate, live_ranges, verify
from vitreous.compiler.steps import Buffer, Step
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig
from vitreous.spec.isa import Memory, Opcode
from vitreous.spec.program import Program

CONFIG = AcceleratorConfig(memory=MemoryConfig(weight_kib=1, activation_kib=1))  # 32 words each


def touch(*buffers: Buffer) -> Step:
    return Step(Opcode.FILL, "", {}, {str(i): (buffer, 0) for i, buffer in enumerate(buffers)})


def overlapping(program: Program) -> list[tuple[str, str]]:
    """Buffers of the program's memory map that live at the same time in the same words, every pair compared."""
    entries = program.notes["memory"]
    return [
        (a["name"], b["name"])
        for index, a in enumerate(entries)
        for b in entries[:index]
        if a["memory"] == b["memory"]
        and a["first_pc"] <= b["last_pc"]
        and b["first_pc"] <= a["last_pc"]
        and a["base"] < b["base"] + b["words"]
        and b["base"] < a["base"] + a["words"]
    ]


@pytest.mark.parametrize("seed", range(24))
def test_live_ranges_of_random_programs_do_not_overlap(seed: int) -> None:
    arguments, config = random_case(seed)
    assert not overlapping(compile(random_vit_graph(**arguments), config, observe=seed % 2 == 0))


@pytest.mark.parametrize("name", TIGHT)
def test_live_ranges_in_tight_memories_do_not_overlap(name: str) -> None:
    arguments, config = TIGHT[name]
    program = compile(random_vit_graph(1, **arguments), config)
    assert not overlapping(program)
    assert len(program.notes["memory"]) > 20


def test_live_range_is_from_the_first_to_the_last_step() -> None:
    a, b = Buffer("a", Memory.X, 4, ""), Buffer("b", Memory.X, 4, "")
    ranges = live_ranges([touch(a), touch(b), touch(a, b), touch(b)])
    assert [(r.buffer.name, r.first, r.last) for r in ranges] == [("a", 0, 2), ("b", 1, 3)]


def test_low_high_and_oldest() -> None:
    low = [Buffer(f"low{i}", Memory.W, 4, "") for i in range(2)]
    high = Buffer("high", Memory.W, 4, "", "high")
    ring = [Buffer(f"ring{i}", Memory.W, 10, "", "oldest") for i in range(4)]
    steps = [touch(*low), touch(*low, high), *[touch(buffer) for buffer in ring]]
    allocate(steps, CONFIG)
    assert [buffer.base for buffer in low] == [0, 4]
    assert high.base == 28
    # Never used words first, then those that were used longest ago.
    assert [buffer.base for buffer in ring] == [8, 18, 0, 10]


def test_a_dead_buffer_is_reused() -> None:
    a, b = Buffer("a", Memory.X, 30, ""), Buffer("b", Memory.X, 30, "")
    allocate([touch(a), touch(b)], CONFIG)
    assert a.base == b.base == 0


def test_verify_sees_an_overlap_and_an_overrun() -> None:
    a, b = Buffer("a", Memory.X, 4, ""), Buffer("b", Memory.X, 4, "")
    steps = [touch(a), touch(b), touch(a)]
    a.base, b.base = 0, 4
    verify(steps, CONFIG)
    b.base = 3
    with pytest.raises(CompileError, match="b and a live in the same words at once"):
        verify(steps, CONFIG)
    b.base = 29
    with pytest.raises(CompileError, match="b lies outside X"):
        verify(steps, CONFIG)


def test_refusal_gives_the_sizes() -> None:
    a, b = Buffer("a", Memory.X, 20, "first"), Buffer("b", Memory.X, 20, "second")
    with pytest.raises(
        MemoryFull,
        match=r"Layer second: b needs 20 words \(0.6 KiB\) of X; of 32 words \(1.0 KiB\) "
        r"12 are free at that point, 12 contiguous \(memory.activation_kib\)",
    ):
        allocate([touch(a), touch(a, b)], CONFIG)


@pytest.mark.parametrize(
    ("memory", "field"),
    [
        (MemoryConfig(activation_kib=1), "memory.activation_kib"),
        (MemoryConfig(weight_kib=1), "memory.weight_kib"),
        (MemoryConfig(residual_kib=1), "memory.residual_kib"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_the_memory(memory: MemoryConfig, field: str) -> None:
    graph = random_vit_graph(1, image=(40, 40), patch=4, dim=48, heads=2, depth=1, mlp=100)
    config = AcceleratorConfig(array=ArrayConfig(lanes=8, depth=4), memory=memory)
    with pytest.raises(CompileError, match=rf"needs \d+ words .* and has \d+ words \(1.0 KiB\) \({field}\)"):
        compile(graph, config)


@pytest.mark.parametrize("seed", range(20))
def test_the_oldest_words_are_found_as_by_trying_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    used = np.repeat(rng.integers(-1, 6, 40), rng.integers(1, 5, 40))
    words = int(rng.integers(1, 30))
    changes = [int(base) for base in np.flatnonzero(np.diff(used)) + 1 if base + words <= used.size]
    tried = [(int(used[base : base + words].max()), base) for base in (0, *changes, used.size - words)]
    assert _oldest(used, 0, used.size, words) == min(tried)
