"""GELU and SiLU, every variant: all inputs, enabled and not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from campaigns.vectors.case import Case, flat, lanes
from vitreous.golden.activation.activation import activation
from vitreous.hw.activation.activation import SmoothActivation
from vitreous.sim.bench.vectors import Block
from vitreous.spec.config import ActivationConfig

CONFIGS = {
    "delta gelu": ActivationConfig(),
    "delta silu": ActivationConfig(function="silu", range=8.0),
    "delta gelu, 22 bits": ActivationConfig(step_bits=6, range=5.0, fraction_bits=22),
    "delta gelu, coarse": ActivationConfig(step_bits=2, range=16.0, fraction_bits=10),
    "delta gelu, fine": ActivationConfig(step_bits=8, range=4.0, fraction_bits=16),
    "delta gelu, constant": ActivationConfig(step_bits=6, interpolate=False),
    "delta silu, constant": ActivationConfig(function="silu", step_bits=6, range=10.0, interpolate=False),
    "poly gelu": ActivationConfig(variant="poly"),
    "poly gelu, 22 bits": ActivationConfig(variant="poly", fraction_bits=22),
    "poly gelu, 10 bits": ActivationConfig(variant="poly", fraction_bits=10),
    "shift gelu": ActivationConfig(variant="shift"),
    "shift silu": ActivationConfig(variant="shift", function="silu"),
    "shift gelu, 22 bits": ActivationConfig(variant="shift", fraction_bits=22),
    "table gelu": ActivationConfig(variant="table"),
    "table silu": ActivationConfig(
        variant="table", function="silu", step_bits=4, range=16.0, fraction_bits=12
    ),
}

LANES = 2
"""The space is small, and every lane more is compile time."""


def all_inputs(config: ActivationConfig, rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Enabled in order, then not enabled, then every input again with the flag at random."""
    x = np.arange(-(1 << 15), 1 << 15)
    y = activation(torch.from_numpy(x), config).numpy()
    plain = x << (config.fraction_bits - 10)
    for enable in (1, 0):
        yield Block(
            stimulus={"enable": flat(len(x) // LANES, enable), "x": lanes(x, LANES)},
            expected={"y": lanes(y if enable else plain, LANES)},
        )
    order = rng.permutation(len(x))
    enables = rng.integers(0, 2, len(x) // LANES)
    yield Block(
        stimulus={"enable": enables, "x": lanes(x[order], LANES)},
        expected={"y": np.where(enables[:, None] == 1, lanes(y[order], LANES), lanes(plain[order], LANES))},
    )


def cases() -> list[Case]:
    """Of this file."""
    return [
        Case(
            unit="SmoothActivation",
            variant=variant,
            space="all inputs, enabled or not",
            make=partial(SmoothActivation, config, lanes=LANES),
            blocks=partial(all_inputs, config),
            exhaustive=True,
            latency=SmoothActivation.latency(config),
        )
        for variant, config in CONFIGS.items()
    ]
