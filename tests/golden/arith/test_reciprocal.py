from __future__ import annotations

import pytest
import torch

from tests.support.golden import scalar
from vitreous.golden import GoldenError
from vitreous.golden.arith.reciprocal import reciprocal


def divisors() -> torch.Tensor:
    every = torch.arange(1, 1 << 18)
    edges = torch.tensor([(1 << k) + d for k in range(2, 32) for d in (-1, 0, 1)] + [(1 << 32) - 1])
    drawn = torch.randint(1, 1 << 32, (20000,), generator=torch.Generator().manual_seed(0))
    return torch.cat([every, edges, drawn, (torch.arange(1 << 16, 1 << 17) + 1 << 15) - 1])


@pytest.mark.parametrize("numerator", [(1 << 13) + 1, 1 << 14, 16320, 20000, (1 << 15) - 1])
def test_relative_error_and_width(numerator: int) -> None:
    value = divisors()
    quotient, e = reciprocal(numerator, value)
    assert ((quotient >= 1 << 13) & (quotient < 1 << 16)).all()
    error = quotient.double() / 2.0 ** (e + 1).double() * value.double() / numerator - 1
    assert float(error.min()) > -(2.0**-13)
    assert float(error.max()) < 2.0**-16


def test_against_the_definition() -> None:
    value = torch.cat([torch.arange(1, 5000), divisors()[-3000:]])
    for numerator in (8193, 16384, 32767):
        quotient, e = reciprocal(numerator, value)
        expected = [scalar.reciprocal(numerator, int(x)) for x in value]
        assert list(zip(quotient.tolist(), e.tolist(), strict=True)) == expected


def test_the_inverse_of_8_bits_is_exact() -> None:
    """``ita``: ``floor(65280 / S)`` by the same division, for every sum that it can have."""
    total = torch.arange(256, 65281)
    quotient, e = reciprocal(16320, total)
    assert torch.equal(quotient >> (e - 1), torch.div(65280, total, rounding_mode="floor"))


@pytest.mark.parametrize("numerator", [1 << 13, 1 << 15])
def test_a_numerator_outside_its_range(numerator: int) -> None:
    with pytest.raises(GoldenError, match=rf"above 2\*\*13 and below 2\*\*15, not {numerator}"):
        reciprocal(numerator, torch.tensor([5]))


@pytest.mark.parametrize("value", [0, -3, 1 << 32])
def test_a_divisor_outside_its_range(value: int) -> None:
    with pytest.raises(GoldenError, match=r"A reciprocal needs a divisor in 1..2\*\*32 - 1"):
        reciprocal(20000, torch.tensor([7, value]))
