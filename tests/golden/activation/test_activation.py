from __future__ import annotations

import math

import pytest
import torch

from tests.support.golden import scalar
from vitreous.golden.activation.activation import activation
from vitreous.golden.activation.exact import smooth_float64
from vitreous.spec.config import ActivationConfig
from vitreous.spec.variants import ActivationFunction

EVERY = torch.arange(-32768, 32768).to(torch.int16)


def config_of(variant: str = "delta", function: str = "gelu", **other: object) -> ActivationConfig:
    return ActivationConfig(variant=variant, function=function, **other)  # type: ignore[arg-type]


CONFIGS = [
    ActivationConfig(),
    config_of("delta", "silu", range=8.0, fraction_bits=16),
    config_of(step_bits=4, range=4.0, fraction_bits=10),
    config_of(step_bits=8, range=5.5, fraction_bits=22),
    config_of(step_bits=2, range=16.0, fraction_bits=12),
    config_of(step_bits=4, fraction_bits=10, interpolate=False),
    config_of("delta", "silu", step_bits=8, range=16.0, interpolate=False),
    config_of("table"),
    config_of("table", "silu", step_bits=8, range=16.0, fraction_bits=22),
    config_of("table", step_bits=2, range=0.25, fraction_bits=10),
    config_of("delta", "gelu_tanh", range=4.5),
    config_of("delta", "quick_gelu", range=6.0, fraction_bits=16),
    config_of("table", "quick_gelu", range=6.0),
    *(config_of("poly", fraction_bits=f) for f in (10, 14, 22)),
    *(
        config_of("shift", function, fraction_bits=f)
        for function in ("gelu", "quick_gelu", "silu")
        for f in (10, 14, 22)
    ),
]

# The largest error over all 65536 inputs, in 1/10000 (measured, rounded up), and where it comes from.
ERRORS = [
    (ActivationConfig(range=4.5, fraction_bits=22), 0.5),  # half the chord's: h*h/16 * 0.798 = 0.49e-4
    (config_of(range=4.5), 1.0),  # and a unit of 2**-14, 0.61e-4: half for the entry, half for the result
    (config_of("delta", "silu", range=16.0, fraction_bits=22), 0.32),  # h*h/16 * 0.5
    (config_of(step_bits=8, interpolate=False, range=4.5, fraction_bits=22), 9.8),  # half a step, slope 0.5
    (config_of("table", range=4.5, fraction_bits=22), 177.0),  # half a step, slope 1.129
    (config_of("table", "silu", step_bits=8, range=16.0, fraction_bits=22), 21.5),
    (config_of("poly", fraction_bits=22), 183.0),  # I-BERT states 0.018
    (config_of("shift", fraction_bits=22), 256.0),
    (config_of("shift", "silu", fraction_bits=22), 150.0),
    (config_of("delta", "gelu_tanh", range=4.5, fraction_bits=22), 0.5),  # as GELU
    (config_of("delta", "quick_gelu", range=8.0, fraction_bits=22), 0.53),  # h*h/16 * 0.851
    (config_of("shift", "gelu_tanh", fraction_bits=22), 259.0),
    (config_of("shift", "quick_gelu", fraction_bits=22), 111.0),
]


@pytest.mark.parametrize(("config", "bound"), ERRORS, ids=str)
def test_error_over_all_inputs_against_float64(config: ActivationConfig, bound: float) -> None:
    y = activation(EVERY, config).double() / 2**config.fraction_bits
    error = 1e4 * float((y - smooth_float64(EVERY, config)).abs().max())
    assert 0.8 * bound < error <= bound


@pytest.mark.parametrize("function", ActivationFunction)
@pytest.mark.parametrize("fraction_bits", [10, 14, 22])
def test_exact_is_the_nearest_integer(function: str, fraction_bits: int) -> None:
    y = activation(EVERY, config_of("exact", function, fraction_bits=fraction_bits))
    assert y.dtype == torch.int32
    real = EVERY.double() / 1024
    if function == "gelu":
        expected = real * torch.special.ndtr(real)  # a second way to the same function
    elif function == "gelu_tanh":
        inner = math.sqrt(2 / math.pi) * (real + 0.044715 * real**3)
        expected = real / (1 + torch.exp(-2 * inner))
    else:
        expected = real / (1 + torch.exp(-(1.702 if function == "quick_gelu" else 1.0) * real))
    assert ((y - expected * 2**fraction_bits).abs() <= 0.5 + 1e-6).all()


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_every_input_against_the_definition(config: ActivationConfig) -> None:
    y = activation(EVERY, config)
    assert y.dtype == torch.int32
    assert y.tolist() == [scalar.activation(x, config) for x in range(-32768, 32768)]
    assert y.abs().max() < 1 << (config.fraction_bits + 6), "Q6 of the documented width"


def test_an_8_bit_setting_is_correctly_rounded_for_nearly_every_input() -> None:
    """A result in steps of 0.05: how many of all inputs round as the exact function does."""
    config = ActivationConfig(fraction_bits=14)
    real = torch.floor(smooth_float64(EVERY, config) * 20 + 0.5)
    found = torch.floor(activation(EVERY, config).double() / 2**14 * 20 + 0.5)
    assert (found == real).double().mean() >= 0.999
