"""The programs and accelerators of ``benchmarks.validate``: those of the tests, and the shipped models."""

from __future__ import annotations

import dataclasses
import hashlib
from functools import lru_cache
from typing import Any

import numpy as np

from tests.support.compiler.graphs import random_image, random_vit_graph
from tests.support.sim.small import CASES, CONFIGURATIONS, TIMINGS, small_program
from vitreous.compiler import compile
from vitreous.flow import steps
from vitreous.models import load
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import AcceleratorConfig, load_accelerator
from vitreous.spec.digest import source_digest
from vitreous.spec.graph import Graph
from vitreous.spec.program import Program

ACCELERATORS = ("edge64", "edge256", "edge1024", "square256")
BUS_BITS = (64, 128, 256)
LATENCIES = (1, 40, 200)
MODELS = ("fashion-vit", "deit-tiny")
RANDOM: dict[str, dict[str, Any]] = {
    "class token": {"seed": 11, "image": (24, 16), "patch": 4, "dim": 48, "heads": 3, "depth": 2, "mlp": 100},
    "pooled": {
        "seed": 12, "image": (15, 10), "patch": 5, "channels": 2, "dim": 15, "heads": 3, "depth": 1, "mlp": 37,
        "class_token": False, "nonlinearity": "relu", "classes": 41,
    },
}  # fmt: skip
"""Transformers with random weights and sizes that no array divides (tests.support.compiler.graphs)."""
STORED = ", all stored"
SMALL = tuple(f"{case}{stored}" for case in CASES for stored in ("", STORED))
"""The programs of ``tests.sim``, without and with every intermediate stored."""
PROGRAMS = (*RANDOM, *SMALL, *MODELS)


@lru_cache(maxsize=2)
def model_graph(name: str) -> Graph:
    """The integer graph of a shipped model: it depends on the nonlinear units, which all of ``ACCELERATORS`` share."""
    return steps.quantize(load(name), load_accelerator(ACCELERATORS[0]))


def workload(name: str, config: AcceleratorConfig) -> tuple[Program, np.ndarray]:
    """A program by name, and an image: which one does not matter for the time."""
    if name in SMALL:
        return small_program(config, name.removesuffix(STORED), observe=name.endswith(STORED))
    sizes = RANDOM.get(name)
    graph = random_vit_graph(**sizes) if sizes else model_graph(name)
    return compile(graph, config), random_image(graph, 0)


def configuration(accelerator: str, bus_bits: int) -> AcceleratorConfig:
    """A named accelerator with another bus; one of the tests as it is."""
    if accelerator in CONFIGURATIONS:
        return CONFIGURATIONS[accelerator]
    config = load_accelerator(accelerator)
    name = accelerator if config.bus.data_bits == bus_bits else f"{accelerator}-{bus_bits}"
    return dataclasses.replace(config, name=name, bus=dataclasses.replace(config.bus, data_bits=bus_bits))


def timings(accelerator: str, latencies: list[int]) -> list[MemoryTiming]:
    """The tests' own accelerators are run with the tests' memories, one of which is slow."""
    if accelerator in CONFIGURATIONS:
        return list(TIMINGS)
    return [MemoryTiming(latency=latency) for latency in latencies]


def program_digest(program: Program) -> str:
    """Of all that decides what it does: code, parameters, weights and the accelerator that it is for."""
    return hashlib.sha256(program.image.tobytes() + program.config_digest.encode()).hexdigest()[:16]


def hardware_digest() -> str:
    """Of the hardware description, the instruction set and the bench with its memory."""
    return source_digest("hw", "spec", "sim/run/bench.sv")[:16]


def model_digest() -> str:
    """Of the cycle model."""
    return source_digest("sim/cycles", "spec")[:16]
