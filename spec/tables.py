"""Contents of every lookup table, computed from its formula: the one thing that ``golden`` and ``hw`` share
about a function.
"""

from __future__ import annotations

import math
from functools import cache
from typing import assert_never

from vitreous.spec.config import ActivationConfig, SoftmaxConfig
from vitreous.spec.limits import LEVEL_BITS, LEVEL_MAXIMUM
from vitreous.spec.variants import ActivationFunction


def _gauss(u: float) -> float:
    return math.exp(-u * u / 2) / math.sqrt(2 * math.pi)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


QUICK_FACTOR = 1.702
"""quick GELU's: ``x * sigmoid(1.702 x)``."""


def tanh_slopes(u: float) -> tuple[float, float, float]:
    """``2 sqrt(2 / pi) (u + 0.044715 u**3)`` and its first two derivatives: tanh-GELU is ``x * sigmoid`` of it."""
    factor, cube = 2 * math.sqrt(2 / math.pi), 0.044715
    return factor * (u + cube * u**3), factor * (1 + 3 * cube * u * u), factor * 6 * cube * u


def smooth_delta(function: ActivationFunction, u: float) -> float:
    """``delta(u) = relu(u) - f(u)`` for ``u >= 0``; it is even, so ``f(x) = relu(x) - delta(|x|)``.

    ``gelu``: ``u * Phi(-u)``. ``gelu_tanh``: ``u * sigmoid(-2 sqrt(2 / pi) (u + 0.044715 u**3))``. ``quick_gelu``:
    ``u * sigmoid(-1.702 u)``. ``silu``: ``u * sigmoid(-u)``.
    """
    match function:
        case ActivationFunction.GELU:
            return u * 0.5 * math.erfc(u / math.sqrt(2))
        case ActivationFunction.GELU_TANH:
            return u * _sigmoid(-tanh_slopes(u)[0])
        case ActivationFunction.QUICK_GELU:
            return u * _sigmoid(-QUICK_FACTOR * u)
        case ActivationFunction.SILU:
            return u * _sigmoid(-u)
        case _:
            assert_never(function)


def _curvature(function: ActivationFunction, u: float) -> float:
    """The second derivative of ``smooth_delta``."""
    match function:
        case ActivationFunction.GELU:
            return _gauss(u) * (u * u - 2)
        case ActivationFunction.GELU_TANH:
            return _sigmoid_curvature(u, *tanh_slopes(u))
        case ActivationFunction.QUICK_GELU:
            return _sigmoid_curvature(u, QUICK_FACTOR * u, QUICK_FACTOR, 0.0)
        case ActivationFunction.SILU:
            return _sigmoid_curvature(u, u, 1.0, 0.0)
        case _:
            assert_never(function)


def _sigmoid_curvature(u: float, w: float, slope: float, bend: float) -> float:
    """The second derivative of ``u * sigmoid(-w(u))``; ``slope`` and ``bend`` are those of ``w``."""
    s = _sigmoid(-w)
    return s * (1 - s) * (u * ((1 - 2 * s) * slope * slope - bend) - 2 * slope)


@cache
def activation_delta(config: ActivationConfig) -> tuple[int, ...]:
    """``delta``: its values times ``2**fraction_bits``, rounded, with step ``h = 2**-step_bits``.

    Interpolated: ``delta(u) - h**2 / 16 * delta''(u)``, at least 0, at ``u = i * h``, ``i = 0 .. entries``, the last
    one 0. A chord differs from the curve by up to ``h**2 / 8 * delta''`` to one side; the shift makes that half of it
    to either side. Not interpolated: ``delta`` at the middle of each step, ``i = 0 .. entries - 1``.
    """
    scale, step = 1 << config.fraction_bits, 1 / (1 << config.step_bits)
    if not config.interpolate:
        middles = ((index + 0.5) * step for index in range(config.entries))
        return tuple(round(scale * smooth_delta(config.function, u)) for u in middles)
    values = []
    for index in range(config.entries):
        u = index * step
        balanced = smooth_delta(config.function, u) - step * step / 16 * _curvature(config.function, u)
        values.append(max(0, round(scale * balanced)))
    return (*values, 0)


