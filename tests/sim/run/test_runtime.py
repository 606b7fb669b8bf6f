"""The runtime on a simulated machine: kept results, named errors, waves, builds that are not repeated."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.compiler.graphs import random_image, random_vit_graph
from tests.support.sim.programs import first, with_fields, with_instructions
from tests.support.sim.small import TINY, golden_window, image_like, small_program
from vitreous.compiler import compile
from vitreous.sim.cycles import predict
from vitreous.sim.dram import MemoryTiming
from vitreous.sim.errors import SimulationError
from vitreous.sim.run.build import build
from vitreous.sim.run.runtime import clear, simulate
from vitreous.spec.isa import Opcode

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group(TINY.name)]

CASE = "K smaller than N, relu"


def test_second_build_compiles_nothing() -> None:
    made = build(TINY)
    before = {path: path.stat().st_mtime_ns for path in made.folder.iterdir()}
    again = build(TINY)
    assert (again.cached, again.seconds, again.folder) == (True, 0.0, made.folder)
    assert {path: path.stat().st_mtime_ns for path in made.folder.iterdir()} == before


def test_resume_simulates_only_what_is_missing(tmp_path: Path) -> None:
    program, image = small_program(TINY, CASE)
    images = [image, image_like(program, 5)]
    seen: list[tuple[int, int]] = []
    whole = simulate(
        program, images, TINY, folder=tmp_path, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (2, 2)
    assert whole.seconds > 0
    assert whole.cycles_per_second > 0
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*-0000.*") if "input" not in path.name}
    assert len(kept) == 3, "window, trace, image"
    for path in tmp_path.glob("*-0001.*"):
        path.unlink()
    resumed = simulate(program, images, TINY, folder=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for before, after in zip(whole.images, resumed.images, strict=True):
        np.testing.assert_array_equal(before.window, after.window)
        assert before.spans == after.spans
    assert before.counters == after.counters
    np.testing.assert_array_equal(after.window, golden_window(program, images[1], TINY))
    third = simulate(program, images, TINY, folder=tmp_path)
    assert third.seconds == 0.0, "nothing was missing"


def test_more_than_64_mib_and_more_channels_than_a_byte_counts(tmp_path: Path) -> None:
    """A region of zeros before the write window, as constants of a large model would be: a larger DRAM is built."""
    sizes = {"image": (2, 2), "patch": 1, "channels": 300, "dim": 8, "heads": 1, "depth": 1, "mlp": 16}
    graph = random_vit_graph(1, softmax=TINY.softmax, activation=TINY.activation, norm=TINY.norm, **sizes)
    program, image = compile(graph, TINY), random_image(graph, 1)
    large = dataclasses.replace(program, image=np.concatenate([program.image, np.zeros(70 << 20, np.uint8)]))
    run = simulate(large, [image], TINY, folder=tmp_path)
    np.testing.assert_array_equal(run.images[0].window, golden_window(program, image, TINY))
    predicted = predict(large, TINY, MemoryTiming()).cycles
    assert abs(run.images[0].counters["cycles"] - predicted) <= 0.01 * predicted


def test_two_programs_in_one_folder_do_not_mix(tmp_path: Path) -> None:
    for seed in (1, 2):
        program, image = small_program(TINY, CASE, seed=seed)
        run = simulate(program, [image], TINY, folder=tmp_path)
        np.testing.assert_array_equal(run.images[0].window, golden_window(program, image, TINY))
    clear(tmp_path)
    assert not tmp_path.exists()


def test_an_error_stops_the_run_and_is_named(tmp_path: Path) -> None:
    """The second image is not tried: the machine takes no start after an error."""
    program, image = small_program(TINY, CASE)
    pc = first(program, Opcode.NORM, after=len(program.instructions) // 2)
    broken = with_instructions(program, {pc: with_fields(program.instructions[pc], channels=0)})
    with pytest.raises(SimulationError) as caught:
        simulate(broken, [image, image], TINY, folder=tmp_path, maximum_cycles=100_000)
    label = program.instructions[pc].label
    assert (
        str(caught.value)
        == f"The machine stopped with error ILLEGAL_FIELD at instruction {pc} (NORM, {label})"
    )
    assert not (tmp_path / "image-0001.json").exists()


def test_a_program_that_takes_too_long(tmp_path: Path) -> None:
    program, image = small_program(TINY, CASE)
    with pytest.raises(SimulationError, match="Image 0 did not finish: status 0x1 after 20[0-9] cycles"):
        simulate(program, [image], TINY, folder=tmp_path, maximum_cycles=200)


def test_a_run_beyond_its_limit_is_ended_by_the_machine(tmp_path: Path) -> None:
    """To the cycle: what ends in time is not touched."""
    program, image = small_program(TINY, CASE)
    cycles = simulate(program, [image], TINY, folder=tmp_path / "free", limit=0).images[0].counters["cycles"]
    limited = simulate(program, [image], TINY, folder=tmp_path / "enough", limit=cycles)
    assert limited.images[0].counters["cycles"] == cycles
    sentence = f"error CYCLE_LIMIT at instruction .*: it was not done after {cycles - 1} cycles"
    with pytest.raises(SimulationError, match=sentence):
        simulate(program, [image], TINY, folder=tmp_path / "late", limit=cycles - 1)
    plan = json.loads((tmp_path / "enough" / "plan.json").read_text())
    assert plan["cycle_limit"] == cycles


def test_the_limit_comes_from_the_cycle_model(tmp_path: Path) -> None:
    program, image = small_program(TINY, CASE)
    simulate(program, [image], TINY, folder=tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text())
    predicted = predict(program, TINY, MemoryTiming()).cycles
    assert plan["cycle_limit"] == 2 * predicted + 10_000


def test_waves_of_a_window(tmp_path: Path) -> None:
    program, image = small_program(TINY, CASE)
    run = simulate(program, [image], TINY, folder=tmp_path / "waves", waves=(300, 400))
    text = (tmp_path / "waves" / "waves.vcd").read_text()
    assert run.images == ()
    times = [int(t) for t in re.findall(r"^#(\d+)$", text, re.MULTILINE)]
    picoseconds = 2000  # of a cycle
    assert 299 * picoseconds <= times[0] <= 302 * picoseconds
    assert 399 * picoseconds <= times[-1] <= 403 * picoseconds
    for name in ("m_axi_araddr", "trace_issue_pc", "matrix"):
        assert name in text
    with pytest.raises(SimulationError, match="The simulation ended before cycle 9000000"):
        simulate(program, [image], TINY, folder=tmp_path / "late", waves=(9_000_000, 9_000_100))
