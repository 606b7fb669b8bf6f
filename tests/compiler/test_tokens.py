from collections import defaultdict

import pytest

from tests.support.compiler.cases import random_case
from tests.support.compiler.graphs import random_vit_graph
from vitreous.compiler import CompileError, compile
from vitreous.compiler.accesses import accesses
from vitreous.compiler.tokens import place_tokens
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, Queue, make
from vitreous.spec.opcodes.opcode import Region

Edges = set[tuple[int, int]]


def matched(instructions: list[Instruction]) -> Edges:
    """(signalling, waiting) positions: the n-th wait on a queue takes the n-th signal of it."""
    signals, waits = defaultdict(list), defaultdict(list)
    for position, i in enumerate(instructions):
        for other in Queue:
            if i.queue is not None and i.signal >> other & 1:
                signals[i.queue, other].append(position)
            if i.queue is not None and i.wait >> other & 1:
                waits[other, i.queue].append(position)
    assert {pair: len(found) for pair, found in signals.items()} == {
        pair: len(found) for pair, found in waits.items()
    }
    return {(a, b) for pair, found in signals.items() for a, b in zip(found, waits[pair], strict=True)}


def words(regions: tuple[Region, ...]) -> set[tuple[Memory, int]]:
    return {
        (r.memory, r.base + row * r.stride + word)
        for r in regions
        for row in range(r.rows)
        for word in range(r.words)
    }


def hazards(instructions: list[Instruction], config: AcceleratorConfig) -> Edges:
    """All pairs that must not overlap, by comparing every two instructions word by word."""
    touched = [tuple(words(part) for part in accesses(i, config)) for i in instructions]
    found = set()
    for j, second in enumerate(instructions):
        for i in range(j):
            first = instructions[i]
            if first.queue is second.queue and first.queue is not Queue.MATRIX:
                continue
            conflict = touched[i][1] & touched[j][0]
            if first.queue is not second.queue:
                conflict |= touched[i][1] & touched[j][1] | touched[i][0] & touched[j][1]
            if conflict:
                found.add((i, j))
    return found


def unordered(instructions: list[Instruction], edges: Edges, wanted: Edges) -> Edges:
    """Those of ``wanted`` whose first instruction need not be complete when the second issues."""
    incoming = defaultdict(list)
    for a, b in edges:
        assert a < b, "a dependency points forwards"
        incoming[b].append(a)
    complete: list[set[int]] = []  # what is complete when instruction i is
    issued: list[set[int]] = []
    previous: dict[Queue | None, int] = {}
    for position, i in enumerate(instructions):
        known: set[int] = set()
        before = previous.get(i.queue)
        if before is not None:
            known |= issued[before] if i.queue is Queue.MATRIX else complete[before]
        for source in incoming[position]:
            known |= complete[source]
        issued.append(known)
        earlier = complete[before] if before is not None else set()
        complete.append(known | earlier | {position})
        previous[i.queue] = position
    return {(i, j) for i, j in wanted if i not in issued[j]}


@pytest.mark.parametrize("seed", [0, 2, 3, 9, 14])
def test_every_hazard_is_ordered_and_every_token_is_needed(seed: int) -> None:
    arguments, config = random_case(seed)
    program = compile(random_vit_graph(**arguments), config, observe=seed % 2 == 0)
    instructions = list(program.instructions[:-1])
    edges, wanted = matched(instructions), hazards(instructions, config)
    assert wanted
    assert not unordered(instructions, edges, wanted)
    for edge in sorted(edges)[:: max(1, len(edges) // 60)]:
        assert unordered(instructions, edges - {edge}, wanted), f"the token {edge} orders nothing"


CONFIG = AcceleratorConfig()


def load(base: int) -> Instruction:
    return make(
        Opcode.LOAD, memory=Memory.W, base=base, words=4, rows=1, stride=4, dram_offset=0, dram_stride=0
    )


def store(base: int) -> Instruction:
    return make(
        Opcode.STORE, memory=Memory.W, base=base, words=4, rows=1, stride=4, dram_offset=0, dram_stride=0
    )


def test_read_after_write_and_write_after_read() -> None:
    placed = place_tokens([load(0), store(0), load(2), make(Opcode.END)], CONFIG)
    assert matched(placed) == {(0, 1), (1, 2)}


def test_independent_instructions_get_no_token() -> None:
    placed = place_tokens([load(0), store(4), load(8)], CONFIG)
    assert all(i.wait == i.signal == 0 for i in placed)


def test_a_wait_on_a_later_instruction_covers_the_earlier_ones() -> None:
    placed = place_tokens([load(0), load(4), store(4), store(0)], CONFIG)
    assert matched(placed) == {(1, 2)}


def test_more_tokens_than_a_counter_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitreous.compiler.tokens.TOKEN_BITS", 2)
    pairs = [i for n in range(5) for i in (load(4 * n), store(4 * n))]
    with pytest.raises(
        CompileError, match="The program may leave 5 tokens between two queues; a counter holds 3"
    ):
        place_tokens(pairs, CONFIG)


def test_tokens_that_are_taken_in_between_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each load waits for the store before it: one token is out at a time, however long the program."""
    monkeypatch.setattr("vitreous.compiler.tokens.TOKEN_BITS", 1)
    placed = place_tokens([i for _ in range(50) for i in (load(0), store(0))], CONFIG)
    assert sum(bool(i.signal) for i in placed) == 99
