"""Tokens, orders, and the errors of dispatch. A missing token must give a different result under some order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.golden.machine.test_matmul import config_of, matmul
from vitreous.golden import GoldenError
from vitreous.golden.machine import ORDERS, Machine, MachineError
from vitreous.spec import layout
from vitreous.spec.isa import ErrorCode, Instruction, Memory, Opcode, Queue, Scale, make

L, M, R, S = (1 << q for q in (Queue.LOAD, Queue.MATRIX, Queue.VECTOR, Queue.STORE))
FILL = make(Opcode.FILL, memory=Memory.X, base=0, words=1)
STORE = make(Opcode.STORE, memory=Memory.X, base=0, words=1, rows=1, stride=0, dram_offset=0, dram_stride=0)


def transfer(opcode: Opcode, memory: Memory, base: int, words: int, offset: int) -> Instruction:
    fields = {"memory": memory, "base": base, "words": words, "rows": 1, "stride": 0}
    return make(opcode, **fields, dram_offset=offset, dram_stride=0)


def turn(number: int) -> list[Instruction]:
    """Load X, P and W, residual = A B, x = norm(residual), y = x B, z = y B, store z."""
    product = {"k_words": 2, "row_tiles": 1, "columns": 8, "scale": Scale.COLUMN}
    plain = {"centred": 1, "shifted": 0, "shift_base": 0}
    statistics = {
        "channels": 8,
        "row_tiles": 1,
        "epsilon": 1,
        "multiplier": 16384,
        "shift": 9,
        "zero_point": 0,
    }
    return [
        transfer(Opcode.LOAD, Memory.X, 0, 2, 64 * number),
        transfer(Opcode.LOAD, Memory.P, 0, 8, 512 + 64 * number),
        transfer(Opcode.LOAD, Memory.W, 0, 2, 256 + 64 * number),
        matmul(**product, destination=Memory.R),
        make(Opcode.NORM, **statistics, r_base=0, r_stride=8, x_base=8, x_stride=2, **plain),
        matmul(**product, a_base=8, destination=Memory.X, o_base=12),
        matmul(**product, a_base=12, destination=Memory.X, o_base=20),
        transfer(Opcode.STORE, Memory.X, 20, 2, 64 * number),
    ]


# Two turns over the same buffers. Each edge is a token from the first instruction's queue to the second's; all are
# needed, and together they order every pair of instructions that touches the same words.
PROGRAM = turn(0) + turn(1)
EDGES = (
    *((2, 3), (3, 4), (4, 5), (5, 6), (6, 7)),
    *((10, 11), (11, 12), (12, 13), (13, 14), (14, 15)),
    (6, 8),  # loads of the second turn overwrite what the first turn's products read
    (7, 14),  # the second turn's last product overwrites what the first turn's store reads
)


def with_tokens(program: Sequence[Instruction], edges: Sequence[tuple[int, int]]) -> list[Instruction]:
    wait, signal = [0] * len(program), [0] * len(program)
    for source, target in edges:
        first, second = program[source].queue, program[target].queue
        assert first is not None
        assert second is not None
        wait[target] |= 1 << first
        signal[source] |= 1 << second
    return [i.with_tokens(wait=w, signal=s) for i, w, s in zip(program, wait, signal, strict=True)]


def dram_of_two_turns() -> np.ndarray:
    rng = np.random.default_rng(7)
    dram = rng.integers(0, 256, 1024).astype(np.uint8)
    for number in range(2):
        multiplier, shift = rng.integers(1 << 14, 1 << 15, 8), rng.integers(20, 22, 8)
        words = layout.pack_parameters(np.zeros(8, np.int64), multiplier, shift)
        dram[512 + 64 * number : 576 + 64 * number] = words.view(np.uint8)
    return dram


def window_of(program: Sequence[Instruction], order: str, seed: int = 0) -> np.ndarray:
    return Machine(config_of()).execute(program, dram_of_two_turns(), 128, order=order, seed=seed)


@pytest.mark.parametrize("order", ORDERS)
def test_sufficient_tokens_give_one_result_under_every_order(order: str) -> None:
    expected = window_of(PROGRAM, "program")
    assert (expected[:64] != expected[64:]).any()
    for seed in range(40 if order == "random" else 1):
        np.testing.assert_array_equal(window_of(with_tokens(PROGRAM, EDGES), order, seed), expected)


@pytest.mark.parametrize("missing", EDGES, ids=str)
def test_each_missing_token_is_caught_by_an_adversarial_order(missing: tuple[int, int]) -> None:
    program = with_tokens(PROGRAM, [edge for edge in EDGES if edge != missing])
    expected = window_of(PROGRAM, "program")
    np.testing.assert_array_equal(window_of(program, "program"), expected)
    caught = [order for order in ORDERS if (window_of(program, order) != expected).any()]
    assert set(caught) - {"random"}, "no adversarial order shows that the token is missing"
    assert any((window_of(program, "random", seed) != expected).any() for seed in range(60))


def test_random_orders_repeat_with_their_seed() -> None:
    program = with_tokens(PROGRAM, [edge for edge in EDGES if edge != (5, 6)])
    windows = [window_of(program, "random", seed).tobytes() for seed in range(20)]
    assert windows == [window_of(program, "random", seed).tobytes() for seed in range(20)]
    assert len(set(windows)) > 1


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(
        GoldenError, match="Unknown order 'backwards'; the orders are program, random, late, load first"
    ):
        Machine(config_of()).execute([FILL], order="backwards")


def test_a_wait_that_nothing_ends_is_a_deadlock() -> None:
    program = [FILL, FILL.with_tokens(wait=M, signal=0), STORE.with_tokens(wait=L, signal=0)]
    for order in ORDERS:
        with pytest.raises(MachineError) as caught:
            Machine(config_of()).execute(program, write_size=32, order=order)
        assert (caught.value.code, caught.value.pc) == (ErrorCode.DEADLOCK, 1)


def test_a_dependency_that_points_forwards_passes_until_the_queue_is_full() -> None:
    depth = config_of().queue.depth
    waiting = [FILL.with_tokens(wait=S, signal=0)]
    giver = STORE.with_tokens(wait=0, signal=L)
    Machine(config_of()).execute([*waiting, *[FILL] * (depth - 1), giver], write_size=32)
    with pytest.raises(MachineError, match="DEADLOCK"):
        Machine(config_of()).execute([*waiting, *[FILL] * depth, giver], write_size=32)


def test_the_matrix_unit_has_sixteen_instructions_in_flight() -> None:
    """Chained products without tokens: each reads what the one before it writes, and is issued before that is
    written. The seventeenth is issued when the first is complete."""
    product = {"k_words": 1, "row_tiles": 1, "columns": 4, "scale": Scale.TENSOR, "destination": Memory.X}
    chain = [matmul(**product, a_base=n, o_base=n + 1) for n in range(16)]
    machine = Machine(config_of())
    machine.w[0] = 1
    machine.x[0] = 1
    machine.p[0] = layout.pack_parameters(np.array([0]), np.array([1 << 14]), np.array([14]))[0]
    machine.execute([*chain, matmul(**product, a_base=1, o_base=20)], order="matrix first")
    assert machine.x[1, :, 0].tolist() == [4] * 8
    assert not machine.x[2:17].any(), "issued while the first was still read out"
    assert machine.x[20, :, 0].tolist() == [16] * 8
    machine.execute(chain[:3], order="program")
    assert machine.x[3, :, 0].tolist() == [64] * 8


def test_a_token_that_is_missing_three_instructions_apart_shows() -> None:
    """The third product reads what the first wrote; only a token of their own queue keeps it from being early."""
    product = {"k_words": 1, "row_tiles": 1, "columns": 4, "scale": Scale.TENSOR}
    first = matmul(**product, destination=Memory.W, o_base=8)
    other = matmul(**product, destination=Memory.R, o_base=32)
    third = matmul(**product, destination=Memory.R, b_base=8)
    store = make(
        Opcode.STORE, memory=Memory.R, base=0, words=4, rows=1, stride=0, dram_offset=0, dram_stride=0
    )

    def windows(third: Instruction, *, signal: int) -> set[bytes]:
        code = [
            first.with_tokens(wait=0, signal=signal),
            other,
            third,
            store.with_tokens(wait=M, signal=0),
        ]
        found = set()
        for order in ORDERS:
            machine = Machine(config_of())
            machine.x[...], machine.w[0] = 1, 1
            machine.p[0] = layout.pack_parameters(np.array([0]), np.array([1 << 14]), np.array([14]))[0]
            found.add(machine.execute(code, write_size=64, order=order).tobytes())
        return found

    assert len(windows(third.with_tokens(wait=M, signal=S), signal=M)) == 1
    assert len(windows(third.with_tokens(wait=0, signal=S), signal=0)) == 2