@cache
def activation_table(config: ActivationConfig) -> tuple[int, ...]:
    """``table``: ``round(2**fraction_bits * f(x))`` at the middle of each step of ``[-range, range)``, ascending."""
    scale, step = 1 << config.fraction_bits, 1 / (1 << config.step_bits)
    middles = [(index + 0.5) * step for index in range(-config.entries, config.entries)]
    return tuple(round(scale * (max(x, 0.0) - smooth_delta(config.function, abs(x)))) for x in middles)


@cache
def exp2_mantissa(config: SoftmaxConfig) -> tuple[int, ...]:
    """``base2``: ``round(2**(F + 1 + f / 2**F) * LEVEL_MAXIMUM / 2**16)`` for ``f = 0 .. 2**F - 1``; F + 2 bits.

    A code holds the difference to the first one, F + 1 bits. The factor, common to probabilities and sum, keeps the
    largest probability of 7 bits at 127; a clamp at each octave's top would cost 0.75 of 1024 in a probability.
    """
    bits, steps = config.fraction_bits, 1 << config.fraction_bits
    unit = LEVEL_MAXIMUM / (1 << LEVEL_BITS)
    return tuple(round(unit * 2.0 ** (bits + 1 + f / steps)) for f in range(steps))


@cache
def exp2_negative(config: SoftmaxConfig) -> tuple[int, ...]:
    """``online``: ``round(2**(15 - f / 2**F))`` for ``f = 0 .. 2**F - 1``; 16 bits unsigned, ``2**15`` stands
    for 1.
    """
    steps = 1 << config.fraction_bits
    return tuple(round(2.0 ** (15 - f / steps)) for f in range(steps))


@cache
def exp2_level(config: SoftmaxConfig) -> tuple[int, ...]:
    """``online``: ``L``, ``round(LEVEL_MAXIMUM * 2**(-f / 2**F))`` for ``f = 0 .. 2**F - 1``; 16 bits."""
    steps = 1 << config.fraction_bits
    return tuple(round(LEVEL_MAXIMUM * 2.0 ** (-f / steps)) for f in range(steps))


def ibert_exponential(config: SoftmaxConfig) -> tuple[int, int]:
    """``ibert``: ``(K, B)`` of ``2**-(f / 2**F) ~ 0.3585 ln(2)**2 ((K - f)**2 + B) / 2**(2F)``.

    I-BERT's ``exp(p) ~ 0.3585 (p + 1.353)**2 + 0.344`` for ``-ln 2 < p <= 0``, with ``p = -f / 2**F * ln 2``.
    """
    steps = 1 << config.fraction_bits
    return round(1.353 / math.log(2) * steps), round(0.344 / (0.3585 * math.log(2) ** 2) * steps * steps)


GELU_POLY_EDGE = round(1.769 * math.sqrt(2) * (1 << 10))
"""``poly``: ``u`` in Q6.10 from which GELU is relu; ``erf(v) ~ 1 - 0.2888 (v - 1.769)**2``, ``v = u / sqrt 2``."""
GELU_POLY_BITS = 14
GELU_POLY_FACTOR = round(0.2888 / 4 * (1 << GELU_POLY_BITS))
"""``poly``: ``delta(u) = factor * u * (edge - u)**2``."""

RSQRT_SEED_SHIFT = 11
"""The seed is indexed by ``v >> 11`` for ``v`` in ``2**16 .. 2**18 - 1``, that is 32 .. 127."""


@cache
def rsqrt_seed() -> tuple[int, ...]:
    """``round(2**16 / sqrt(x))`` at the middle ``x`` of each of the 96 intervals ``[i/32, (i+1)/32)``, ``i = 32
    .. 127``; 16 bits.
    """
    return tuple(round(2.0**16 / math.sqrt((i + 0.5) / 32)) for i in range(32, 128))
