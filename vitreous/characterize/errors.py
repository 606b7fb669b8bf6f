"""Errors of the nonlinear functions against float64, computed with ``golden`` on the stated distributions.

``hw`` is equal to ``golden`` bit by bit (its tests), so these are the errors of the hardware.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cache
from typing import assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.characterize import distributions
from vitreous.characterize.distributions import Rows, Shipped
from vitreous.reports.units.units import ScoreError
from vitreous.spec.config import ActivationConfig, NormConfig, SoftmaxConfig
from vitreous.spec.numbers import ACTIVATION_INPUT, SCORE, quantize_multiplier
from vitreous.spec.softmax import WIDE_BITS, key_block, limits
from vitreous.spec.variants import ActivationFunction

Values = NDArray[np.float64]
OUTPUT_STEP = 8 / 127
"""The step of the 8-bit output on which correct rounding is counted. GELU of [-8, 8) fits. It is not a power of two:
with one, the inputs between two steps would be ties that float64 misses by less than any fixed-point result can."""

NORM_STREAM, NORM_STEP, NORM_EPS = 1 / 256, 6 / 127, 1e-6


@dataclass(frozen=True, kw_only=True)
class ActivationError:
    """largest : over all 65 536 inputs. mean : of the absolute error, for each distribution. rounded : share of the
    inputs in [-8, 8) whose result, rounded to a step of 8/127, is that of float64. bias : mean signed error
    over [-8, 8).
    """

    largest: float
    at: float
    mean: dict[str, float]
    rounded: float
    bias: float


@dataclass(frozen=True, kw_only=True)
class RelativeError:
    """``least <= unit / truth - 1 <= largest``, and the mean of its absolute value. what : the inputs."""

    what: str
    least: float
    largest: float
    mean: float


@cache
def _activation_truth(function: ActivationFunction) -> Values:
    """The function at every Q6.10 value, ascending, in float64."""
    x = torch.arange(ACTIVATION_INPUT.minimum, ACTIVATION_INPUT.maximum + 1, dtype=torch.float64) / (
        1 << ACTIVATION_INPUT.fraction
    )
    match function:
        case ActivationFunction.GELU:
            return np.asarray((x * 0.5 * torch.special.erfc(-x / math.sqrt(2))).numpy())
        case ActivationFunction.GELU_TANH:
            inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
            return np.asarray((x * 0.5 * (1 + torch.tanh(inner))).numpy())
        case ActivationFunction.QUICK_GELU:
            return np.asarray((x * torch.sigmoid(1.702 * x)).numpy())
        case ActivationFunction.SILU:
            return np.asarray((x * torch.sigmoid(x)).numpy())
        case _:
            assert_never(function)


def activation_values(config: ActivationConfig) -> tuple[Values, Values, Values]:
    """Inputs, results and truth at every Q6.10 value, ascending, as real numbers."""
    from vitreous.golden.activation.activation import activation

    codes = distributions.activation_codes()
    y = activation(torch.from_numpy(codes), config).numpy().astype(np.float64) / (1 << config.fraction_bits)
    return codes / float(1 << ACTIVATION_INPUT.fraction), y, _activation_truth(config.function)


def activation_error(config: ActivationConfig, shipped: Shipped | None = None) -> ActivationError:
    """A smooth function of every variant."""
    x, y, truth = activation_values(config)
    error = y - truth
    names = [name for name in distributions.ACTIVATIONS if name != "real" or shipped is not None]
    mean = {n: float(np.abs(error) @ distributions.activation_weights(n, shipped)) for n in names}
    inside = (x >= -8) & (x < 8)
    same = np.floor(y[inside] / OUTPUT_STEP + 0.5) == np.floor(truth[inside] / OUTPUT_STEP + 0.5)
    worst = int(np.abs(error).argmax())
    return ActivationError(
        largest=float(np.abs(error[worst])),
        at=float(x[worst]),
        mean=mean,
        rounded=float(same.mean()),
        bias=float(error[inside].mean()),
    )


def scores(logits: Values, config: SoftmaxConfig) -> NDArray[np.int32]:
    """Natural-logarithm scores as the unit gets them: to base 2, rounded half up and clamped to the score format."""
    steps = np.floor(logits * math.log2(math.e) * (1 << config.fraction_bits) + 0.5)
    return np.clip(steps, SCORE.minimum, SCORE.maximum).astype(np.int32)


def probabilities(logits: Values, config: SoftmaxConfig) -> Values:
    """What the unit gives for natural-logarithm scores [rows, keys], its row scale applied, as real numbers.

    The row scale is taken as it is for equal scales of values and output; what rounding the low pass's sum and those of
    blocks of keys to four bits adds (at most ``2**-16`` of a value's range each) depends on the values and is left out.
    """
    from vitreous.golden.softmax.blocks import octaves_below
    from vitreous.golden.softmax.softmax import softmax

    t = scores(logits, config)
    known = limits(config)
    planes = WIDE_BITS if config.probability_bits == 16 and known.planes else 0
    real = 2.0**-4  # any factor with shifts inside their field gives the same
    m_o, s_o = quantize_multiplier(real * known.row_factor / 2**planes)
    block = key_block(config)
    p, m, s, maxima = softmax(torch.from_numpy(t), config, m_o, s_o, key_block=block)
    below = octaves_below(maxima, t.shape[-1], block)
    scale = m.to(torch.float64) * torch.pow(torch.tensor(2.0, dtype=torch.float64), -s.to(torch.float64))
    result: Tensor = p.to(torch.float64) / 2**planes * scale.unsqueeze(-1) / real
    return np.asarray((result * torch.pow(2.0, -below.to(torch.float64))).numpy())


def exact_softmax(logits: NDArray[np.floating]) -> Values:
    """Softmax over the last dimension in float64."""
    wide = logits.astype(np.float64)
    power = np.exp(wide - wide.max(axis=-1, keepdims=True))
    return np.asarray(power / power.sum(axis=-1, keepdims=True))


def row_error(rows: Rows, config: SoftmaxConfig) -> ScoreError:
    """Softmax on one distribution: ``largest`` and ``mean`` absolute error of a probability, and the least and largest
    sum of a row, whose truth is 1. unit : the largest error against the softmax of the scores as the unit gets them,
    rounded to ``fraction_bits``: what is its own. Raises GoldenError where its rows are longer than the variant allows.
    """
    found = probabilities(rows.logits, config)
    error = np.abs(found - exact_softmax(rows.logits))
    rounded: Values = scores(rows.logits, config).astype(np.float64) * (
        math.log(2) / (1 << config.fraction_bits)
    )
    sums = found.sum(axis=-1)
    return ScoreError(
        distribution=rows.name,
        what=rows.what,
        largest=float(error.max()),
        unit=float(np.abs(found - exact_softmax(rounded)).max()),
        mean=float(error.mean()),
        sum_least=float(sums.min()),
        sum_largest=float(sums.max()),
    )


def softmax_errors(config: SoftmaxConfig, shipped: Shipped | None = None) -> list[ScoreError]:
    """On every stated distribution whose rows the variant allows."""
    return [row_error(rows, config) for rows in distributions.score_rows(limits(config).max_keys, shipped)]


def worst(errors: list[ScoreError]) -> ScoreError:
    """Over several distributions: largest errors and sums of all, mean of the means."""
    return dataclasses.replace(
        errors[0],
        distribution="all",
        what="all stated distributions",
        largest=max(e.largest for e in errors),
        unit=max(e.unit for e in errors),
        mean=float(np.mean([e.mean for e in errors])),
        sum_least=min(e.sum_least for e in errors),
        sum_largest=max(e.sum_largest for e in errors),
    )


def _relative(what: str, error: Values) -> RelativeError:
    return RelativeError(
        what=what, least=float(error.min()), largest=float(error.max()), mean=float(np.abs(error).mean())
    )


def _normalized(values: Tensor, octaves: int) -> Values:
    """The number without its exponent, in ``[1, 2**octaves)``."""
    real = values.to(torch.float64)
    exponent = torch.floor(torch.log2(real) / octaves) * octaves
    return np.asarray((real / torch.pow(2.0, exponent)).numpy())


def reciprocal_values() -> tuple[Values, Values]:
    """Normalized divisors and relative errors of all measured quotients."""
    from vitreous.golden.arith.reciprocal import reciprocal

    exact = torch.arange(1 << 16, 1 << 17, dtype=torch.int64)
    values = torch.cat([exact, ((exact + 1) << 15) - 1])  # the second: all dropped bits set
    errors = []
    for numerator in ((1 << 13) + 1, 1 << 14, 23170, (1 << 15) - 1):
        q, e = reciprocal(numerator, values)
        found = q.to(torch.float64) / torch.pow(2.0, (e + 1).to(torch.float64))
        errors.append((found * values.to(torch.float64) / numerator - 1).numpy())
    return np.tile(_normalized(values, 1), len(errors)), np.concatenate(errors)


def root_values() -> tuple[Values, Values]:
    """Numbers without an even power of two, in [1, 4), and relative errors of all measured roots."""
    from vitreous.golden.arith.rsqrt import reciprocal_root

    exact = torch.arange(1 << 16, 1 << 18, dtype=torch.int64)
    values = torch.cat([exact, ((exact + 1) << 20) - 1])
    root, e = reciprocal_root(values)
    found = root.to(torch.float64) / torch.pow(2.0, 16 + e.to(torch.float64) / 2)
    return _normalized(values, 2), np.asarray((found * values.to(torch.float64).sqrt() - 1).numpy())


def reciprocal_error() -> RelativeError:
    """``Q / 2**(e+1)`` against ``n / S``: every divisor of 17 bits, and with dropped bits at their worst."""
    what = "numerators 8193, 16384, 23170, 32767; every divisor of 17 bits, and with 15 more bits, all set"
    return _relative(what, reciprocal_values()[1])


def root_error() -> RelativeError:
    """``R / 2**(16 + e/2)`` against ``1 / sqrt(V)``: every normalized number, and with dropped bits at their worst."""
    return _relative("every normalized number, and with 20 more bits, all set", root_values()[1])


def norm_values(config: NormConfig) -> tuple[Values, Values]:
    """Truth, clamped to int8, and absolute error of layer norm on the stated rows, in steps of the result.

    Stream steps of 1/256, result steps of 6/127, eps 1e-6; an error of 0.5 is correct rounding.
    """
    from vitreous.golden.norm.constants import NormConstants
    from vitreous.golden.ops.layernorm import layernorm
    from vitreous.quant.emit.constants import norm_constants

    truths, errors = [], []
    for what, x in distributions.norm_rows():
        m_o, s_o, epsilon = norm_constants(what, config, x.shape[1], NORM_EPS, NORM_STREAM, NORM_STEP)
        constants = NormConstants(m_o, s_o, epsilon, 0, torch.zeros(x.shape[1], dtype=torch.uint8))
        y = layernorm(torch.from_numpy(x), config, constants).numpy().astype(np.float64)
        real = x.astype(np.float64) * NORM_STREAM
        centred = real - real.mean(axis=1, keepdims=True)
        truth = centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + NORM_EPS) / NORM_STEP
        truths.append(np.clip(truth, -128, 127).ravel())
        errors.append(np.abs(y.ravel() - truths[-1]))
    return np.concatenate(truths), np.concatenate(errors)


def curve(x: Values, error: Values, least: float, most: float, bins: int = 256) -> list[tuple[float, float]]:
    """The largest error in each of ``bins`` equal intervals of ``[least, most)`` that has inputs: (middle, error)."""
    place = np.floor((x - least) / (most - least) * bins).astype(np.int64)
    inside = (place >= 0) & (place < bins)
    largest = np.full(bins, -1.0)
    np.maximum.at(largest, place[inside], np.abs(error[inside]))
    middles = least + (np.arange(bins) + 0.5) * (most - least) / bins
    return [(float(m), float(e)) for m, e in zip(middles, largest, strict=True) if e >= 0]
