"""Inputs of the units are those that the machine gives them, and their outputs are those of golden."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.sim.small import TINY, small_program
from vitreous.characterize.activity import stimulus
from vitreous.characterize.activity.measure import bench
from vitreous.characterize.activity.operands import Product, products, random_like, zero_like
from vitreous.characterize.activity.stimulus import pack, unpack
from vitreous.characterize.activity.units import UNITS, Unit
from vitreous.errors import RunError
from vitreous.golden.softmax.softmax import statistics
from vitreous.hw.matrix.array import Array
from vitreous.spec.work import work

CASE = "several tiles, pooled"


@cache
def fed() -> list[Product]:
    program, image = small_program(TINY, CASE)
    return list(products(program, TINY, image))


def test_bits_are_packed_from_the_lowest_up() -> None:
    values = np.array([[-1, 5, 0], [3, -8, 7]])
    words = pack(values, 4)
    assert words.tolist() == [[0x5F, 0x00], [0x83, 0x07]]
    assert unpack(words, 4, 3).tolist() == [[15, 5, 0], [3, 8, 7]]


def test_events_are_those_of_the_instructions() -> None:
    program, _ = small_program(TINY, CASE)
    counted = work(program.instructions, TINY)
    assert stimulus.array(fed(), TINY).events == counted["array_busy"]
    assert stimulus.activation(fed(), TINY).events == counted["activation_columns"] > 0
    assert stimulus.row_statistics(fed(), TINY).events == counted["score_columns"] > 0
    assert stimulus.probability(fed(), TINY).events == counted["s_reads"] > 0


def test_scores_become_the_codes_that_the_machine_stored() -> None:
    """The scores are computed here, the codes are read from the machine's memory afterwards."""
    waiting: list[Product] = []
    compared = 0
    for p in fed():
        if p.scores is not None:
            waiting.append(p)
        if p.codes is not None and p.maximum is not None:
            matches = []
            for q in waiting[-2:]:
                assert q.scores is not None
                found = statistics(torch.from_numpy(q.scores), TINY.softmax)
                codes = p.codes.transpose(1, 0, 2).reshape(len(q.scores), -1)[:, : q.columns]
                matches.append(
                    (found.codes.numpy() == codes).all() and (found.maximum.numpy() == p.maximum).all()
                )
            assert any(matches)
            compared += 1
    assert compared > 4


def test_tiles_follow_each_other_and_columns_readout_behind_them() -> None:
    """Two words a tile where N is 4: two cycles of pause, in which the operands stay."""
    a = np.arange(1, 1 + 2 * 2 * 4 * 2, dtype=np.int8).reshape(2, 1, 2, 4, 2)
    b = np.arange(2 * 4 * 2, dtype=np.int8).reshape(1, 2, 4, 2)
    made = stimulus.array([Product(part="x", a=a, b=b, columns=4)], TINY)
    assert made.events == 4
    flags = {name: made.inputs[name][:8, 0].tolist() for name in ("valid", "first", "last")}
    assert flags == {
        "valid": [1, 1, 0, 0, 1, 1, 0, 0],
        "first": [1, 0, 0, 0, 1, 0, 0, 0],
        "last": [0, 1, 0, 0, 0, 1, 0, 0],
    }
    assert (made.inputs["a"][2] == made.inputs["a"][1]).all()
    start = 1 + Array.SHADOW_LATENCY
    assert made.inputs["select"][start : start + 9, 0].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 3]
    assert made.at.tolist() == list(range(start + Array.COLUMN_LATENCY, start + Array.COLUMN_LATENCY + 8))
    tile = np.einsum("kiv,kjv->ji", a[1, 0].astype(int), b[0].astype(int))
    assert made.expected[4:].tolist() == tile.tolist()


def test_random_and_zero_data_have_the_shapes_of_the_real_ones() -> None:
    source = np.random.default_rng(1)
    for p in fed():
        for other in (random_like(p, source, TINY), zero_like(p, TINY)):
            for field in dataclasses.fields(Product):
                value, given = getattr(p, field.name), getattr(other, field.name)
                if isinstance(value, np.ndarray):
                    assert (given.shape, given.dtype) == (value.shape, value.dtype), field.name
                else:
                    assert given == value
        assert not zero_like(p, TINY).a.any()


@pytest.mark.slow
def test_the_array_is_measured_on_the_operands_of_a_program(tmp_path: Path) -> None:
    unit = dataclasses.replace(UNITS[0], name="tiny", component=lambda _: Array(TINY))
    made = bench(unit, tmp_path)
    real = made.toggles(stimulus.array(fed(), TINY))
    zero = made.toggles(stimulus.array([zero_like(p, TINY) for p in fed()], TINY))
    assert set(real) == set(zero) == set(made.nets()) >= set(dict(unit.groups))
    for group in dict(unit.groups):
        assert real[group] > 0
        assert zero[group] == 0
    right = stimulus.array(fed(), TINY)
    changed = right.expected.copy()
    changed[5, 2] += 1
    with pytest.raises(RunError, match="^tiny: 1 values of column are not those of golden$"):
        made.toggles(dataclasses.replace(right, expected=changed))


def test_units_have_names_of_files() -> None:
    assert len({unit.name for unit in UNITS}) == len(UNITS)
    assert all(isinstance(unit, Unit) and re.fullmatch(r"[a-z0-9-]+", unit.name) for unit in UNITS)
