"""What the upsets hit: one block of a small vision transformer, every intermediate stored and compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.support.compiler.graphs import random_image, random_vit_graph
from tests.support.sim.small import CONFIGURATIONS, golden_window
from vitreous.compiler import compile
from vitreous.sim.run.build import build_exposed
from vitreous.sim.upsets.runs import Subject
from vitreous.spec.config import AcceleratorConfig, ProtectConfig, load_accelerator

SEED = 3


def accelerator(name: str, *, parity: bool) -> AcceleratorConfig:
    """A small one of the tests by its name, a preset, or a TOML file; with ``[protect] parity`` or without."""
    config = CONFIGURATIONS.get(name) or load_accelerator(name)
    return replace(config, name=config.name + "-parity" * parity, protect=ProtectConfig(parity=parity))


def subject(config: AcceleratorConfig, builds: Path) -> Subject:
    """Five tokens of 8 channels, two heads: about 2,600 cycles on a 4x4x2 array."""
    graph = random_vit_graph(
        SEED, image=(6, 6), patch=3, channels=1, dim=8, heads=2, depth=1, mlp=16, classes=5,
        softmax=config.softmax, activation=config.activation, norm=config.norm,
    )  # fmt: skip
    program, image = compile(graph, config, observe=True), random_image(graph, SEED)
    window = golden_window(program, image, config)
    made = build_exposed(config, root=builds)
    return Subject(config=config, program=program, image=image, window=window, made=made)
