"""The optimizations that a change of the configuration switches off, and what is there instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.softmax import limits
from vitreous.spec.variants import ACTIVATIONS, ActivationVariant, SoftmaxVariant


@dataclass(frozen=True)
class Switch:
    """One optimization that a change of the configuration switches off. present: whether a configuration has it."""

    name: str
    change: str
    method: str
    same_results: bool
    present: Callable[[AcceleratorConfig], bool]
    off: Callable[[AcceleratorConfig], AcceleratorConfig]


def _serial(config: AcceleratorConfig) -> AcceleratorConfig:
    return replace(config, schedule=replace(config.schedule, double_buffer=False))


def _spilling(config: AcceleratorConfig) -> AcceleratorConfig:
    return replace(config, schedule=replace(config.schedule, fused_attention=False))


def _two_pass(config: AcceleratorConfig) -> AcceleratorConfig:
    return replace(config, softmax=replace(config.softmax, variant=SoftmaxVariant.IBERT))


def _table(config: AcceleratorConfig) -> AcceleratorConfig:
    return replace(
        config, activation=replace(config.activation, variant=ActivationVariant.TABLE, step_bits=8)
    )


def _poly(config: AcceleratorConfig) -> AcceleratorConfig:
    return replace(config, activation=replace(config.activation, variant=ActivationVariant.POLY))


def _delta(config: AcceleratorConfig) -> bool:
    return config.activation.variant is ActivationVariant.DELTA


DOUBLE_BUFFERING = Switch(
    "double buffering",
    "one buffer; a load waits for the preceding compute",
    "schedule.double_buffer = false",
    True,
    lambda config: config.schedule.double_buffer,
    _serial,
)
FUSED_ATTENTION = Switch(
    "fused attention",
    "scores go to DRAM and back",
    "schedule.fused_attention = false: equal traffic stores and loads the 16-bit scores of each query tile; no softmax "
    "pass of its own, no stored probabilities",
    True,
    lambda config: config.schedule.fused_attention,
    _spilling,
)
SINGLE_PASS = Switch(
    "single-pass softmax",
    "two passes over the scores (ibert)",
    "softmax.variant = ibert; quantized again, other numbers",
    False,
    lambda config: limits(config.softmax).passes == 1,
    _two_pass,
)
LOW_COST_ACTIVATION = Switch(
    "low-cost GELU",
    "direct table, steps of 1/256",
    "activation.variant = table, step_bits = 8: the finest direct table; quantized again, other numbers",
    False,
    _delta,
    _table,
)
LOW_COST_ACTIVATION_POLY = Switch(
    "low-cost GELU",
    "second-order polynomial (I-BERT)",
    "activation.variant = poly: no table; quantized again, other numbers",
    False,
    lambda config: (
        _delta(config) and config.activation.function in ACTIVATIONS[ActivationVariant.POLY].functions
    ),
    _poly,
)
SWITCHES = (SINGLE_PASS, LOW_COST_ACTIVATION, LOW_COST_ACTIVATION_POLY, FUSED_ATTENTION, DOUBLE_BUFFERING)
ORDER = (DOUBLE_BUFFERING, FUSED_ATTENTION, SINGLE_PASS, LOW_COST_ACTIVATION)
"""Of the cumulative rows; dedicated units come last, because they are composed of all the others."""
