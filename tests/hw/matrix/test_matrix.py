"""The matrix unit against the functional machine: every mode, chained instructions, halt, stated timing."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from tests.support.hw.matrix_bench import WAIT, compare
from tests.support.hw.matrix_programs import bench, matmul, random_memories, random_program, run, small
from vitreous.hw.matrix.matrix import MatrixUnit
from vitreous.hw.matrix.scores import Scores
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Activation, Memory, Operands, Scale
from vitreous.spec.opcodes.matmul import has_result

DESTINATIONS = (Memory.X, Memory.W, Memory.R, Memory.S)


def multiplied(config: AcceleratorConfig, multiplier: str) -> AcceleratorConfig:
    return replace(config, array=replace(config.array, multiplier=multiplier))


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        small(4, 2),
        pytest.param(small(4, 4, variant="online"), marks=pytest.mark.slow),
        pytest.param(small(4, 2, variant="ibert"), marks=pytest.mark.slow),
        pytest.param(small(4, 4, variant="ita", fraction_bits=7), marks=pytest.mark.slow),
        pytest.param(multiplied(small(4, 4), "packed"), marks=pytest.mark.slow),
        pytest.param(multiplied(small(4, 8), "accumulate"), marks=pytest.mark.slow),
        pytest.param(multiplied(small(8, 4), "packed"), marks=pytest.mark.slow),
        pytest.param(small(4, 1), marks=pytest.mark.slow),
        pytest.param(small(4, 8), marks=pytest.mark.slow),
        pytest.param(small(8, 4, variant="online", fraction_bits=7), marks=pytest.mark.slow),
        pytest.param(small(4, 4, fraction_bits=9, probability_bits=8), marks=pytest.mark.slow),
        pytest.param(small(8, 4, variant="ibert", fraction_bits=6), marks=pytest.mark.slow),
        pytest.param(small(8, 2, variant="ita", probability_bits=8), marks=pytest.mark.slow),
    ],
    ids=lambda c: (
        f"{c.array.lanes}x{c.array.depth}-{c.array.multiplier}-{c.softmax.variant}-{c.softmax.fraction_bits}"
    ),
)
def test_random_programs(config: AcceleratorConfig) -> None:
    rng = np.random.default_rng(config.digest32)
    before = random_memories(config, rng)
    expected = copy.deepcopy(before)
    program = random_program(config, expected, rng, 50, destinations=DESTINATIONS)
    outcome = bench(config).run(program, before)
    assert outcome.errors == []
    assert len(outcome.done) == len(program)
    compare(outcome, expected)
    columns = {
        kind: sum(i["columns"] * i["row_tiles"] for i in program if chosen(i))
        for kind, chosen in {
            "readout_column": lambda _: True,
            "activation_column": lambda i: i["activation"] == Activation.SMOOTH and has_result(i),
            "score_column": lambda i: i["destination"] == Memory.S,
        }.items()
    }
    tiles = [
        i["row_tiles"] * -(-i["columns"] // config.array.lanes) * (1 + i["extra_planes"]) for i in program
    ]
    assert {kind: outcome.events[kind] for kind in columns} == columns
    assert outcome.events["busy"] == sum(n * i["k_words"] for n, i in zip(tiles, program, strict=True))
    assert outcome.events["s_read"] == sum(
        n * i["k_words"] for n, i in zip(tiles, program, strict=True) if i["operands"] == Operands.SW
    )
    lane_rows = sum(i["row_tiles"] for i in program if i["scale"] == Scale.LANE)
    assert outcome.events["stall_parameters"] == lane_rows * config.array.lanes


def test_scores_reach_memory_through_an_identity() -> None:
    """Both slots in flight, the second row's scores written while the first is read back; one key and full rows."""
    config = small(4, 2)
    keys = config.s_depth * config.array.depth
    scores = {"destination": Memory.S, "k_words": 3, "b_stride": 1, "shift": 17}
    values = {"operands": Operands.SW, "scale": Scale.SOFTMAX, "columns": 9, "b_stride": 2, "zero_point": 5}
    program = [
        matmul(**scores, slot=0, columns=keys),
        matmul(**scores, slot=1, columns=1, a_base=9),
        matmul(**values, slot=0, k_words=keys // 2, o_base=40, wait=WAIT),
        matmul(**scores, slot=0, columns=2, a_base=3),
        matmul(**values, slot=1, k_words=1, o_base=50),
        matmul(**values, slot=0, k_words=1, o_base=60, wait=WAIT),
    ]
    run(config, program)


@pytest.mark.alike(1)
@pytest.mark.parametrize("variant", ["base2", "online", "ibert", "ita"])
def test_wide_and_narrow_products_follow_each_other(variant: str) -> None:
    """Both passes of every tile, last tiles of one column, one word and whole rows; to X, W and R; between one-pass
    products of the same slot."""
    config = small(4, 2, variant=variant)
    keys = config.s_depth * config.array.depth
    scores = {"destination": Memory.S, "k_words": 3, "b_stride": 1, "shift": 16}
    values = {"operands": Operands.SW, "scale": Scale.SOFTMAX, "b_stride": 2, "zero_point": 5}
    program = [
        matmul(**scores, slot=0, columns=keys),
        matmul(**scores, slot=1, columns=1, a_base=9),
        matmul(**values, slot=0, k_words=keys // 2, columns=9, o_base=30, wait=WAIT, extra_planes=1),
        matmul(**values, slot=0, k_words=keys // 2, columns=5, o_base=40),
        matmul(**values, slot=1, k_words=1, columns=6, o_base=45, extra_planes=1),
        matmul(**values, slot=1, k_words=1, columns=1, o_base=49, extra_planes=1),
        matmul(**values, slot=1, k_words=1, columns=1, o_base=50),
        matmul(o_base=51, columns=7, k_words=2),
        matmul(**values, slot=1, k_words=1, columns=4, o_base=55, extra_planes=1, activation=Activation.RELU),
        matmul(
            **values,
            slot=0,
            k_words=4,
            columns=7,
            o_base=58,
            extra_planes=1,
            activation=Activation.SMOOTH,
        ),
        matmul(
            **values,
            slot=0,
            k_words=2,
            columns=8,
            o_base=70,
            extra_planes=1,
            destination=Memory.R,
            residual=1,
        ),
        matmul(**values, slot=0, k_words=5, columns=3, o_base=100, extra_planes=1, destination=Memory.W),
    ]
    outcome = run(config, program)
    assert outcome.events["readout_column"] == sum(i["columns"] for i in program)
    words = sum(-(-i["columns"] // 4) * i["k_words"] * (1 + i["extra_planes"]) for i in program)
    assert outcome.events["busy"] == words


def test_wide_tiles_take_twice_the_cycles() -> None:
    """Passes of a tile follow each other without a gap where k_words >= N, else every N cycles."""
    config = small(4, 2)
    scores = matmul(destination=Memory.S, columns=12, b_stride=1, shift=16)
    values = {"operands": Operands.SW, "scale": Scale.SOFTMAX, "columns": 9, "o_base": 40, "extra_planes": 1}
    outcome = run(config, [scores, matmul(**values, k_words=6, wait=WAIT)])
    assert np.diff(outcome.words[3:]).tolist() == [1] * (6 * 3 * 2 - 1)
    latency = MatrixUnit.latency(config)
    # The low byte plane of the last tile ends the instruction, with column 0 of the tile.
    assert outcome.done[1] == outcome.words[-1] + latency
    outcome = run(config, [scores, matmul(**values, k_words=1, wait=WAIT)])
    assert np.diff(outcome.words[3:]).tolist() == [4] * 5


@pytest.mark.parametrize("cycle", range(52, 100, 5))
def test_halt_between_planes(cycle: int) -> None:
    """A halt anywhere in a product of two passes: what was written before it stays, nothing comes after."""
    config = small(4, 2)
    program = [
        matmul(destination=Memory.S, columns=8, b_stride=1, shift=16),
        matmul(
            operands=Operands.SW,
            scale=Scale.SOFTMAX,
            columns=12,
            o_base=40,
            k_words=4,
            extra_planes=1,
            wait=WAIT,
        ),
    ]
    before = random_memories(config, np.random.default_rng(0))
    free = bench(config).run(program, copy.deepcopy(before))
    assert free.words[3] < 100 < free.writes[-1][0]
    halted = bench(config).run(program, before, halt_at=cycle)
    assert halted.writes == [write for write in free.writes if write[0] < cycle]
    assert halted.words == [word for word in free.words if word < cycle]


@pytest.mark.slow
def test_the_second_pass_of_rows_that_follow_each_other() -> None:
    """ibert: rows complete their columns later, in order, and hold the next one up by as much."""
    config = small(4, 2, variant="ibert")
    scores = {"destination": Memory.S, "k_words": 4, "b_stride": 1, "shift": 17}
    columns = [16, 12, 1, 4, 32, 8]
    program = [matmul(**scores, slot=n % 2, columns=c, wait=0) for n, c in enumerate(columns)]
    reads = [
        matmul(
            operands=Operands.SW,
            scale=Scale.SOFTMAX,
            slot=n % 2,
            columns=4,
            k_words=k,
            o_base=40 + 8 * n,
            wait=WAIT,
        )
        for n, k in ((0, 16), (1, 4))
    ]
    outcome = run(config, program + reads)
    assert outcome.events["stall_readout"] > 16 + 12 + 32
    ends = [outcome.words[sum(-(-c // 4) for c in columns[: n + 1]) * 4 - 1] for n in range(len(columns))]
    last = [end + (c - 1) % 4 for end, c in zip(ends, columns, strict=True)]
    result = MatrixUnit.column_latency(config) + MatrixUnit.result_latency(config)
    assert outcome.done[: len(columns)] == [
        cycle + result + Scores.done_latency(config, c) for cycle, c in zip(last, columns, strict=True)
    ]


def test_row_scales_of_rows_that_end_in_adjacent_columns() -> None:
    """A row that ends in its tile's last column, then rows of one column: each still gets its own row scale."""
    config = small(4, 2)
    scores = {"destination": Memory.S, "k_words": 1, "b_stride": 1}
    program = []
    for first in (4, 1):
        program += [
            matmul(**scores, slot=0, columns=first, wait=WAIT),
            matmul(**scores, slot=1, columns=1, a_base=5),
        ]
        for slot, words in ((0, -(-first // 2)), (1, 1)):
            fields = {
                "operands": Operands.SW,
                "scale": Scale.SOFTMAX,
                "columns": 4,
                "slot": slot,
                "k_words": words,
            }
            program.append(matmul(**fields, o_base=40 + 10 * slot + first, wait=WAIT))
    run(config, program)


@pytest.mark.parametrize(("lanes", "depth"), [(4, 2), (8, 4)])
def test_latency(lanes: int, depth: int) -> None:
    """One word in, one word out: the stated latencies."""
    config = small(lanes, depth)
    outcome = run(config, [matmul(columns=depth, o_base=30)])
    taken, word = outcome.taken[0], outcome.words[0]
    assert word - taken == 2
    assert outcome.writes == [(word + MatrixUnit.latency(config) + depth - 1, "x", 30)]
    assert outcome.done == [word + MatrixUnit.latency(config) + depth - 1]


@pytest.mark.slow
@pytest.mark.parametrize("multiplier", ["accumulate", "packed"])
def test_every_multiplier_takes_the_same_cycles(multiplier: str) -> None:
    program = [matmul(k_words=k, columns=9, o_base=40 + k) for k in (1, 4, 13)]
    plain, other = (run(config, program) for config in (small(4, 2), multiplied(small(4, 2), multiplier)))
    assert (other.done, other.writes) == (plain.done, plain.writes)


def test_tiles_follow_without_a_gap() -> None:
    """k_words >= N: a word pair in every cycle, over tiles, rows of tiles and instructions."""
    config = small(4, 2)
    common = {"k_words": 4, "a_stride": 4, "b_stride": 4, "columns": 7, "row_tiles": 2, "o_stride": 4}
    program = [matmul(**common, o_base=40), matmul(**common, o_base=60)]
    outcome = run(config, program)
    assert outcome.words == list(range(outcome.words[0], outcome.words[0] + 4 * 2 * 2 * 2))
    assert outcome.events["stall_readout"] == 0


def test_short_tiles_take_lanes_cycles() -> None:
    """k_words < N: each tile takes N cycles, however many columns it has."""
    config = small(4, 2)
    outcome = run(config, [matmul(o_base=40 + n) for n in range(20)])
    assert np.diff(outcome.words).tolist() == [4] * 19
    # The second one is held one cycle after the first one's only word.
    assert outcome.events["stall_readout"] == 3 * 19 - 1


def test_lane_parameters_wait_for_the_readout() -> None:
    """Scale LANE: from a row's last word to the next row's first one, the readout and N parameters."""
    config = small(4, 2)
    outcome = run(config, [matmul(scale=Scale.LANE, row_tiles=3, a_stride=1, o_base=40, o_stride=1)])
    read_out = MatrixUnit.column_latency(config) + 4
    assert np.diff(outcome.words).tolist() == [read_out + 4] * 2
    assert outcome.events["stall_parameters"] == 12
    assert outcome.events["stall_readout"] == 2 * (read_out - 1)


@pytest.mark.parametrize("cycle", [3, 20, 31, 32, 33, 50])
def test_halt(cycle: int) -> None:
    """From the cycle of ``halt`` on nothing is written or done; before it everything is."""
    config = small()
    program = [matmul(o_base=40 + n) for n in range(12)]
    before = random_memories(config, np.random.default_rng(0))
    free = bench(config).run(program, copy.deepcopy(before))
    halted = bench(config).run(program, before, halt_at=cycle)
    assert halted.writes == [write for write in free.writes if write[0] < cycle]
    assert halted.done == [done for done in free.done if done < cycle]
    assert halted.words == [word for word in free.words if word < cycle]
