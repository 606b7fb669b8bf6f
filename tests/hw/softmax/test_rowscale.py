import random

import pytest

from tests.hw.arith.test_reciprocal import reciprocal
from tests.support.hw.columns import run_pipeline
from vitreous.hw.arith.leading_one import LeadingOne
from vitreous.hw.softmax.rowscale import RowScale
from vitreous.spec.numbers import normalize_multiplier


def row_scale(total: int, m_o: int, s_o: int, offset: int) -> tuple[int, int]:
    """The formula of docs/numerics.md."""
    quotient, e = reciprocal(m_o, total)
    return normalize_multiplier(quotient, s_o + e + 1 - offset)


def sums(rng: random.Random) -> list[int]:
    corners = [
        v + d
        for e in range(32)
        for v in [1 << e]
        for d in (0, 1, 2, (1 << e) - 1, (1 << e) - 2, 1 << e >> 1)
        if 0 < v + d < 1 << 32
    ]
    return corners + [rng.randrange(1, 1 << rng.randrange(1, 33)) for _ in range(400)]


# The cases "RowScale" and "LeadingOne" of campaigns.vectors have millions of sums, and all magnitudes.
@pytest.mark.parametrize("offset", [12, 13, 15])
def test_division_is_exact(offset: int) -> None:
    rng = random.Random(offset)
    vectors = [
        (
            total,
            rng.choice([1 << 14, (1 << 14) + 1, (1 << 15) - 1, rng.randrange(1 << 14, 1 << 15)]),
            rng.randrange(16, 24),
        )
        for total in sums(rng)
    ]
    tags = [rng.getrandbits(2) for _ in vectors]  # bit 0: valid, bit 1: tag
    inputs = [
        {"valid": t & 1, "tag": t >> 1, "sum": total, "multiplier": m_o, "shift": s_o}
        for t, (total, m_o, s_o) in zip(tags, vectors, strict=True)
    ]
    dut = RowScale(offset=offset)
    seen = run_pipeline(
        dut, inputs, ["o_valid", "o_tag", "o_multiplier", "o_shift"], cycles=len(inputs) + dut.LATENCY
    )
    for t, (tag, vector) in enumerate(zip(tags, vectors, strict=True)):
        result = seen[t + dut.LATENCY]
        assert result["o_valid"] == tag & 1
        assert result["o_tag"] == tag >> 1
        assert (result["o_multiplier"], result["o_shift"]) == row_scale(*vector, offset), vector
        assert 1 << 14 <= result["o_multiplier"] < 1 << 15


@pytest.mark.parametrize("width", [4, 32, 64])
def test_leading_one(width: int) -> None:
    rng = random.Random(width)
    values = [0, *(1 << k for k in range(width)), *((2 << k) - 1 for k in range(width))]
    values += [rng.getrandbits(rng.randrange(1, width + 1)) for _ in range(300)]
    dut = LeadingOne(width=width)
    seen = run_pipeline(dut, [{"i": v} for v in values], ["o", "exponent"], cycles=len(values) + dut.LATENCY)
    for value, result in zip(values, seen[dut.LATENCY :], strict=True):
        exponent = max(0, value.bit_length() - 1)
        assert (result["exponent"], result["o"]) == (exponent, value << (width - 1 - exponent)), value


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="^Offset must be in 1..15, not 0$"):
        RowScale(offset=0)
    with pytest.raises(ValueError, match="^Width must be a power of two of at least 4, not 48$"):
        LeadingOne(width=48)
