import random
from collections.abc import Iterable
from fractions import Fraction

import pytest
from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tests.support.hw.columns import pack, run_pipeline, unpack
from vitreous.hw.arith.reciprocal import Reciprocal

NUMERATORS = (8193, 16320, 16384, 32767)
"""The least one, that of ``ita``'s inverse, that of the mean of a layer norm, the largest one."""


def reciprocal(numerator: int, number: int) -> tuple[int, int]:
    """``(Q, e)``, the formula of docs/numerics.md."""
    e = number.bit_length() - 1
    normalized = number >> (e - 16) if e >= 16 else number << (16 - e)
    return (numerator << 17) // normalized, e


class Reciprocals(wiring.Component):
    """Several units side by side, so that a long list takes few cycles."""

    def __init__(self, count: int) -> None:
        self.units = [Reciprocal() for _ in range(count)]
        super().__init__(
            {
                "numerator": In(data.ArrayLayout(15, count)),
                "number": In(data.ArrayLayout(32, count)),
                "quotient": Out(data.ArrayLayout(16, count)),
                "exponent": Out(data.ArrayLayout(5, count)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for index, unit in enumerate(self.units):
            m.submodules += unit
            m.d.comb += [
                unit.numerator.eq(self.numerator[index]),
                unit.number.eq(self.number[index]),
                self.quotient[index].eq(unit.quotient),
                self.exponent[index].eq(unit.exponent),
            ]
        return m


def check(vectors: Iterable[tuple[int, int]], count: int = 16) -> None:
    """The unit equals the formula, and the formula is as near to ``n / S`` as the unit's docstring says.

    The case "Reciprocal" of campaigns.vectors has all divisors and millions of others in compiled RTL; here are
    corners, and every hundredth of the rest.
    """
    vectors = list(vectors)
    vectors += [vectors[0]] * (-len(vectors) % count)
    inputs = [
        {
            "numerator": pack((n for n, _ in vectors[i : i + count]), 15),
            "number": pack((s for _, s in vectors[i : i + count]), 32),
        }
        for i in range(0, len(vectors), count)
    ]
    latency = Reciprocal.LATENCY
    seen = run_pipeline(Reciprocals(count), inputs, ["quotient", "exponent"], cycles=len(inputs) + latency)
    quotients = [q for s in seen[latency:] for q in unpack(s["quotient"], 16, count, signed=False)]
    exponents = [e for s in seen[latency:] for e in unpack(s["exponent"], 5, count, signed=False)]
    for (n, s), q, e in zip(vectors, quotients, exponents, strict=True):
        assert (q, e) == reciprocal(n, s), (n, s)
        error = Fraction(q * s, n << (e + 1)) - 1
        assert -Fraction(1, 1 << (14 if n >= 1 << 14 else 13)) < error < Fraction(1, 1 << 16), (n, s)
        assert s >= 1 << 17 or error <= 0, (n, s)


def test_numbers_of_channels() -> None:
    check((1 << 14, d) for d in (*range(1, 129), *range(129, 4096, 37), 4095, 4096))


def test_divisors_of_the_whole_range() -> None:
    """``Sn`` with the numerators at the ends of their range and those that are fixed."""
    divisors = (*range(1 << 16, 1 << 17, 797), (1 << 16) + 1, (1 << 17) - 1)
    check((n, s) for n in NUMERATORS for s in divisors)


def test_every_exponent() -> None:
    rng = random.Random(1)
    numbers = [(1 << e) + d for e in range(33) for d in (-2, -1, 0, 1, 2) if 0 < (1 << e) + d < 1 << 32]
    numbers += [rng.randrange(1, 1 << rng.randrange(1, 33)) for _ in range(400)]
    numbers += [(3 << e) // 2 for e in range(1, 31)]
    check((rng.choice([*NUMERATORS, rng.randrange(8193, 1 << 15)]), s) for s in numbers)


def test_inverse_of_ita() -> None:
    """``floor(65280 / S)`` is the same division where the softmax needs it: all sums from 256 to 65280."""
    for s in range(256, 65281):
        q, e = reciprocal(16320, s)
        assert q >> (e - 1) == 65280 // s


def test_what_travels_with_a_number() -> None:
    rng = random.Random(2)
    dut = Reciprocal(tag_bits=7)
    inputs = [
        {"valid": rng.getrandbits(1), "tag": rng.getrandbits(7), "numerator": 1 << 14, "number": 1}
        for _ in range(60)
    ]
    seen = run_pipeline(dut, inputs, ["o_valid", "o_tag"], cycles=len(inputs) + dut.LATENCY)
    assert not any(result["o_valid"] for result in seen[: dut.LATENCY])
    for given, result in zip(inputs, seen[dut.LATENCY :], strict=True):
        assert (result["o_valid"], result["o_tag"]) == (given["valid"], given["tag"])


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="^Tag bits must be a positive integer, not 0$"):
        Reciprocal(tag_bits=0)
