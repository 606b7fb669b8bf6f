"""The program fuzzer: its cases, its referee on runs that are made wrong, and a share of ``make fuzz``."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from campaigns.fuzz.campaign import Store, run, run_cases, timing_of
from campaigns.fuzz.case import Kind
from campaigns.fuzz.configurations import CONFIGURATIONS
from campaigns.fuzz.referee import Finding, cycle_limit, judge
from campaigns.fuzz.reproduce import write_case
from campaigns.fuzz.simulation import build, simulate
from campaigns.fuzz.world import make_case
from vitreous.spec.config import ArrayConfig, load_accelerator
from vitreous.spec.isa import ErrorCode

NAME, SEED, COUNT = "4x2", 7, 40


@pytest.mark.slow
def test_cases_repeat_with_their_seed_and_every_kind_takes_its_turn() -> None:
    cases = [make_case(NAME, SEED, index) for index in range(40)]
    assert cases == [make_case(NAME, SEED, index) for index in range(40)]
    assert Counter(case.kind for case in cases) == dict.fromkeys(Kind, 8)
    assert len({(case.image, case.settings["READ_SIZE"], case.actions, case.length) for case in cases}) > 30


def test_the_last_configuration_has_the_array_and_the_bus_of_its_preset() -> None:
    preset, small = load_accelerator("edge64"), CONFIGURATIONS["edge64"]
    assert (small.array, small.bus.data_bits) == (preset.array, preset.bus.data_bits)
    assert small.array == ArrayConfig(lanes=4, depth=4)


@pytest.mark.slow
def test_a_share_of_the_campaign_and_a_referee_that_sees(tmp_path: Path) -> None:
    """Forty programs agree; a run of theirs in which one thing is changed does not; a second campaign runs nothing."""
    told: list[int] = []
    records = run([NAME], COUNT, SEED, folder=tmp_path, jobs=1, done=told.append)
    assert {record.kind for record in records} == set(Kind)
    assert not [record for record in records if record.finding is Finding.WRONG]
    assert sum(told) == COUNT
    assert {record.index: record for record in records} == Store(tmp_path, SEED).read(NAME)
    assert len(run([NAME], COUNT, SEED, folder=tmp_path, jobs=1, done=told.append)) == COUNT
    assert Store(tmp_path, SEED + 1).read(NAME) == {}

    done = [r.index for r in records if r.finding is Finding.EQUAL and r.kind is Kind.FLIPS]
    cases = {index: make_case(NAME, SEED, index) for index in done}
    limits = {index: cycle_limit(case, NAME, timing_of(0)) for index, case in cases.items()}
    seen = simulate(build(NAME), NAME, cases, limits, timing_of(0), tmp_path / "run")
    index = next(index for index, found in seen.items() if found.status == 2 and found.events)
    case, found = cases[index], seen[index]
    assert judge(case, NAME, found, limits[index]).finding is Finding.EQUAL
    flipped = bytes([found.window[0] ^ 1]) + found.window[1:]
    memories = found.memories[:-1] + bytes([found.memories[-1] ^ 1])
    changes = {
        "verdict": {"status": 4 | ErrorCode.WINDOW << 8},
        "hang": {"ended": False, "status": 1},
        "bytes": {"window": flipped},
        "behind": {"window": found.window[:-1] + bytes([found.window[-1] ^ 1])},
        "words of R": {"memories": memories},
        "order": {"events": found.events[1:]},
        "done with": {"events": found.events[:-1]},
        "outside": {"outside_writes": 1},
        "after the interrupt": {"late": 1},
        "dead": {"dead": True},
    }
    for why, change in changes.items():
        verdict = judge(case, NAME, dataclasses.replace(found, **change), limits[index])
        assert verdict.finding is Finding.WRONG, why
        assert why in verdict.why
    write_case(tmp_path / "case.json", records[0], SEED, case)
    assert "program" in (tmp_path / "case.json").read_text()
    (again,) = run_cases(build(NAME), NAME, {index: case}, timing_of(0), tmp_path / "again")
    assert again.finding is Finding.EQUAL
