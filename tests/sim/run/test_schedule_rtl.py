"""``[schedule]`` in RTL: bit for bit what the functional machine leaves, in the cycles that the model predicts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.sim.small import TINY, golden_window, small_program
from vitreous.sim.cycles import predict
from vitreous.sim.dram import MemoryTiming
from vitreous.sim.run.runtime import simulate
from vitreous.spec.config import ScheduleConfig

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group(TINY.name)]

CASE = "several tiles, pooled"
SCHEDULES = {
    "fused, double": ScheduleConfig(),
    "single": ScheduleConfig(double_buffer=False),
    "spilling": ScheduleConfig(fused_attention=False),
}


def test_rtl_runs_every_schedule_as_predicted(tmp_path: Path) -> None:
    """On one build: the schedule is not the hardware's."""
    cycles: dict[str, int] = {}
    for name, schedule in SCHEDULES.items():
        config = replace(TINY, schedule=schedule)
        program, image = small_program(config, CASE, observe=False)
        timing = MemoryTiming(latency=40, throughput=37)
        run = simulate(program, [image], config, folder=tmp_path / name, timing=timing).images[0]
        assert np.array_equal(run.window, golden_window(program, image, config)), name
        result = predict(program, config, timing)
        cycles[name] = run.counters["cycles"]
        assert abs(result.cycles - cycles[name]) <= 0.01 * cycles[name], (name, result.cycles, cycles[name])
        for counter in ("load_beats", "store_beats", "array_busy", "s_reads"):
            assert result.counters[counter] == run.counters[counter], (name, counter)
    assert cycles["single"] > cycles["fused, double"]
    assert cycles["spilling"] > cycles["fused, double"]
