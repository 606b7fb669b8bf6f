"""The machine with ``[protect] parity``: the same numbers in the same cycles, and a flip of what it covers stops it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from campaigns.upsets.kinds import Role, Verdict, role, verdict
from campaigns.upsets.subject import accelerator, subject
from tests.support.sim.small import TIMINGS, TINY, golden_window, small_program
from vitreous.sim.run.runtime import simulate
from vitreous.sim.run.state import elements
from vitreous.sim.upsets.runs import Flip, Subject, clean_cycles, run_flips
from vitreous.spec.config import ProtectConfig
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.isa import ErrorCode

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("protection")]

PROTECTED = replace(TINY, name="small-parity", protect=ProtectConfig(parity=True))


@pytest.mark.parametrize("timing", TIMINGS[:2], ids=lambda timing: f"latency {timing.latency}")
@pytest.mark.parametrize("case", ["class token, many classes", "one token, one head, pooled"])
def test_without_an_upset_nothing_changes(case: str, timing: object, tmp_path: Path) -> None:
    runs = []
    for config in (TINY, PROTECTED):
        program, image = small_program(config, case, seed=5)
        run = simulate(program, [image], config, folder=tmp_path / config.name, timing=timing)  # type: ignore[arg-type]
        assert (run.images[0].window == golden_window(program, image, config)).all()
        runs.append(run.images[0])
    assert runs[0].counters == runs[1].counters  # cycles among them
    assert runs[0].spans == runs[1].spans


@pytest.fixture(scope="module")
def target() -> Subject:
    return subject(accelerator(TINY.name, parity=True), SIMULATORS)


@pytest.fixture(scope="module")
def cycles(target: Subject, tmp_path_factory: pytest.TempPathFactory) -> int:
    return clean_cycles(target, tmp_path_factory.mktemp("clean"))


def test_a_flip_of_covered_state_stops_the_machine_and_a_reset_mends_it(
    target: Subject, cycles: int, tmp_path: Path
) -> None:
    state = elements((target.made.folder / "accelerator.v").read_text(), "accelerator")
    parity = [element for element in state if element.path.endswith("_parity")]
    assert len(parity) > 100
    covered = {
        "tokens.store_to_store": 3,
        "tokens.load_to_matrix": 15,
        "registers.write_base": 16,
        "registers.read_size": 31,
        "registers.interrupt_enable": 0,
        "fetch.bursts.address": 20,
        "store.bursts.row_address": 31,
        "load.front.rows.stride": 7,
        "load.outstanding": 0,
        "store.outstanding": 1,
        "queue_store.waiting.written": 0,
        "queue_matrix.issued.queue.level": 2,
        "halt_load": 0,
    }
    flips = [
        Flip(index=index, path=path, word=None, bit=bit, cycle=cycles // 3)
        for index, (path, bit) in enumerate((covered | {e.path: 0 for e in parity[::9]}).items())
    ]
    upsets = run_flips(target, flips, tmp_path, cycles=cycles)
    assert {upset.flip.path: upset.error for upset in upsets if upset.error is not ErrorCode.PARITY} == {}
    assert [upset.flip.path for upset in upsets if not upset.recovered] == []


def test_flips_of_bursts_never_show_on_the_bus(target: Subject, cycles: int, tmp_path: Path) -> None:
    state = elements((target.made.folder / "accelerator.v").read_text(), "accelerator")
    bursts = [e for e in state if role(e.path) is Role.BURSTS and e.width > 4 and not e.words]
    flips = [
        Flip(index=index, path=e.path, word=None, bit=e.width // 2, cycle=cycles * (index % 7 + 1) // 8)
        for index, e in enumerate(bursts)
    ]
    upsets = run_flips(target, flips, tmp_path, cycles=cycles)
    assert {verdict(upset) for upset in upsets} <= {Verdict.MASKED, Verdict.ERROR}
    assert not any(upset.violations for upset in upsets)
