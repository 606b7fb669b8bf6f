"""The cycle model of the vector unit against the unit itself, while the matrix unit uses the ports that both read."""

import random

import pytest

from tests.support.hw.norm_bench import STALLS, Bench, configuration, make_norm, random_memory
from tests.support.hw.norm_rows import VARIANTS
from vitreous.sim.cycles.events import Clock
from vitreous.sim.cycles.matrix import MatrixModel
from vitreous.sim.cycles.vector import VectorModel
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory

Train = tuple[int, int, int, int]
"""start, repeats, period, uses, as ``Client.use`` takes them."""


def predicted(config: AcceleratorConfig, i: Instruction, used: dict[Memory, list[Train]]) -> int:
    """When ``i``, issued in cycle 0, is done."""
    done: list[int] = []
    clock, matrix = Clock(), MatrixModel(config, lambda cycle: None)
    for memory, trains in used.items():
        for train in trains:
            matrix.reads[memory].use(*train)
    model = VectorModel(config, clock, matrix, done.append)
    model.release = lambda cycle: None
    model.start(0, 0, i)
    clock.run()
    return done[0]


def trains(rng: random.Random) -> list[Train]:
    """Tiles of instructions one after another: sometimes without a free cycle, sometimes with many."""
    found, at = [], rng.randrange(200)
    for _ in range(rng.randrange(8)):
        uses, repeats = rng.choice([4, 8, 16]), rng.randrange(1, 30)
        period = uses + rng.choice([0, 0, 1, 9])
        found.append((at, repeats, period, uses))
        at += repeats * period + rng.choice([0, 1, 100])
    return found


def busy(used: list[Train]) -> set[int]:
    return {
        start + i * period + j
        for start, repeats, period, uses in used
        for i in range(repeats)
        for j in range(uses)
    }


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed < 4 else [pytest.mark.slow]) for seed in range(24)]
)
def test_a_shifted_norm_takes_the_predicted_cycles(
    variant: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    config = configuration(variant, 4, rng.choice([1, 4]))
    channels = rng.choice([1, 32, 33, 64, 70, 95, rng.randrange(1, 130)])
    i = make_norm(rng, channels=channels, row_tiles=rng.randrange(1, 4), shifted=seed % 6 != 5, shift_base=0)
    used = {Memory.P: trains(rng), Memory.R: trains(rng) if seed % 2 else []}
    for name, memory in (("p", Memory.P), ("r", Memory.R)):
        monkeypatch.setitem(STALLS, name, lambda _, cycle, taken=busy(used[memory]): cycle in taken)
    p = [rng.getrandbits(64) for _ in range(5)]
    bench = Bench(config, random_memory(rng, 4, 600), p, read_stall="r", shift_stall="p").run([i])
    assert bench.taken == [0]
    assert bench.done == [predicted(config, i, used)]
