"""The nonlinear units that are compared, one entry for each variant: what it is, its hardware, its latency.

A new variant is one more entry. Amaranth is imported when a part is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

from vitreous.spec.config import AcceleratorConfig, ActivationConfig, ArrayConfig, NormConfig, SoftmaxConfig
from vitreous.spec.numbers import SCORE
from vitreous.spec.softmax import limits
from vitreous.spec.variants import (
    ACTIVATIONS,
    FUNCTIONS,
    NORMS,
    ActivationFunction,
    ActivationVariant,
    NormVariant,
    SoftmaxVariant,
    in_hardware,
)

WIDTHS = (2, 4)
"""The two numbers of lanes from which the cost of a lane is taken; not 1, because a memory block serves two lanes."""
SOFTMAX_WIDTHS = (4, 8)
"""The same for a unit whose lanes are those of the array, which has at least 4."""
ALONE = (1, 1)
"""Widths of a part of which there is one, for any number of lanes."""
Config = ActivationConfig | SoftmaxConfig | NormConfig


@dataclass(frozen=True, kw_only=True)
class Part:
    """A component of a unit: ``make`` gives it for a number of lanes; ``name`` is its top module in Yosys.

    Two entries with the same component give it the same name: it is synthesized once.
    """

    name: str
    make: Callable[[int], Any]
    widths: tuple[int, int] = WIDTHS


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A variant with its formats.

    name : unique. config : its part of the configuration, None for a unit without.
    latency : cycles, as a function because it asks the hardware. safe : inputs for which it keeps its error, and what
    enforces that.
    """

    name: str
    function: str
    variant: str
    formats: str
    parts: tuple[Part, ...]
    latency: Callable[[], str]
    throughput: str
    safe: str
    config: Config | None = None


def _activation(config: ActivationConfig, lanes: int) -> Any:
    from vitreous.hw.activation.activation import SmoothActivation

    return SmoothActivation(config, lanes=lanes)


def _activation_latency(config: ActivationConfig) -> str:
    from vitreous.hw.activation.activation import SmoothActivation

    return str(SmoothActivation.latency(config))


def _activation_entry(name: str, formats: str, config: ActivationConfig) -> Entry:
    functions = ACTIVATIONS[config.variant].functions
    safe = "all 65536 inputs"
    if len(functions) < len(ActivationFunction):
        safe += f"; {' and '.join(f.upper() for f in functions)} only (enforced by ActivationConfig)"
    return Entry(
        name=name,
        function=config.function,
        variant=config.variant,
        formats=formats,
        parts=(Part(name=name, make=partial(_activation, config)),),
        latency=partial(_activation_latency, config),
        throughput="1 column a cycle",
        safe=safe,
        config=config,
    )


def softmax_machine(config: SoftmaxConfig, lanes: int) -> AcceleratorConfig:
    """An accelerator that takes one probability of each row a cycle."""
    return AcceleratorConfig(array=ArrayConfig(lanes=lanes, depth=1), softmax=config)


def _statistics(config: SoftmaxConfig, lanes: int) -> Any:
    from vitreous.hw.softmax.softmax import SoftmaxStatistics

    return SoftmaxStatistics(softmax_machine(config, lanes))


def _prologue(config: SoftmaxConfig, lanes: int) -> Any:
    from vitreous.hw.softmax.softmax import prologue

    return prologue(softmax_machine(config, lanes))


def _softmax_latency(config: SoftmaxConfig) -> str:
    from vitreous.hw.softmax.prologue import ProbabilityPrologue
    from vitreous.hw.softmax.softmax import VARIANTS, SoftmaxStatistics

    machine = softmax_machine(config, SOFTMAX_WIDTHS[0])
    again = ", and the row's keys once more" if limits(config).passes == 2 else ""
    probability = ProbabilityPrologue.latency(VARIANTS[config.variant].levels)
    return f"{SoftmaxStatistics.scale_latency(machine)} + N{again}; probability {probability}"


def _softmax_entry(config: SoftmaxConfig) -> Entry:
    known = limits(config)
    reach = f"rows of 1 to {known.max_keys} keys (enforced by quant, compiler and golden)"
    octaves = 4 if config.variant is SoftmaxVariant.ITA else (SCORE.maximum + 1) >> config.fraction_bits
    reach += f"; scores within {octaves} octaves of 0, beyond they saturate"
    further = "" if config.fraction_bits == SoftmaxConfig().fraction_bits else f"_{config.fraction_bits}"
    return Entry(
        name=f"softmax_{config.variant}_{config.probability_bits}{further}",
        function="softmax",
        variant=config.variant,
        formats=f"scores of {config.fraction_bits} fraction bits, probabilities of {config.probability_bits} bits",
        parts=(
            Part(
                name=f"{config.variant}_statistics{further}",
                make=partial(_statistics, config),
                widths=SOFTMAX_WIDTHS,
            ),
            Part(
                name=f"{config.variant}_prologue_{config.probability_bits}{further}",
                make=partial(_prologue, config),
                widths=SOFTMAX_WIDTHS,
            ),
        ),
        latency=partial(_softmax_latency, config),
        throughput="1 column a cycle" + (", twice" if known.passes == 2 else ""),
        safe=reach,
        config=config,
    )


def _norm(variant: NormVariant, lanes: int) -> Any:
    from vitreous.hw.vector.pipeline import VARIANTS

    return VARIANTS[variant](lanes=lanes)


def _norm_latency(variant: NormVariant) -> str:
    from vitreous.hw.vector.pipeline import VARIANTS

    unit = VARIANTS[variant]
    mean = f"mean {unit.MEAN_LATENCY} + N, " if unit.MEAN_LATENCY else ""
    return f"{mean}scale {unit.SCALE_LATENCY} + N, column {unit.LATENCY}"


