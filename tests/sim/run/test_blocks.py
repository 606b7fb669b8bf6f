"""Rows of several blocks of keys in simulated RTL: the bytes of the functional machine in the cycles of the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.compiler.graphs import random_image, random_vit_graph
from tests.support.sim.small import CONFIGURATIONS, golden_window
from vitreous.compiler import compile
from vitreous.sim.cycles.model import predict
from vitreous.sim.dram import MemoryTiming
from vitreous.sim.run.runtime import simulate
from vitreous.spec.isa import Opcode

pytestmark = pytest.mark.slow

TIMING = MemoryTiming(latency=40, throughput=100)
# By the keys of a row: the last block has 32, 64 (as many as S holds of one) or fewer than a word.
ROWS = {
    "small-4x2-64-base2": {"image": (24, 32), "patch": 2, "channels": 1, "dim": 10, "heads": 1},
    "small-8x4-64-base2": {"image": (24, 28), "patch": 2, "channels": 1, "dim": 12, "heads": 2},
}


@pytest.mark.parametrize("class_token", [False, True])
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ROWS])
def test_rows_of_several_blocks(name: str, class_token: bool, tmp_path: Path) -> None:
    config, sizes = CONFIGURATIONS[name], ROWS[name]
    if class_token:
        sizes = {**sizes, "image": (16, 24)}  # 97 keys: 64 and 33
    wide = (8, 16) if config.softmax.probability_bits == 16 else ()
    graph = random_vit_graph(
        len(name),
        softmax=config.softmax,
        activation=config.activation,
        norm=config.norm,
        depth=2,
        mlp=7,
        classes=4,
        widths=wide,
        class_token=class_token,
        **sizes,  # type: ignore[arg-type]
    )
    program, image = compile(graph, config, observe=True), random_image(graph, 1)
    blocks = {(i["first_block"], i["last_block"]) for i in program.instructions if i.opcode is Opcode.MATMUL}
    assert {(1, 0), (0, 1)} <= blocks
    (run,) = simulate(program, [image], config, folder=tmp_path, timing=TIMING).images
    expected = golden_window(program, image, config)
    assert not np.flatnonzero(run.window != expected).size
    assert expected.any()
    predicted = predict(program, config, timing=TIMING).cycles
    assert abs(predicted - run.counters["cycles"]) <= 0.01 * run.counters["cycles"]
