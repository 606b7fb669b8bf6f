import random

import pytest

from tests.support.hw.columns import pack, run_pipeline, unpack
from tests.support.hw.matrix_programs import small
from vitreous.hw.matrix.byte_planes import PlaneSum


def wrapped(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


@pytest.mark.parametrize("lanes", [4, 8])
def test_planes_are_added_column_by_column(lanes: int) -> None:
    """High columns wait for the low ones with their index, which come at once, later, or more than once; columns of
    one pass go by at any time."""
    config, rng = small(lanes, 1), random.Random(lanes)
    held = [[0] * lanes for _ in range(lanes)]
    inputs, wanted = [], []
    for _ in range(2000):
        high, low = rng.choice([(1, 0), (0, 1), (0, 0)])
        index, bits = rng.randrange(lanes), rng.choice([8, 20, 28, 32])
        largest = 1 << (bits - 1)
        column = [rng.choice([-largest, largest - 1, rng.randrange(-largest, largest)]) for _ in range(lanes)]
        inputs.append({"high": high, "low": low, "index": index, "column": pack(column, 32)})
        if high:
            held[index] = column
        total = [wrapped((h << 4) + ((c + 8) >> 4)) for h, c in zip(held[index], column, strict=True)]
        wanted.append(total if low else column)
    seen = run_pipeline(PlaneSum(config), inputs, ["acc"], cycles=len(inputs))
    for given, result, expected in zip(inputs, seen, wanted, strict=True):
        if not given["high"]:
            assert unpack(result["acc"], 32, lanes, signed=True) == expected
