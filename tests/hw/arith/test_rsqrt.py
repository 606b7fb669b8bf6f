import random

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tests.support.hw.columns import pack, run_pipeline, unpack
from tests.support.hw.norm_rows import norm_scale, reciprocal_root
from vitreous.hw.arith.rsqrt import ReciprocalRoot
from vitreous.hw.norm.scale import NormScale


class Roots(wiring.Component):
    """Several units side by side, so that a long list takes few cycles."""

    def __init__(self, count: int) -> None:
        self.units = [ReciprocalRoot() for _ in range(count)]
        super().__init__(
            {
                "variance": In(data.ArrayLayout(55, count)),
                "root": Out(data.ArrayLayout(16, count)),
                "half_exponent": Out(data.ArrayLayout(5, count)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for index, unit in enumerate(self.units):
            m.submodules += unit
            m.d.comb += [
                unit.variance.eq(self.variance[index]),
                self.root[index].eq(unit.root),
                self.half_exponent[index].eq(unit.half_exponent),
            ]
        return m


def test_normalized_numbers_and_every_exponent() -> None:
    # The case "ReciprocalRoot" of campaigns.vectors has all normalized numbers, at four exponents, in compiled RTL.
    rng, count = random.Random(1), 16
    values = list(range(1 << 16, 1 << 18, 397))
    values += [v + d for e in range(55) for v in [1 << e] for d in (-1, 0, 1) if 0 < v + d < 1 << 55]
    values += [rng.getrandbits(rng.randrange(1, 56)) | 1 for _ in range(600)]
    values += [1] * (-len(values) % count)
    inputs = [{"variance": pack(values[i : i + count], 55)} for i in range(0, len(values), count)]
    latency = ReciprocalRoot.LATENCY
    seen = run_pipeline(Roots(count), inputs, ["root", "half_exponent"], cycles=len(inputs) + latency)
    roots = [root for s in seen[latency:] for root in unpack(s["root"], 16, count, signed=False)]
    halves = [half for s in seen[latency:] for half in unpack(s["half_exponent"], 5, count, signed=False)]
    expected = [reciprocal_root(value) for value in values]
    assert list(zip(roots, (2 * half for half in halves), strict=True)) == expected
    for value, (root, e) in zip(values, expected, strict=True):
        assert abs(root / 2 ** (16 + e // 2) * value**0.5 - 1) < 4e-4


def test_scales_of_a_tile() -> None:
    """Tiles as close to each other as the unit allows; variances and shifts of every size."""
    rng, lanes = random.Random(2), 8
    after = 3
    dut = NormScale(lanes=lanes, variance_latency=after)
    latency = dut.latency(after)
    tiles: list[list[tuple[int, int]]] = []
    inputs: list[dict[str, int]] = [{"start": 0} for _ in range(40 * (latency + lanes + 1))]
    period = latency + lanes + 1
    for tile in range(40):
        variances = [rng.getrandbits(rng.randrange(1, 56)) | 1 for _ in range(lanes)]
        variances[:2] = [1, (1 << 55) - 1]
        constants = (rng.randrange(1 << 14, 1 << 15), rng.choice([1, 2, 15, 27, 41, 45, 47, 63]))
        tiles.append([norm_scale(v, *constants) for v in variances])
        begin = tile * period
        inputs[begin] |= {"start": 1, "multiplier": constants[0], "shift": constants[1]}
        for lane, variance in enumerate(variances):
            inputs[begin + lane + after]["variance"] = variance
    seen = run_pipeline(dut, inputs, ["lane", "row_multiplier", "row_shift", "done"], cycles=len(inputs))
    last = latency + lanes - 1
    assert [t for t, s in enumerate(seen) if s["done"]] == [i * period + last for i in range(40)]
    for index, expected in enumerate(tiles):
        begin, result = index * period, seen[index * period + last]
        assert [seen[begin + lane]["lane"] for lane in range(lanes)] == list(range(lanes))
        multipliers = unpack(result["row_multiplier"], 15, lanes, signed=False)
        shifts = unpack(result["row_shift"], 6, lanes, signed=False)
        assert list(zip(multipliers, shifts, strict=True)) == [(q, min(s, 48)) for q, s in expected]
    tried = {s for tile in tiles for _, s in tile}
    assert {45, 46, 47, 48, 49} <= tried, "next to the largest shift"
    assert tried & set(range(64, 128)), "beyond the field"
