from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitreous.compiler.tiling import (
    MemoryBudget,
    balanced,
    column_chunks,
    indivisible,
    row_blocks,
    row_groups,
)
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig

sizes = st.integers(1, 500)


@given(sizes, st.sampled_from([1, 4, 8, 32]), sizes)
def test_balanced_parts_cover_everything_once(count: int, unit: int, most: int) -> None:
    parts = balanced(count, unit, most)
    assert [i for part in parts for i in part] == list(range(count))
    assert all(part.start % unit == 0 for part in parts)
    assert all(len(part) <= max(most, unit) for part in parts)
    assert max(map(len, parts)) - min(map(len, parts)) < 2 * unit


def test_balanced_takes_the_fewest_parts() -> None:
    assert balanced(100, 8, 40) == [range(40), range(40, 72), range(72, 100)]


@pytest.mark.parametrize(("lanes", "depth"), [(4, 8), (8, 4), (32, 1)])
def test_chunks_fit_both_memories_and_begin_with_a_word(lanes: int, depth: int) -> None:
    config = AcceleratorConfig(
        array=ArrayConfig(lanes=lanes, depth=depth), memory=MemoryConfig(parameter_entries=128)
    )
    for chunk in column_chunks(config, 1000, 50, 4000, config.p_depth, MemoryBudget()):
        assert chunk.start % lanes == chunk.start % depth == 0
        assert -(-len(chunk) // lanes) * 50 <= 4000 / 3
        assert len(chunk) < 128 / 3


def test_groups_and_blocks() -> None:
    groups = row_groups(range(5, 30))
    assert len(groups) <= 8
    assert [tile for group in groups for tile in group] == list(range(5, 30))
    assert row_blocks(25, 100, 1300, 1) == [range(13), range(13, 25)]
    assert len(row_blocks(25, 100, 9999, 4)) == 4
    assert len(row_blocks(3, 100, 10, 1)) == 3


def test_budget_ends() -> None:
    for memory in "WPXR":
        budget: MemoryBudget | None = MemoryBudget()
        steps = 0
        while budget is not None:
            budget, steps = budget.without(memory, 25, 1000), steps + 1
        assert steps == {"W": 10, "P": 10, "X": 7, "R": 11}[memory]
    assert MemoryBudget().without("R", 25) is None, "no output that can be cut"


@given(st.integers(1, 64), st.integers(1, 400), sizes, st.sampled_from([4, 8]), st.sampled_from([1, 4, 8]))
def test_what_is_indivisible_stays_as_it_is(
    kib: int, inner: int, columns: int, lanes: int, depth: int
) -> None:
    config = AcceleratorConfig(
        array=ArrayConfig(lanes=lanes, depth=depth), memory=MemoryConfig(weight_kib=kib, parameter_entries=64)
    )
    budget = MemoryBudget()
    while not indivisible(config, budget, inner, config.w_depth):
        budget = replace(budget, weight_parts=budget.weight_parts * 2)
    more = replace(budget, weight_parts=budget.weight_parts * 2)
    for k_words in (-(-inner // depth), inner):
        words = config.w_depth, config.p_depth
        chunks = column_chunks(config, columns, k_words, *words, budget)
        assert chunks == column_chunks(config, columns, k_words, *words, more)
