"""The programs that a mutant has to run: small transformers whose every intermediate is stored, and what is right."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.compiler.graphs import random_vit_graph
from tests.support.sim.small import CONFIGURATIONS, golden_window, image_like
from vitreous.compiler import compile
from vitreous.sim.run.runtime import simulate
from vitreous.spec import program as programs
from vitreous.spec.graph import Graph, Op

IMAGES = 2
BOUND = 20
"""A mutant hangs when it takes this many times the cycles of the true machine."""


def _sizes(
    image: tuple[int, int],
    patch: int,
    channels: int,
    dim: int,
    heads: int,
    mlp: int,
    classes: int,
    **more: Any,
) -> dict[str, Any]:
    """Arguments of ``random_vit_graph``; one block unless ``more`` says another ``depth``."""
    net = {"image": image, "patch": patch, "channels": channels, "dim": dim, "heads": heads, "depth": 1}
    return net | {"mlp": mlp, "classes": classes} | more


_RELU: dict[str, Any] = {"depth": 2, "nonlinearity": "relu", "class_token": False}
# "plain" keeps values in the middle of their ranges, "loud" saturates int8, int16, scores and the activation's table.
CASES: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "1-base2-plain": ("small-4x2-64-base2", False, _sizes((9, 15), 3, 3, 14, 2, 21, 11)),
    "2-base2-loud": ("small-4x2-64-base2", True, _sizes((15, 10), 5, 2, 13, 1, 17, 5, **_RELU)),
    "3-online-plain": (
        "small-4x8-256-online",
        False,
        _sizes((14, 21), 7, 3, 18, 2, 13, 9, class_token=False, widths=(16,)),
    ),
    "4-online-loud": ("small-4x8-256-online", True, _sizes((8, 20), 4, 1, 11, 1, 27, 12)),
    "5-ibert-plain": ("small-4x1-128-ibert", False, _sizes((9, 15), 3, 2, 10, 2, 13, 5)),
    "6-ita-plain": ("small-8x1-128-ita", False, _sizes((9, 12), 3, 2, 12, 2, 13, 5)),
    "7-base2-loud-gelu": ("small-4x2-64-base2", True, _sizes((8, 12), 4, 1, 9, 1, 15, 6, widths=(16,))),
    # Three words of channel shifts for each tile, the last one not whole.
    "8-base2-plain-shifted": ("small-4x2-64-base2", False, _sizes((9, 6), 3, 1, 70, 2, 5, 4, shifted=True)),
    # Rows of three blocks of keys, of one byte plane and of two.
    "9-base2-loud-blocks": (
        "small-4x2-64-base2",
        True,
        _sizes((24, 32), 2, 1, 10, 1, 5, 4, depth=2, class_token=False, widths=(8, 16)),
    ),
}

# Places by which a requantization's shift is reduced in a loud graph, by the end of its node's name.
_LOUDER = {".q": 2, ".logits": 6, ".wide": 5, ".fc1": 2, ".proj": 4, ".fc2": 4, ".out": 1, "embed.out": 3}


def _louder(graph: Graph) -> Graph:
    """The same graph with values far beyond their ranges."""
    nodes = []
    for node in graph.nodes:
        if node.op is Op.REQUANTIZE:
            places = max((v for k, v in _LOUDER.items() if node.name.endswith(k)), default=0)
            shift = np.maximum(node.constants["shift"] - places, 1).astype(np.int32)
            node = replace(node, constants={**node.constants, "shift": shift})
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _with_large_epsilon(graph: Graph) -> Graph:
    """Layer norms whose epsilon is of the size of the variance, so that it counts."""
    return replace(
        graph,
        nodes=tuple(
            replace(node, attributes={**node.attributes, "epsilon": 0x7FFF_FFF1})
            if node.op is Op.LAYERNORM
            else node
            for node in graph.nodes
        ),
    )


def write_cases(folder: Path) -> Path:
    """Compile the cases, run them on golden.machine and once on the true RTL (for its cycles); returns ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    for seed, (name, (config_name, loud, sizes)) in enumerate(CASES.items(), 50):
        config = CONFIGURATIONS[config_name]
        graph = random_vit_graph(
            seed, softmax=config.softmax, activation=config.activation, norm=config.norm, **sizes
        )
        graph = _louder(graph) if loud else _with_large_epsilon(graph)
        program = compile(graph, config, observe=True)
        images = [image_like(program, seed + 100 * index) for index in range(IMAGES)]
        windows = [golden_window(program, image, config) for image in images]
        case = folder / name
        case.mkdir(parents=True)
        programs.save(program, case / "program.safetensors")
        np.save(case / "images.npy", np.stack(images))
        np.save(case / "windows.npy", np.stack(windows))
        run = simulate(program, images, config, folder=folder.parent / "cycles" / name)
        cycles = max(image.simulated_cycles for image in run.images)
        (case / "limits.json").write_text(json.dumps({"maximum_cycles": BOUND * cycles}))
    return folder
