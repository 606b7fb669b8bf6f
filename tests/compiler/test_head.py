"""Outputs that no memory holds whole: made and stored in parts of columns."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compiler.test_machine import differing
from tests.support.compiler.graphs import random_image, random_vit_graph
from vitreous.compiler import compile
from vitreous.compiler.needs import DoesNotFitError
from vitreous.golden.machine import ORDERS
from vitreous.sim.cycles import predict
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig, load_accelerator
from vitreous.spec.isa import Opcode

NET = {"image": (8, 8), "patch": 4, "channels": 1, "dim": 12, "heads": 2, "depth": 1, "mlp": 20}


def small(residual_kib: int, lanes: int = 4, depth: int = 2) -> AcceleratorConfig:
    memory = {"activation_kib": 2, "weight_kib": 4, "parameter_entries": 64, "score_keys": 16}
    return AcceleratorConfig(
        array=ArrayConfig(lanes=lanes, depth=depth), memory=MemoryConfig(residual_kib=residual_kib, **memory)
    )


@pytest.mark.parametrize(("lanes", "depth"), [(4, 2), (4, 8), (8, 1)])
@pytest.mark.parametrize("class_token", [True, False])
@pytest.mark.parametrize("observe", [True, False])
def test_parts_of_an_output_are_its_columns(lanes: int, depth: int, class_token: bool, observe: bool) -> None:
    config = small(2, lanes, depth)
    graph = random_vit_graph(lanes + depth, classes=1003, class_token=class_token, **NET)
    program = compile(graph, config, observe=observe)
    assert program.notes["plan"]["outputs"] > 1
    stored = [p for p in program.placements if p.tensor == graph.output.name]
    starts = np.cumsum([0, *(p.shape[1] for p in stored)])
    assert [p.column_start for p in stored] == starts[:-1].tolist()
    assert starts[-1] == 1003
    image = random_image(graph, 1)
    for seed, order in enumerate(ORDERS):
        assert differing(graph, program, config, image, order, seed) == []


def test_an_output_that_fits_is_whole() -> None:
    graph = random_vit_graph(1, classes=1003, **NET)
    program = compile(graph, small(64))
    assert program.notes["plan"]["outputs"] == 1
    assert sum(i.opcode is Opcode.STORE for i in program.instructions) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["edge64-ecp5", "edge64", "edge256"])
def test_twenty_thousand_columns_cost_their_weights(name: str) -> None:
    """On presets as they are; storing the parts hides behind the weights of the next ones."""
    config = load_accelerator(name)
    few, many = (random_vit_graph(1, classes=n, **NET) for n in (1000, 20000))
    cycles = [predict(compile(graph, config), config, MemoryTiming()).cycles for graph in (few, many)]
    beat = config.bus.data_bits // 8
    weights = (20000 - 1000) * (12 + 8) / beat  # a row of weights and a parameter word for each column
    assert cycles[1] - cycles[0] <= 2.2 * weights


def test_streams_are_not_cut() -> None:
    """R is too small for the stream itself: one refusal, which names the stream."""
    with pytest.raises(DoesNotFitError, match="R, the residual memory, needs"):
        compile(random_vit_graph(1, classes=1003, **{**NET, "image": (32, 32)}), small(1))
