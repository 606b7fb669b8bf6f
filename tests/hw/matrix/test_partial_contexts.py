import random
from typing import Any

import pytest
from amaranth.sim import Simulator

from tests.support.hw.columns import pack, run_pipeline, unpack
from tests.support.hw.matrix_programs import small
from vitreous.hw.matrix.partial_contexts import PartialContexts, depth
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.softmax import limits


def wrapped(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def round_shift(value: int, places: int) -> int:
    if not places:
        return value
    return (value + (1 << (places - 1))) >> places if places < 64 else 0


class Reference:
    """Partial contexts and maxima of all lanes, as docs/numerics.md says it, a column at a time."""

    def __init__(self, config: AcceleratorConfig) -> None:
        lanes = config.array.lanes
        self.kept = [[0] * lanes for _ in range(depth(config))]
        self.largest, self.x, self.y = [0] * lanes, [0] * lanes, [0] * lanes

    def begin(self, maxima: list[int], *, first: bool) -> None:
        for lane, maximum in enumerate(maxima):
            largest = maximum if first else max(maximum, self.largest[lane])
            self.x[lane] = 0 if first else largest - self.largest[lane]
            self.y[lane] = largest - maximum
            self.largest[lane] = largest

    def column(self, index: int, values: list[int], *, low: bool, older: bool) -> list[int]:
        for lane, value in enumerate(values):
            kept = self.kept[index][lane] if older else 0
            if low:
                total = kept + round_shift(value, self.y[lane] + 4)
            else:
                total = round_shift(kept, self.x[lane]) + round_shift(value << 4, self.y[lane])
            self.kept[index][lane] = wrapped(total)
        return list(self.kept[index])


# A part is at most as large as 4096 probabilities make it; the sum is what its 32 bits hold.
VALUES = [0, 1, -1, 7, 8, -8, -9, (1 << 26) - 1, -(1 << 26)]


@pytest.mark.parametrize(("lanes", "bits"), [(4, 8), (4, 16), (8, 16)])
def test_parts_are_added_column_by_column(lanes: int, bits: int) -> None:
    """Columns of one and of two byte planes, of first and of later blocks, and those that pass; each place comes again
    after N cycles at the earliest. Blocks begin while the last column of the one before is on its way."""
    config, rng = small(lanes, 1, probability_bits=bits), random.Random(f"{lanes}{bits}")
    unit = PartialContexts(config)
    reference, top = Reference(config), 256 if limits(config.softmax).blocks else 0
    inputs: list[dict[str, int]] = []
    wanted: list[tuple[int, list[int]]] = []

    def at(cycle: int) -> dict[str, int]:
        while len(inputs) <= cycle:
            inputs.append({"take": 0, "begin": 0, "write": 0})
        return inputs[cycle]

    def give(cycle: int, values: list[int], index: int, *, low: int, summed: int, older: int) -> None:
        at(cycle).update(part=low | summed << 1 | older << 2, index=index)
        at(cycle + 1).update(column=pack(values, 32))
        if not summed:
            wanted.append((cycle + 1, values))
            return
        total = reference.column(index, values, low=bool(low), older=bool(older))
        wanted.append((cycle + 1, total))
        at(cycle + 2).update(write=1, write_index=index, total=pack(total, 32))

    cycle, started = 2, False
    for _ in range(150):
        first = int(not started or rng.random() < 0.3)
        started = True
        spread = rng.choice([1, 4, 40, 250])
        maxima = [max(-top, min(top - 1, rng.randrange(-spread, spread + 1))) for _ in range(lanes)]
        at(cycle - 2).update(take=1, maximum=pack(maxima, unit.maximum_bits))
        at(cycle - 1).update(begin=1, first_block=first)
        reference.begin(maxima, first=bool(first))
        planes = rng.choice([1, 2]) if bits == 16 else 1
        for tile in rng.sample(range(depth(config) // lanes), rng.randrange(1, 3)):
            for plane in range(planes):
                for j in range(lanes):
                    values = [rng.choice([*VALUES, rng.randrange(-(1 << 20), 1 << 20)]) for _ in range(lanes)]
                    low = int(planes == 2 and plane == 1)
                    summed = int(planes == 2 or rng.random() < 0.9)
                    index = tile * lanes + j
                    give(cycle, values, index, low=low, summed=summed, older=low | (1 - first))
                    cycle += 1
        cycle += rng.choice([0, 0, 1, 5])
    seen = run_pipeline(unit, inputs, ["acc", "older", "carry"], cycles=len(inputs))
    for at_cycle, expected in wanted:
        acc, older = (unpack(seen[at_cycle][name], 32, lanes, signed=True) for name in ("acc", "older"))
        carry = [seen[at_cycle]["carry"] >> lane & 1 for lane in range(lanes)]
        assert [wrapped(a + o + c) for a, o, c in zip(acc, older, carry, strict=True)] == expected


@pytest.mark.parametrize("variant", ["online", "ita"])
def test_planes_alone_are_added(variant: str) -> None:
    """Where a row is one block: ``(high << 4) + ((low + 8) >> 4)``."""
    config, rng, lanes = small(4, 1, variant=variant), random.Random(variant), 4
    inputs: list[dict[str, int]] = [{"write": 0} for _ in range(12)]
    high, low = (
        [[rng.randrange(-(1 << 24), 1 << 24) for _ in range(lanes)] for _ in range(4)] for _ in range(2)
    )
    for j in range(4):
        inputs[j].update(part=2, index=j)
        inputs[4 + j].update(part=7, index=j)
        inputs[1 + j].update(column=pack(high[j], 32))
        inputs[5 + j].update(column=pack(low[j], 32))
        inputs[2 + j].update(write=1, write_index=j, total=pack([h << 4 for h in high[j]], 32))
    seen = run_pipeline(PartialContexts(config), inputs, ["acc", "older", "carry"], cycles=len(inputs))
    for j in range(4):
        acc, older = (unpack(seen[5 + j][name], 32, lanes, signed=True) for name in ("acc", "older"))
        carry = [seen[5 + j]["carry"] >> lane & 1 for lane in range(lanes)]
        total = [a + o + c for a, o, c in zip(acc, older, carry, strict=True)]
        assert total == [
            (upper << 4) + ((lower + 8) >> 4) for upper, lower in zip(high[j], low[j], strict=True)
        ]


def test_without_parts_columns_pass() -> None:
    config, column = small(4, 1, variant="online", probability_bits=8), [3, -4, (1 << 31) - 1, -(1 << 31)]
    unit = PartialContexts(config)
    assert depth(config) == 0

    async def bench(ctx: Any) -> None:
        ctx.set(unit.column.as_value(), pack(column, 32))
        assert unpack(ctx.get(unit.acc.as_value()), 32, 4, signed=True) == column
        assert not ctx.get(unit.older.as_value())

    simulator = Simulator(unit)
    simulator.add_testbench(bench)
    simulator.run()
