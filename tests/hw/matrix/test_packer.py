"""The packer: lane-major words, padding of incomplete ones, gaps between columns."""

import numpy as np
import pytest

from tests.support.hw.columns import pack, run_pipeline
from vitreous.hw.matrix.packer import Packer
from vitreous.spec.config import AcceleratorConfig, ArrayConfig


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_words(depth: int) -> None:
    """Words of every number of columns, back to back and with gaps."""
    lanes, rng = 4, np.random.default_rng(depth)
    config = AcceleratorConfig(array=ArrayConfig(lanes=lanes, depth=depth))
    inputs: list[dict[str, int]] = []
    expected: list[tuple[int, int]] = []
    for count in [*range(1, depth + 1), depth, 1, 1, depth]:
        columns = rng.integers(0, 256, (count, lanes))
        for index, column in enumerate(columns):
            if rng.integers(4) == 0:
                inputs.append({"valid": 0, "index": int(rng.integers(depth)), "column": 0})
            inputs.append({"valid": 1, "index": index, "column": pack(column, 8)})
        word = np.zeros((lanes, depth), np.int64)
        word[:, :count] = columns.T
        expected.append((len(inputs) - 1 + Packer.LATENCY, pack(word.ravel(), 8)))
    packer = Packer(config)
    seen = run_pipeline(packer, inputs, ["o"], cycles=len(inputs) + 1)
    assert [seen[cycle]["o"] for cycle, _ in expected] == [word for _, word in expected]
