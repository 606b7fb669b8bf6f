"""The bench's trace becomes spans; results on disk become sentences. No simulation here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.sim.small import TIMINGS, TINY, small_program
from vitreous.sim.dram import MemoryTiming
from vitreous.sim.errors import SimulationError
from vitreous.sim.run import build as builds
from vitreous.sim.run import runtime
from vitreous.sim.run.build import cache_key, top_ports
from vitreous.sim.run.runtime import simulate
from vitreous.sim.run.trace import Span, read_trace
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig, QueueConfig
from vitreous.spec.digest import source_digest, source_files
from vitreous.spec.isa import ErrorCode, Queue


def counters_of(load: int = 0, matrix: int = 0, row: int = 0, store: int = 0) -> str:
    return f"{store:06x}{row:06x}{matrix:06x}{load:06x}"


def test_spans_of_a_trace(tmp_path: Path) -> None:
    lines = [
        f"90 1 0 {counters_of(load=77)}",  # before the image: not counted
        f"99 0 1 {counters_of()}",
        f"100 1 0 {counters_of(load=0)}",
        f"104 2 1 {counters_of(load=0, matrix=1)}",
        f"105 2 0 {counters_of(matrix=258)}",  # two matrix instructions in flight
        f"109 c 2 {counters_of(row=3, store=4)}",
        f"112 0 a {counters_of()}",
        f"115 4 4 {counters_of(row=5)}",  # the next one issues in the cycle in which the last one is done
        f"116 0 4 {counters_of()}",
        f"200 1 0 {counters_of(load=9)}",  # after the image
    ]
    path = tmp_path / "trace.txt"
    path.write_text("\n".join(lines) + "\n")
    assert read_trace(path, 100, 150) == (
        Span(Queue.LOAD, 0, 0, 4),
        Span(Queue.MATRIX, 1, 4, 9),
        Span(Queue.MATRIX, 258, 5, 12),
        Span(Queue.VECTOR, 3, 9, 15),
        Span(Queue.STORE, 4, 9, 12),
        Span(Queue.VECTOR, 5, 15, 16),
    )


def recorded(folder: Path, **changes: Any) -> Path:
    """Files as ``sim.run.session`` leaves them after an image."""
    result = {
        "status": isa.STATUS_DONE,
        "counters": {"cycles": 3},
        "first_cycle": 10,
        "last_cycle": 20,
        "seconds": 0.5,
        "violations": 0,
        **changes,
    }
    (folder / "image-0000.json").write_text(json.dumps(result))
    np.save(folder / "window-0000.npy", np.zeros(4, np.uint8))
    return folder


def test_a_recorded_image(tmp_path: Path) -> None:
    program, _ = small_program(TINY, "K smaller than N, relu")
    (tmp_path / "trace-0000.txt").write_text(f"12 1 0 {counters_of()}\n15 0 1 {counters_of()}\n")
    run = runtime._read_image(recorded(tmp_path), 0, program, 0)
    assert (run.counters, run.simulated_cycles, run.seconds) == ({"cycles": 3}, 10, 0.5)
    assert run.spans == (Span(Queue.LOAD, 0, 2, 5),)


def test_error_status_names_code_counter_and_instruction(tmp_path: Path) -> None:
    program, _ = small_program(TINY, "K smaller than N, relu")
    pc = next(pc for pc, i in enumerate(program.instructions) if i.opcode is isa.Opcode.NORM)
    status = isa.error_status(ErrorCode.ADDRESS, pc)
    with pytest.raises(SimulationError) as caught:
        runtime._read_image(recorded(tmp_path, status=status), 0, program, 0)
    label = program.instructions[pc].label
    assert label
    assert str(caught.value) == f"The machine stopped with error ADDRESS at instruction {pc} (NORM, {label})"
    beyond = isa.error_status(ErrorCode.WINDOW, 60000)
    with pytest.raises(SimulationError, match="error WINDOW at instruction 60000$"):
        runtime._read_image(recorded(tmp_path, status=beyond), 0, program, 0)
    with pytest.raises(SimulationError, match="Image 0 did not finish: status 0x1 after 10 cycles"):
        runtime._read_image(recorded(tmp_path, status=isa.STATUS_BUSY), 0, program, 0)
    with pytest.raises(SimulationError, match="The memory saw 2 protocol violations in image 0"):
        runtime._read_image(recorded(tmp_path, violations=2), 0, program, 0)


def test_refusals(tmp_path: Path) -> None:
    program, image = small_program(TINY, "K smaller than N, relu")
    other = AcceleratorConfig(queue=QueueConfig(depth=4))
    with pytest.raises(SimulationError) as caught:
        simulate(program, [image], other, folder=tmp_path)
    assert TINY.digest in str(caught.value)
    assert other.digest in str(caught.value)
    for waves in ((200, 100), (5, 5), (-1, 5)):
        with pytest.raises(SimulationError, match="first below last"):
            simulate(program, [image], TINY, folder=tmp_path, waves=waves)
    with pytest.raises(SimulationError, match="The memory latency must be at least 1 cycle, not 0"):
        MemoryTiming(latency=0)
    for percent in (0, 101):
        with pytest.raises(SimulationError, match=f"in 1..100 beats per 100 cycles, not {percent}"):
            MemoryTiming(throughput=percent)
    assert not list(tmp_path.iterdir())


def test_plans_of_two_programs_do_not_share_results(tmp_path: Path) -> None:
    """Another program, image, timing or build empties the folder; the same plan keeps what is there."""
    made = builds.Build(folder=Path("none"), seconds=0.0, cached=True)
    first, image = small_program(TINY, "K smaller than N, relu", seed=1)
    second, _ = small_program(TINY, "K smaller than N, relu", seed=2)

    def missing(
        program: Any = first, picture: Any = image, timing: MemoryTiming = TIMINGS[0], build: Any = made
    ) -> list[int]:
        plan = runtime.make_plan(program, TINY, build, timing)
        runtime._prepare_folder(tmp_path, plan, program, [picture, picture])
        done: list[int] = plan["images"]
        return done

    assert missing() == [0, 1]
    recorded(tmp_path)
    assert missing() == [1]
    for change in (
        {"program": second},
        {"picture": image[:, ::-1]},
        {"timing": TIMINGS[1]},
        {"build": builds.Build(folder=Path("other"), seconds=0.0, cached=True)},
    ):
        recorded(tmp_path)
        assert missing(**change) == [0, 1], change
        assert missing() == [0, 1]
    recorded(tmp_path)
    (tmp_path / "plan.json").write_text("{")
    assert missing() == [0, 1], "a plan that was cut off says nothing"


def test_cache_key_follows_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name for name, _ in source_files(*builds._SOURCES)}
    assert {
        "hw/matrix/matrix.py",
        "hw/verilog/verilog.py",
        "spec/isa.py",
        "spec/tables.py",
        "sim/run/bench.sv",
    } <= names
    key = cache_key(TINY)
    assert cache_key(TINY) == key
    keys = {key, cache_key(TINY, "ports"), cache_key(AcceleratorConfig(queue=QueueConfig(depth=4)))}
    monkeypatch.setattr(builds, "source_digest", lambda *places: "another" + source_digest(*places))
    keys.add(cache_key(TINY))
    assert len(keys) == 4


def test_ports_of_verilog() -> None:
    text = "module \\accelerator.x (a);\nendmodule\nmodule accelerator(clk, \n  rst, m_axi_awaddr);\n"
    assert top_ports(text) == ["clk", "rst", "m_axi_awaddr"]
    with pytest.raises(SimulationError, match="no module accelerator"):
        top_ports("module other(a);")
