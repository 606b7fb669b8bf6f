"""What the matrix unit refuses, as the functional machine does: fields of its instructions, addresses."""

import copy

import numpy as np
import pytest

from tests.support.hw.matrix_bench import WAIT, compare
from tests.support.hw.matrix_programs import bench, execute, matmul, random_memories, run, small
from vitreous.golden.errors import GoldenError
from vitreous.golden.machine.decode_checks import check_fields
from vitreous.spec.isa import Activation, ErrorCode, Memory, Operands, Scale

LEGAL_TO_SCORES = {"destination": Memory.S, "columns": 2}
LEGAL_FROM_SCORES = {"operands": Operands.SW, "scale": Scale.SOFTMAX}
ILLEGAL = {
    "destination P": {"destination": Memory.P},
    **{f"destination {d}": {"destination": d} for d in (5, 6, 7)},
    "operands 3": {"operands": 3},
    "activation 3": {"activation": 3},
    "k_words 0": {"k_words": 0},
    "row_tiles 0": {"row_tiles": 0},
    "columns 0": {"columns": 0},
    "score rows": {**LEGAL_TO_SCORES, "row_tiles": 2},
    "probability rows": {**LEGAL_FROM_SCORES, "row_tiles": 2},
    "k_words beyond S": {**LEGAL_FROM_SCORES, "k_words": small().s_depth + 1},
    "columns beyond S": {**LEGAL_TO_SCORES, "columns": small().s_depth * 2 + 1},
    "gelu to R": {"destination": Memory.R, "activation": Activation.SMOOTH},
    "relu to R": {"destination": Memory.R, "activation": Activation.RELU},
    "relu to S": {**LEGAL_TO_SCORES, "activation": Activation.RELU},
    "S by lane": {**LEGAL_TO_SCORES, "scale": Scale.LANE},
    "S by row": {**LEGAL_TO_SCORES, "scale": Scale.SOFTMAX},
    "row scale of no row": {"scale": Scale.SOFTMAX},
    "gelu multiplier 0": {"activation": Activation.SMOOTH, "multiplier": 0},
    "gelu shift 0": {"activation": Activation.SMOOTH, "shift": 0},
    "S multiplier 0": {**LEGAL_TO_SCORES, "multiplier": 0},
    "S multiplier of 14 bits": {**LEGAL_TO_SCORES, "multiplier": (1 << 14) - 1},
    "S shift 0": {**LEGAL_TO_SCORES, "shift": 0},
    "scores of probabilities": {"operands": Operands.SW, "destination": Memory.S},
    "wide scores": {**LEGAL_TO_SCORES, "extra_planes": 1},
    "wide XW": {"extra_planes": 1},
    "wide WX": {"extra_planes": 1, "operands": Operands.WX},
    "probabilities by tensor": {"operands": Operands.SW},
    "probabilities by column": {"operands": Operands.SW, "scale": Scale.COLUMN},
    **{
        f"context beyond what is kept, {name} 0": {
            **LEGAL_FROM_SCORES,
            "columns": small().memory.context_columns + 1,
            name: 0,
        }
        for name in ("first_block", "last_block")
    },
}


@pytest.mark.parametrize(
    "fields",
    [
        LEGAL_TO_SCORES,
        LEGAL_FROM_SCORES,
        {**LEGAL_FROM_SCORES, "extra_planes": 1},
        {**LEGAL_FROM_SCORES, "first_block": 0, "columns": small().memory.context_columns},
        {**LEGAL_FROM_SCORES, "last_block": 0, "columns": small().memory.context_columns},
        {**LEGAL_TO_SCORES, "first_block": 0, "last_block": 0},
        {"first_block": 0, "last_block": 0},
        {"multiplier": 0, "shift": 0},
    ],
)
def test_what_the_illegal_ones_are_made_of_is_legal(fields: dict[str, int]) -> None:
    run(small(), [matmul(**LEGAL_TO_SCORES), matmul(**{"o_base": 40, **fields}, wait=WAIT)])


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal_fields(name: str) -> None:
    """The instructions before it complete, then the error comes; nothing of it or after it is written."""
    config = small()
    with pytest.raises(GoldenError):
        check_fields(matmul(**ILLEGAL[name]), config, 1)
    good = matmul(o_base=40)
    before = random_memories(config, np.random.default_rng(0))
    expected = copy.deepcopy(before)
    execute(good, expected)
    outcome = bench(config).run([good, matmul(**{"o_base": 50, **ILLEGAL[name]}), matmul(o_base=60)], before)
    compare(outcome, expected)
    assert len(outcome.done) == 1
    assert [error[1:] for error in outcome.errors] == [(ErrorCode.ILLEGAL_FIELD, 1)]


