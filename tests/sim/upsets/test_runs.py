"""Single flips in a running machine: what each does is known beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns.upsets.kinds import Verdict, verdict
from campaigns.upsets.subject import subject
from tests.support.sim.small import TINY
from vitreous.sim.errors import SimulationError
from vitreous.sim.run.state import elements
from vitreous.sim.upsets.runs import Flip, Subject, clean_cycles, read_upsets, run_flips
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.isa import ErrorCode

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("upsets")]


@pytest.fixture(scope="module")
def target() -> Subject:
    return subject(TINY, SIMULATORS)


@pytest.fixture(scope="module")
def cycles(target: Subject, tmp_path_factory: pytest.TempPathFactory) -> int:
    return clean_cycles(target, tmp_path_factory.mktemp("clean"))


def test_each_flip_does_what_it_must(target: Subject, cycles: int, tmp_path: Path) -> None:
    wanted = {
        # Statistics, not the program: nothing is stored of them.
        ("counters.cycles", None, 40): Verdict.MASKED,
        # The base of the window of writes moves by 64 KiB: it keeps its new value for the whole run.
        ("registers.write_base", None, 16): Verdict.OUTSIDE,
        # A token that nobody gave and nobody takes.
        ("tokens.store_to_store", None, 3): Verdict.MASKED,
        # The report of a unit, on its way to control.
        ("error_0", None, 0): Verdict.ERROR,
    }
    flips = [
        Flip(index=index, path=path, word=word, bit=bit, cycle=cycles // 3)
        for index, (path, word, bit) in enumerate(wanted)
    ]
    upsets = run_flips(target, flips, tmp_path, cycles=cycles)
    assert [verdict(upset) for upset in upsets] == list(wanted.values()), upsets
    assert all(upset.recovered for upset in upsets)
    assert [upset.error for upset in upsets] == [None, None, None, ErrorCode.NONE]


def test_a_call_that_is_repeated_runs_only_what_is_missing(
    target: Subject, cycles: int, tmp_path: Path
) -> None:
    state = elements((target.made.folder / "accelerator.v").read_text(), "accelerator")
    (memory,) = (element for element in state if element.unit.startswith("memory_x.") and element.words)
    flips = [Flip(index=i, path=memory.path, word=i, bit=0, cycle=100) for i in range(3)]
    first = run_flips(target, flips[:2], tmp_path, cycles=cycles)
    lines = tmp_path / "flips.jsonl"
    lines.write_text(lines.read_text() + '{"flip": {"index": 2, "pa')  # interrupted while it was written
    log = (tmp_path / "simulation.log").stat().st_mtime_ns
    assert run_flips(target, flips[:2], tmp_path, cycles=cycles) == first
    assert (tmp_path / "simulation.log").stat().st_mtime_ns == log
    assert run_flips(target, flips, tmp_path, cycles=cycles)[:2] == first
    assert sorted(read_upsets(tmp_path)) == [0, 1, 2]


def test_every_register_and_memory_can_be_reached(target: Subject, cycles: int, tmp_path: Path) -> None:
    state = elements((target.made.folder / "accelerator.v").read_text(), "accelerator")
    flips = [
        Flip(
            index=index,
            path=element.path,
            word=0 if element.words else None,
            bit=element.width - 1,
            cycle=200,
        )
        for index, element in enumerate(state)
    ]
    upsets = run_flips(target, flips[::3], tmp_path, cycles=cycles)
    assert len(upsets) == len(flips[::3]) > 200


def test_a_path_that_is_not_there_is_an_error(target: Subject, cycles: int, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="dut.tokens.nothing"):
        run_flips(
            target, [Flip(index=0, path="tokens.nothing", word=None, bit=0, cycle=1)], tmp_path, cycles=cycles
        )
