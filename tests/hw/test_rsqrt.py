import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tests.hw.columns import pack, run_pipeline, unpack
from vitreous.hw.norm_scale import NormScale
from vitreous.hw.rsqrt import ReciprocalRoot
from vitreous.spec.numbers import normalize_multiplier
from vitreous.spec.tables import rsqrt_seed


def reciprocal_root(variance: int) -> tuple[int, int]:
    """``(R, e)`` of docs/numerics.md."""
    e = (variance.bit_length() - 1) & ~1
    normalized = variance >> (e - 16) if e >= 16 else variance << (16 - e)
    y0 = rsqrt_seed()[(normalized >> 11) - 32]
    b = (normalized * ((y0 * y0) >> 16)) >> 16
    return min(65535, (y0 * (3 * 65536 - b)) >> 17), e


def norm_scale(channels: int, total: int, squares: int, epsilon: int, m_o: int, s_o: int) -> tuple[int, int]:
    """Multiplier and shift of a row."""
    root, e = reciprocal_root(channels * squares - total * total + epsilon)
    return normalize_multiplier((root * m_o) >> 15, s_o + e // 2 + 1)


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


@pytest.mark.parametrize("step", [61, pytest.param(1, marks=pytest.mark.slow)])
def test_every_normalized_number_and_every_exponent(step: int) -> None:
    rng, count = random.Random(1), 64
    values = list(range(1 << 16, 1 << 18, step))
    values += [v + d for e in range(55) for v in [1 << e] for d in (-1, 0, 1) if 0 < v + d < 1 << 55]
    values += [rng.getrandbits(rng.randrange(1, 56)) | 1 for _ in range(5000)]
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
    """Tiles as close to each other as the unit allows; also the widest sums that 4096 channels of int16 give."""
    rng, lanes = random.Random(2), 8
    dut = NormScale(lanes=lanes)
    tiles, inputs = [], []
    for tile in range(40):
        channels = rng.choice([1, 2, 3, 192, 4095, 4096])
        rows = [[rng.randrange(-32768, 32768) for _ in range(min(channels, 16))] for _ in range(lanes)]
        factor = channels // len(rows[0])
        sums = [(sum(row) * factor, sum(x * x for x in row) * factor) for row in rows]
        if tile % 5 == 0:
            sums[0] = (-32768 * channels, 32768 * 32768 * channels)
            sums[1] = (32767 * channels, 32767 * 32767 * channels)
            sums[2] = (0, 32768 * 32768 * channels)  # beyond what real rows have: the largest variance
        epsilon = rng.choice([1, 2, 1000, (1 << 32) - 1])
        constants = (rng.randrange(1 << 14, 1 << 15), rng.randrange(1, 15))
        tiles.append([norm_scale(channels, total, squares, epsilon, *constants) for total, squares in sums])
        entry = {
            "start": 1,
            "channels": channels,
            "sum": pack((t for t, _ in sums), 28),
            "squares": pack((q for _, q in sums), 43),
            "epsilon": epsilon,
            "multiplier": constants[0],
            "shift": constants[1],
        }
        inputs += [entry] + [{"start": 0}] * (dut.LATENCY + lanes)
    seen = run_pipeline(dut, inputs, ["row_multiplier", "row_shift", "done"], cycles=len(inputs))
    period = dut.LATENCY + lanes + 1
    assert [t for t, s in enumerate(seen) if s["done"]] == [
        i * period + dut.LATENCY + lanes - 1 for i in range(40)
    ]
    for index, expected in enumerate(tiles):
        result = seen[index * period + dut.LATENCY + lanes - 1]
        multipliers = unpack(result["row_multiplier"], 15, lanes, signed=False)
        assert (
            list(zip(multipliers, unpack(result["row_shift"], 6, lanes, signed=False), strict=True))
            == expected
        )