@pytest.mark.parametrize("fields", [LEGAL_TO_SCORES, LEGAL_FROM_SCORES], ids=["to scores", "from scores"])
@pytest.mark.parametrize("name", ["first_block", "last_block"])
def test_blocks_are_illegal_where_a_row_is_one(fields: dict[str, int], name: str) -> None:
    config = small(4, 2, variant="online", probability_bits=8)
    part = matmul(**fields, **{name: 0})
    with pytest.raises(GoldenError):
        check_fields(part, config, 0)
    outcome = bench(config).run([part], random_memories(config, np.random.default_rng(0)))
    assert [error[1:] for error in outcome.errors] == [(ErrorCode.ILLEGAL_FIELD, 0)]


def test_wide_is_illegal_with_one_plane() -> None:
    config = small(4, 2, probability_bits=8)
    wide = matmul(**LEGAL_FROM_SCORES, extra_planes=1)
    with pytest.raises(GoldenError):
        check_fields(wide, config, 0)
    outcome = bench(config).run([wide], random_memories(config, np.random.default_rng(0)))
    assert [error[1:] for error in outcome.errors] == [(ErrorCode.ILLEGAL_FIELD, 0)]


_X, _W, _R, _P = (getattr(small(), f"{name}_depth") for name in "xwrp")
FAULTS = {
    "A in X": {"a_base": _X - 1, "k_words": 2},
    "B in W": {"b_base": _W - 2, "b_stride": 1, "columns": 9},
    "A in W": {"operands": Operands.WX, "a_base": _W, "columns": 9},
    "B in X": {"operands": Operands.WX, "b_base": _X},
    "strides that would wrap": {"a_stride": 65535, "row_tiles": 3, "a_base": 1},
    "W of probabilities": {"operands": Operands.SW, "b_base": _W},
    "W of wide probabilities": {
        "operands": Operands.SW,
        "b_base": _W - 1,
        "columns": 5,
        "b_stride": 1,
        "extra_planes": 1,
    },
    "X written after two passes": {"operands": Operands.SW, "o_base": _X, "columns": 3, "extra_planes": 1},
    "parameters": {"p_base": _P - 1, "scale": Scale.COLUMN, "columns": 2},
    "lane parameters": {"p_base": _P - 3, "scale": Scale.LANE},
    "X written": {"o_base": _X - 1, "columns": 3},
    "W written": {"o_base": _W, "destination": Memory.W},
    "R written": {"o_base": _R - 1, "destination": Memory.R, "columns": 2},
    "R read": {"o_base": _R - 1, "destination": Memory.R, "columns": 2, "residual": 1},
    "far beyond": {"o_base": 65535, "o_stride": 65535, "row_tiles": 2},
}


@pytest.mark.parametrize("name", FAULTS)
def test_address_faults(name: str) -> None:
    """One report with the right program counter; the instruction is never done, nothing is written afterwards."""
    config = small()
    before = random_memories(config, np.random.default_rng(0))
    program = [matmul(o_base=40), matmul(**{"o_base": 30, **FAULTS[name]}, wait=WAIT), matmul(o_base=50)]
    with pytest.raises(GoldenError, match=r"1: ADDRESS"):
        execute(program[1], copy.deepcopy(before), 1)
    outcome = bench(config).run(program, before)
    assert len(outcome.done) == 1
    assert [error[1:] for error in outcome.errors] == [(ErrorCode.ADDRESS, 1)]
    assert all(cycle <= outcome.errors[0][0] for cycle, _, _ in outcome.writes)
    assert outcome.writes[0][1:] == ("x", 40)
    assert 50 not in [address for _, _, address in outcome.writes]
