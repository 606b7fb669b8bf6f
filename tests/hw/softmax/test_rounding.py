import random

import pytest

from tests.support.hw.columns import pack, run_pipeline, unpack
from tests.support.hw.softmax_reference import carried
from vitreous.hw.softmax.rounding import CarriedRounding
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, SoftmaxConfig
from vitreous.spec.limits import LEVEL_BITS, LEVEL_MAXIMUM

KINDS = {
    "any": lambda rng: rng.randrange(LEVEL_MAXIMUM + 1),
    "largest": lambda rng: LEVEL_MAXIMUM,
    "next to the largest": lambda rng: LEVEL_MAXIMUM - 1,
    "small": lambda rng: rng.randrange(300),
    "all ones below": lambda rng: 512 * rng.randrange(127) + 511,
    "ends": lambda rng: rng.choice([0, 255, 256, 511, 512, LEVEL_MAXIMUM]),
}


@pytest.mark.parametrize(("lanes", "depth"), [(4, 1), (4, 2), (8, 4), (4, 8)])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_levels(kind: str, lanes: int, depth: int) -> None:
    """Rows back to back, of one word and of many; what follows a row is not part of it."""
    rng = random.Random(f"{kind}{depth}")
    config = AcceleratorConfig(
        array=ArrayConfig(lanes=lanes, depth=depth), softmax=SoftmaxConfig(probability_bits=8)
    )
    inputs, wanted = [], []
    for words in (1, 1, 2, 1, 30, 3, 90):
        keys = range(words * depth)
        rows = [[KINDS[kind](rng) for _ in keys] for _ in range(lanes)]
        found = [carried(row) for row in rows]
        for at in range(0, len(keys), depth):
            level = (one for row in rows for one in row[at : at + depth])
            inputs.append({"first": int(at == 0), "level": pack(level, LEVEL_BITS), "plane": 0})
            wanted.append([p for row in found for p in row[at : at + depth]])
    dut = CarriedRounding(config)
    seen = run_pipeline(dut, inputs, ["o"], cycles=len(inputs) + dut.LATENCY)
    found = [unpack(s["o"], 8, lanes * depth, signed=True) for s in seen[dut.LATENCY :]]
    assert found == wanted
    assert all(0 <= p <= 127 for word in found for p in word)
