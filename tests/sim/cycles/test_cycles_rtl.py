"""The border of the cycle model: the simulated RTL takes the predicted cycles and counts the predicted events."""

from pathlib import Path

import pytest

from tests.support.sim.small import CASES, CONFIGURATIONS, TIMINGS, small_program
from vitreous.sim.cycles import predict
from vitreous.sim.dram import MemoryTiming
from vitreous.sim.run.runtime import simulate
from vitreous.spec.work import work

pytestmark = pytest.mark.slow

LIMIT = 0.002


@pytest.mark.parametrize("timing", TIMINGS, ids=lambda t: f"latency {t.latency}, throughput {t.throughput}")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in CONFIGURATIONS]
)
def test_rtl_takes_the_predicted_cycles(name: str, timing: MemoryTiming, tmp_path: Path) -> None:
    """Every case with two of the timings, with one of them every intermediate is stored; `make validate` has the whole
    product.
    """
    config = CONFIGURATIONS[name]
    for number, case in enumerate(CASES, TIMINGS.index(timing)):
        turn = number % len(TIMINGS)
        if not turn:
            continue
        observe = turn == 2
        program, image = small_program(config, case, observe=observe)
        run = simulate(program, [image], config, folder=tmp_path / case, timing=timing).images[0]
        result = predict(program, config, timing)
        cycles = run.counters["cycles"]
        what = f"{case}, observe {observe}: {result.cycles} predicted, {cycles} in RTL"
        assert abs(result.cycles - cycles) <= LIMIT * cycles, what
        for counter in (*work(program.instructions, config), "fetch_beats"):
            assert result.counters[counter] == run.counters[counter], f"{what}: {counter}"
        assert [span.pc for span in result.spans if span.queue == 1] == [
            span.pc for span in run.spans if span.queue == 1
        ], what