def _norm_entry(variant: NormVariant) -> Entry:
    return Entry(
        name=f"norm_{variant}",
        function="layer norm",
        variant=variant,
        formats="int16 stream, up to 4096 channels; RMS norm too",
        parts=(Part(name=f"norm_{variant}", make=partial(_norm, variant)),),
        latency=partial(_norm_latency, variant),
        throughput=f"1 column a cycle, {NORMS[variant].passes} times",
        safe="1 to 4096 channels of int16 (enforced by quant, compiler and golden)",
        config=NormConfig(variant=variant),
    )


def _requantize(lanes: int) -> Any:
    from vitreous.hw.arith.requantize import Requantize

    return Requantize(lanes=lanes, width=32)


def _reciprocal(_: int) -> Any:
    from vitreous.hw.arith.reciprocal import Reciprocal

    return Reciprocal()


def _root(_: int) -> Any:
    from vitreous.hw.arith.rsqrt import ReciprocalRoot

    return ReciprocalRoot()


def _row_scale(_: int) -> Any:
    from vitreous.hw.softmax.rowscale import RowScale

    return RowScale(offset=limits(SoftmaxConfig()).row_exponent)


def _latency(module: str, name: str) -> str:
    from importlib import import_module

    return str(getattr(import_module(f"vitreous.hw.{module}"), name).LATENCY)


def _shared_entries() -> tuple[Entry, ...]:
    one = "1 a cycle"
    return (
        Entry(
            name="requantize",
            function="requantize",
            variant="multiply, shift",
            formats="32-bit accumulator, 15-bit multiplier, shift 1 to 63",
            parts=(Part(name="requantize", make=_requantize),),
            latency=partial(_latency, "arith.requantize", "Requantize"),
            throughput="1 column a cycle",
            safe="all inputs",
        ),
        Entry(
            name="reciprocal",
            function="reciprocal",
            variant="division, a bit a stage",
            formats="32-bit divisor, 16-bit quotient",
            parts=(Part(name="reciprocal", make=_reciprocal, widths=ALONE),),
            latency=partial(_latency, "arith.reciprocal", "Reciprocal"),
            throughput=one,
            safe="divisors 1 to 2**32 - 1, numerators above 2**13 and below 2**15",
        ),
        Entry(
            name="row_scale",
            function="row scale",
            variant="reciprocal, normalized",
            formats="32-bit sum, 15-bit multiplier and shift",
            parts=(Part(name="row_scale", make=_row_scale, widths=ALONE),),
            latency=partial(_latency, "softmax.rowscale", "RowScale"),
            throughput=one,
            safe="sums 1 to 2**32 - 1",
        ),
        Entry(
            name="rsqrt",
            function="reciprocal square root",
            variant="table seed, Newton",
            formats="55-bit number, 16-bit root",
            parts=(Part(name="rsqrt", make=_root, widths=ALONE),),
            latency=partial(_latency, "arith.rsqrt", "ReciprocalRoot"),
            throughput=one,
            safe="numbers 1 to 2**55 - 1",
        ),
    )


def _further(
    listed: Set[tuple[ActivationFunction, ActivationVariant]],
) -> Iterator[tuple[str, str, ActivationConfig]]:
    """Every function and every variant that is not ``listed``, with its default settings."""
    functions, variants = ({pair[place] for pair in listed} for place in (0, 1))
    for variant in in_hardware(ActivationVariant):
        for function in ACTIVATIONS[variant].functions:
            if variant not in variants or function not in functions:
                config = ActivationConfig(
                    function=function, variant=variant, range=FUNCTIONS[function].usual_range
                )
                steps = f", steps of 1/{1 << config.step_bits} to {config.range:g}"
                formats = f"Q6.{config.fraction_bits}{steps if ACTIVATIONS[variant].tabulated else ''}"
                yield f"{function}_{variant}", formats, config


def catalogue() -> tuple[Entry, ...]:
    """Every entry, in the order of the table."""
    activations = [
        ("gelu_delta", "Q6.14, steps of 1/32 to 4.5", ActivationConfig()),
        ("gelu_delta_22", "Q6.22, steps of 1/32 to 4.5", ActivationConfig(fraction_bits=22)),
        (
            "gelu_delta_8",
            "Q6.12, steps of 1/16 to 4: for 8-bit results",
            ActivationConfig(step_bits=4, range=4.0, fraction_bits=12),
        ),
        (
            "gelu_table",
            "Q6.12, steps of 1/16 over [-4, 4)",
            ActivationConfig(variant=ActivationVariant.TABLE, step_bits=4, range=4.0, fraction_bits=12),
        ),
        ("gelu_poly", "Q6.14", ActivationConfig(variant=ActivationVariant.POLY)),
        ("gelu_shift", "Q6.14", ActivationConfig(variant=ActivationVariant.SHIFT)),
        (
            "silu_delta",
            "Q6.14, steps of 1/16 to 10",
            ActivationConfig(function=ActivationFunction.SILU, step_bits=4, range=10.0),
        ),
        (
            "silu_shift",
            "Q6.14",
            ActivationConfig(function=ActivationFunction.SILU, variant=ActivationVariant.SHIFT),
        ),
    ]
    activations += _further({(config.function, config.variant) for _, _, config in activations})
    softmax = [
        SoftmaxConfig(variant=variant, probability_bits=bits)
        for variant in in_hardware(SoftmaxVariant)
        for bits in (16, 8)
    ]
    softmax.append(SoftmaxConfig(fraction_bits=9))  # finer scores of half the range
    return (
        *(_activation_entry(*activation) for activation in activations),
        *(_softmax_entry(config) for config in softmax),
        *(_norm_entry(variant) for variant in in_hardware(NormVariant)),
        *_shared_entries(),
    )
