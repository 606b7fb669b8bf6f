"""The cycle model's matrix unit against the RTL's, in Amaranth's simulator: exact for random programs."""

import copy

import numpy as np
import pytest

from tests.support.hw.matrix_bench import WAIT, MatrixBench
from tests.support.hw.matrix_programs import matmul, random_memories, random_program, small
from vitreous.hw.matrix.scores import Scores
from vitreous.sim.cycles.matrix import MatrixModel
from vitreous.sim.cycles.ports import Client
from vitreous.spec.config import AcceleratorConfig, ActivationConfig
from vitreous.spec.isa import Instruction, Memory, Operands, Scale

DESTINATIONS = (Memory.X, Memory.W, Memory.R, Memory.S, Memory.S)


def busy(client: Client, end: int) -> set[int]:
    return {cycle for cycle in range(end) if client.before(cycle + 1) > client.before(cycle)}


def check(config: AcceleratorConfig, program: list[Instruction], seed: int) -> None:
    """Retirements, stalls, all writes of words and all reads."""
    bench = MatrixBench(config)
    outcome = bench.run(program, random_memories(config, np.random.default_rng(seed)))
    assert outcome.errors == []
    done: list[int] = []
    model = MatrixModel(config, done.append)
    for pc, (taken, instruction) in enumerate(zip(outcome.taken, program, strict=True)):
        if not instruction.wait & WAIT:
            assert taken == max(model.ready or 0, outcome.taken[pc - 1] + 1 if pc else 0)
        model.start(taken, pc, instruction)
    assert done == outcome.done
    assert model.stall_readout == outcome.events["stall_readout"]
    assert model.stall_parameters == outcome.events["stall_parameters"]
    end = outcome.done[-1] + 2
    for memory, client in model.writes.items():
        written = {cycle for cycle, name, _ in outcome.writes if name == memory.name.lower()}
        assert busy(client, end) == written, memory
    for memory, client in model.reads.items():
        assert busy(client, end) == set(outcome.reads[memory.name.lower()]), memory


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "lanes", "depth"),
    [
        *((variant, 4, 2) for variant in ("base2", "ibert")),
        *(pytest.param(variant, 4, 2, marks=pytest.mark.slow) for variant in ("online", "ita")),
        # Another shape changes neither what a variant adds to a column nor the other way round: two variants a shape.
        *(pytest.param(variant, 8, 1, marks=pytest.mark.slow) for variant in ("base2", "ita")),
        *(pytest.param(variant, 4, 8, marks=pytest.mark.slow) for variant in ("online", "ibert")),
    ],
)
def test_random_programs(variant: str, lanes: int, depth: int) -> None:
    config = small(lanes, depth, variant=variant)
    rng = np.random.default_rng(lanes)
    memories = random_memories(config, rng)
    program = random_program(config, copy.deepcopy(memories), rng, 40, destinations=DESTINATIONS)
    assert sum(i["extra_planes"] for i in program) > 1
    check(config, program, lanes)


@pytest.mark.parametrize("variant", ["base2", "ibert"])
@pytest.mark.slow
def test_score_rows_and_wide_products_in_turn(variant: str) -> None:
    """Nothing but attention: rows of one tile and of several, short and long sums, each right after the one before."""
    config = small(4, 2, variant=variant)
    program = []
    for n, (columns, k) in enumerate(
        [(32, 1), (1, 3), (2, 1), (1, 9), (9, 4), (32, 5), (4, 1), (5, 1), (3, 2)]
    ):
        program.append(
            matmul(destination=Memory.S, slot=n % 2, columns=columns, k_words=k, b_stride=1, shift=17)
        )
        if n % 3 == 2:
            for wide in (1, 0, 1):
                values = {
                    "operands": Operands.SW,
                    "scale": Scale.SOFTMAX,
                    "columns": 3 * n - 1,
                    "k_words": n - 1,
                }
                program.append(
                    matmul(**values, o_base=40, extra_planes=wide, wait=WAIT if wide else 0, slot=n % 2)
                )
    check(config, program, 0)


def ended(config: AcceleratorConfig, program: list[Instruction]) -> tuple[list[int], MatrixModel]:
    """When each instruction is done, one issued 1,000 cycles after the other."""
    done: list[int] = []
    model = MatrixModel(config, done.append)
    for pc, instruction in enumerate(program):
        model.start(1000 * pc, pc, instruction)
    return [cycle - 1000 * pc for pc, cycle in enumerate(done)], model


def test_a_block_of_a_score_row_is_done_without_the_row_scale() -> None:
    config = small(4, 2)
    scores = {"destination": Memory.S, "columns": 9, "k_words": 3, "b_stride": 3, "shift": 17}
    (first, middle, last, only), _ = ended(
        config,
        [
            matmul(**scores, first_block=first, last_block=last)
            for first, last in ((1, 0), (0, 0), (0, 1), (1, 1))
        ],
    )
    assert first == middle
    assert last == only
    assert last - first == Scores.done_latency(config, 0) - Scores.BLOCK_LATENCY > 0


@pytest.mark.parametrize("planes", [1, 2])
def test_a_block_of_a_context_takes_as_long_and_writes_nothing(planes: int) -> None:
    config = small(4, 2)
    context = {"operands": Operands.SW, "scale": Scale.SOFTMAX, "columns": 7, "k_words": 5, "o_base": 40}
    (block, last), model = ended(
        config, [matmul(**context, extra_planes=planes - 1, first_block=0, last_block=bit) for bit in (0, 1)]
    )
    assert block == last
    written, read = busy(model.writes[Memory.X], 2000), busy(model.reads[Memory.W], 2000)
    assert len(written) == 4
    assert min(written) > 1000
    assert len([cycle for cycle in read if cycle < 1000]) == 2 * 5 * planes


@pytest.mark.alike(1)
@pytest.mark.parametrize("activation", ["delta", "poly", "shift", "table"])
def test_latency_of_every_gelu(activation: str) -> None:
    config = small(4, 2, activation=ActivationConfig(variant=activation))
    check(config, [matmul(columns=5, o_base=40, destination=d) for d in (0, 1, 2)], 0)
