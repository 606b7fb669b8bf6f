from __future__ import annotations

import pytest
import torch

from vitreous.golden.gelu import gelu
from vitreous.spec.config import GeluConfig
from vitreous.spec.tables import gelu_delta

EVERY = torch.arange(-32768, 32768).to(torch.int16)
CONFIGS = [
    GeluConfig(),
    GeluConfig(step_bits=4, range=4.0, fraction_bits=10),
    GeluConfig(step_bits=8, range=5.5, fraction_bits=16),
    GeluConfig(step_bits=2, range=16.0, fraction_bits=12),
]


def test_error_over_all_inputs_against_float64() -> None:
    y = gelu(EVERY, GeluConfig()).double() / 2**14
    real = torch.nn.functional.gelu(EVERY.double() / 1024)
    assert (
        y - real
    ).abs().max() < 1.5e-4  # interpolation h*h/8 * max|delta''| = 9.8e-5, and half a unit of 2**-14


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_every_input_against_the_definition(config: GeluConfig) -> None:
    table, b = gelu_delta(config), 10 - config.step_bits
    expected = []
    for x in range(-32768, 32768):
        i, f = abs(x) >> b, abs(x) % (1 << b)
        inside = i < config.entries
        delta = (table[i] * 2**b + (table[i + 1] - table[i]) * f + 2 ** (b - 1)) >> b if inside else 0
        expected.append((max(x, 0) << (config.fraction_bits - 10)) - delta)
    y = gelu(EVERY, config)
    assert y.dtype == torch.int32
    assert y.tolist() == expected
    assert y.abs().max() < 1 << (config.fraction_bits + 6), "Q6 of the documented width"
