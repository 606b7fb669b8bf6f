"""Small accelerators and transformers for the tests of sim; few, because each accelerator costs a Verilator build."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from tests.support.compiler.graphs import random_image, random_vit_graph
from vitreous.compiler import compile
from vitreous.golden.machine import Machine
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import (
    AcceleratorConfig,
    ActivationConfig,
    ArrayConfig,
    BusConfig,
    MemoryConfig,
    NormConfig,
    QueueConfig,
    SoftmaxConfig,
)
from vitreous.spec.program import Program

torch.set_num_threads(1)


def accelerator(
    lanes: int,
    depth: int,
    data_bits: int,
    variant: str,
    *,
    queue: int,
    burst: int,
    reads: int,
    multiplier: str = "plain",
    fraction_bits: int = 8,
    probability_bits: int = 16,
    activation: ActivationConfig | None = None,
    norm: str = "one_pass",
    kib: int = 4,
) -> AcceleratorConfig:
    """``kib`` is the size of X; W and R have twice and four times as much: enough for every case of ``CASES``."""
    return AcceleratorConfig(
        name=f"small-{lanes}x{depth}-{data_bits}-{variant}",
        array=ArrayConfig(lanes=lanes, depth=depth, multiplier=multiplier),
        memory=MemoryConfig(
            activation_kib=kib, weight_kib=2 * kib, residual_kib=4 * kib, parameter_entries=64, score_keys=64
        ),
        bus=BusConfig(data_bits=data_bits, burst_beats=burst, outstanding_reads=reads),
        softmax=SoftmaxConfig(
            variant=variant, fraction_bits=fraction_bits, probability_bits=probability_bits
        ),
        activation=activation or ActivationConfig(),
        norm=NormConfig(variant=norm),
        queue=QueueConfig(depth=queue),
    )


# N 4, 8 and 16; V from 1 to 8, once larger than N; every bus width, multiplier, and variant of every nonlinear unit;
# the shortest queues and bursts. `python -m campaigns.combinations` has the whole product of the variants.
TINY = accelerator(4, 2, 64, "base2", queue=2, burst=4, reads=1)
CONFIGURATIONS = {
    config.name: config
    for config in (
        TINY,
        accelerator(
            4, 8, 256, "online", queue=4, burst=16, reads=4, kib=8,
            multiplier="packed", activation=ActivationConfig(variant="poly"), norm="two_pass",
        ),
        accelerator(
            4, 1, 128, "ibert", queue=8, burst=8, reads=2,
            multiplier="accumulate", fraction_bits=7, activation=ActivationConfig(variant="table"),
        ),
        accelerator(8, 4, 64, "base2", queue=8, burst=16, reads=8, kib=8, multiplier="packed"),
        accelerator(
            8, 1, 128, "ita", queue=2, burst=64, reads=16,
            fraction_bits=6, activation=ActivationConfig(variant="shift", fraction_bits=22), norm="two_pass",
        ),
        accelerator(
            16, 2, 256, "online", queue=4, burst=4, reads=8, kib=16,
            fraction_bits=9, probability_bits=8,
            activation=ActivationConfig(function="silu", range=12.0, step_bits=4, fraction_bits=16, interpolate=False),
        ),
    )
}  # fmt: skip

# Sizes that N and V do not divide in each; what else is at an edge is the case's name.
CASES: dict[str, dict[str, Any]] = {
    "class token, many classes": {
        "image": (15, 10), "patch": 5, "channels": 2, "dim": 15, "heads": 3, "depth": 1, "mlp": 37, "classes": 41,
    },
    "one token, one head, pooled": {
        "image": (3, 3), "patch": 3, "channels": 1, "dim": 7, "heads": 1, "depth": 1, "mlp": 19, "classes": 3,
        "class_token": False,
    },
    "K smaller than N, relu": {
        "image": (9, 6), "patch": 3, "channels": 1, "dim": 3, "heads": 3, "depth": 2, "mlp": 2, "classes": 5,
        "nonlinearity": "relu", "centred": False,
    },
    "several tiles, pooled": {
        "image": (21, 49), "patch": 7, "channels": 3, "dim": 26, "heads": 2, "depth": 2, "mlp": 50, "classes": 17,
        "class_token": False, "widths": (8, 16),
    },
    "shifted norms": {
        "image": (15, 20), "patch": 5, "channels": 1, "dim": 70, "heads": 2, "depth": 1, "mlp": 23, "classes": 6,
        "shifted": True,
    },
}  # fmt: skip
TIMINGS = (
    MemoryTiming(latency=1, throughput=100),
    MemoryTiming(latency=40, throughput=37),
    MemoryTiming(latency=200, throughput=100),
)


def small_program(
    config: AcceleratorConfig, case: str, *, seed: int | None = None, observe: bool = True
) -> tuple[Program, np.ndarray]:
    """The compiled case, by default with weights of its own for each configuration and case, and an image for it."""
    if seed is None:
        seed = int(hashlib.sha256(f"{config.digest} {case}".encode()).hexdigest()[:6], 16)
    sizes = CASES[case]
    if config.softmax.probability_bits == 8:
        sizes = {**sizes, "widths": ()}
    graph = random_vit_graph(
        seed, softmax=config.softmax, activation=config.activation, norm=config.norm, **sizes
    )
    return compile(graph, config, observe=observe), random_image(graph, seed)


def golden_window(program: Program, image: np.ndarray, config: AcceleratorConfig) -> np.ndarray:
    """uint8, the write window that the functional machine leaves."""
    return Machine(config).run(program, image).window


def image_like(program: Program, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, program.input_shape).astype(np.int8)
