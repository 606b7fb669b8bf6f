"""Contents of every lookup table, computed from its formula: the one thing that ``golden`` and ``hw`` share
about a function.
"""

from __future__ import annotations

import math
from functools import cache

from vitreous.spec.config import GeluConfig, SoftmaxConfig


@cache
def gelu_delta(config: GeluConfig) -> tuple[int, ...]:
    """``T[i] = round(2**fraction_bits * delta(i / 2**step_bits))`` for ``i = 0 .. entries``, the last one 0.

    ``delta(u) = u - u * Phi(u)`` for ``u >= 0``; ``gelu(x) = relu(x) - delta(|x|)``.
    """
    scale = 1 << config.fraction_bits
    values = []
    for index in range(config.entries):
        u = index / (1 << config.step_bits)
        values.append(round(scale * u * 0.5 * math.erfc(u / math.sqrt(2.0))))
    return (*values, 0)


@cache
def exp2_mantissa(config: SoftmaxConfig) -> tuple[int, ...]:
    """``base2``: ``min(255, round(2**(7 + f / 2**F)))`` for ``f = 0 .. 2**F - 1``; 8 bits, the top one always
    set.
    """
    steps = 1 << config.fraction_bits
    return tuple(min(255, round(2.0 ** (7 + f / steps))) for f in range(steps))


@cache
def exp2_negative(config: SoftmaxConfig) -> tuple[int, ...]:
    """``online``: ``round(2**(15 - f / 2**F))`` for ``f = 0 .. 2**F - 1``; 16 bits unsigned, ``2**15`` stands
    for 1.
    """
    steps = 1 << config.fraction_bits
    return tuple(round(2.0 ** (15 - f / steps)) for f in range(steps))


@cache
def exp2_probability(config: SoftmaxConfig) -> tuple[int, ...]:
    """``online`` prologue: ``round(2**(8 - f / 2**F))`` for ``f = 0 .. 2**F - 1``; 9 bits unsigned, 256 stands
    for 1.
    """
    steps = 1 << config.fraction_bits
    return tuple(round(2.0 ** (8 - f / steps)) for f in range(steps))


RSQRT_SEED_SHIFT = 11
"""The seed is indexed by ``v >> 11`` for ``v`` in ``2**16 .. 2**18 - 1``, that is 32 .. 127."""


@cache
def rsqrt_seed() -> tuple[int, ...]:
    """``round(2**16 / sqrt(x))`` at the middle ``x`` of each of the 96 intervals ``[i/32, (i+1)/32)``, ``i = 32
    .. 127``; 16 bits.
    """
    return tuple(round(2.0**16 / math.sqrt((i + 0.5) / 32)) for i in range(32, 128))
