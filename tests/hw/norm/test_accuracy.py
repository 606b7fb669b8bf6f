"""How near the variants come to layer norm in real numbers, before the rounding to int8, in steps of the output.

The formulas are those of ``tests.support.hw.norm_rows``; that the hardware computes them is tested in ``test_norm``.
"""

import math
import random

import pytest

from tests.support.hw.norm_rows import VARIANTS, mean, norm_scale, statistics
from vitreous.spec.numbers import quantize_multiplier

STEP = 4 / 127
"""Of the output, in standard deviations."""
SCALE_ERROR = 5e-4
"""Relative, of the reciprocal square root, the multiplier and epsilon together."""
ROWS = [(0, 30), (0, 3000), (300, 30), (3000, 30), (20000, 30), (20000, 3), (-32000, 2)]


def errors(variant: str, x: list[int], *, centred: bool) -> list[float]:
    """``u * Q / 2**s`` less the exact value, in output steps, and how far that value is from zero."""
    channels = len(x)
    factor = math.sqrt(channels) if variant == "two_pass" else 1.0
    m_o, s_o = quantize_multiplier(factor / STEP)
    u, variance = statistics(variant, x, 1, centred=centred)
    q, s = norm_scale(variance, m_o, s_o)
    middle = sum(x) / channels if centred else 0
    deviation = math.sqrt(sum((v - middle) ** 2 for v in x) / channels)
    exact = [(v - middle) / deviation / STEP for v in x]
    return [abs(a * q / 2**s - b) - SCALE_ERROR * abs(b) for a, b in zip(u, exact, strict=True)]


@pytest.mark.parametrize("channels", [16, 129, 191, 192, 1024])
def test_error_of_both_variants(channels: int) -> None:
    """``one_pass`` has no error but that of the scale; ``two_pass`` has that of its mean as well."""
    rng = random.Random(channels)
    for middle, deviation in ROWS:
        x = [max(-32768, min(32767, round(rng.gauss(middle, deviation)))) for _ in range(channels)]
        real = sum(x) / channels
        spread = math.sqrt(sum((v - real) ** 2 for v in x) / channels)
        offset = (abs(real) * 2**-14 + 2**-5) / spread / STEP
        # Squares about a wrong mean are too large.
        smaller = 1 / math.sqrt(1 + (offset * STEP) ** 2)
        largest = max(abs(v - real) for v in x) / spread / STEP
        assert max(errors("one_pass", x, centred=True)) < 1e-3
        assert max(errors("two_pass", x, centred=True)) < offset + (1 - smaller) * (largest + offset) + 1e-3
        for variant in VARIANTS:
            assert max(errors(variant, x, centred=False)) < 1e-3


def test_a_large_mean_spoils_two_pass_only() -> None:
    """192 channels about 20000 with a deviation of 3: a mean that is off by a third of a unit is off by steps."""
    rng = random.Random(1)
    x = [round(rng.gauss(20000, 3)) for _ in range(192)]
    assert max(errors("one_pass", x, centred=True)) < 0.01
    assert max(errors("two_pass", x, centred=True)) > 2


@pytest.mark.parametrize("value", [-32768, -1, 1, 32767])
def test_error_of_the_mean(value: int) -> None:
    """Constant rows of every length: the bound of docs/numerics.md."""
    for channels in range(1, 4097):
        found = mean(value * channels, channels)
        assert abs(found / 16 - value) <= abs(value) * 2**-14 + 2**-5
        assert -(1 << 19) <= found <= (1 << 19) - 16
