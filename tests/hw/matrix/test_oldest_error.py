"""Of two wrong instructions the older one's error is reported, although the younger one meets its own first."""

from __future__ import annotations

import numpy as np
import pytest

from tests.hw.matrix.test_matrix_errors import FAULTS
from tests.support.hw.matrix_bench import MatrixBench
from tests.support.hw.matrix_programs import matmul, random_memories, small
from vitreous.spec.isa import ErrorCode

OLDER = ("X written", "W written", "R written", "R read", "far beyond", "X written after two passes")
YOUNGER = (
    "A in X",
    "B in W",
    "W of probabilities",
    "parameters",
    "lane parameters",
    "strides that would wrap",
)


@pytest.mark.parametrize(
    ("older", "younger"),
    [
        ("X written", "A in X"),
        *(pytest.param("X written", name, marks=pytest.mark.slow) for name in YOUNGER[1:]),
        *(pytest.param(name, "B in W", marks=pytest.mark.slow) for name in OLDER[1:]),
        *(pytest.param(name, name, marks=pytest.mark.slow) for name in OLDER[:3]),
    ],
)
def test_the_older_fault_wins(older: str, younger: str) -> None:
    config = small()
    before = random_memories(config, np.random.default_rng(0))
    program = [
        matmul(o_base=40),
        matmul(**{"o_base": 30, **FAULTS[older]}),
        matmul(**{"o_base": 50, **FAULTS[younger]}),
    ]
    outcome = MatrixBench(config).run(program, before)
    assert len(outcome.done) == 1
    assert [error[1:] for error in outcome.errors] == [(ErrorCode.ADDRESS, 1)]
    assert 50 not in [address for _, _, address in outcome.writes]
