"""Score rows and contexts of several blocks of keys, block by block, against golden's operations on whole rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from tests.golden.machine.test_matmul import matmul
from tests.support.golden import scalar
from vitreous.golden import GoldenError
from vitreous.golden.machine import Machine
from vitreous.golden.machine.queues import ORDERS
from vitreous.golden.ops.context import context
from vitreous.golden.ops.requantize_rows import requantize_rows
from vitreous.golden.softmax.softmax import softmax
from vitreous.spec import layout
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig, SoftmaxConfig
from vitreous.spec.isa import Instruction, Memory, Operands, Scale
from vitreous.spec.limits import KEY_BLOCK
from vitreous.spec.numbers import SCORE, round_shift, saturate

SCORED = (20000, 14)
LIFTS = np.array([0, 1, -1, 2])
"""Blocks' scores are moved by this times the bench's ``lift``, of which 1 is 0.6 octaves."""
MIXED = (18000, 12)
OUT, VALUES = 1500, 700
ZERO_POINT = 4


def config_of(lanes: int = 8, depth: int = 4, columns: int = 32) -> AcceleratorConfig:
    kib = 4 * lanes * depth  # 4096 words
    memory = MemoryConfig(
        activation_kib=kib, weight_kib=kib, residual_kib=32, score_keys=96, context_columns=columns
    )
    return AcceleratorConfig(
        array=ArrayConfig(lanes=lanes, depth=depth),
        memory=memory,
        softmax=SoftmaxConfig(probability_bits=16),
    )


@dataclass(frozen=True, kw_only=True)
class Row:
    """The instructions of one query tile: scores and contexts of its blocks, in alternating slots."""

    scores: list[Instruction]
    contexts: list[Instruction]

    def alternating(self, ahead: int = 1) -> list[Instruction]:
        """Scores ``ahead`` blocks before the context that they belong to."""
        code = list(self.scores[:ahead])
        for index, mixed in enumerate(self.contexts):
            code += [*self.scores[index + ahead : index + ahead + 1], mixed]
        return code


class Bench:
    """A machine with random queries in X (a query tile), keys and values in W; ``lift`` moves whole blocks' scores."""

    def __init__(
        self, config: AcceleratorConfig, keys: int, *, columns: int = 6, lift: int = 0, seed: int = 0
    ) -> None:
        rng = np.random.default_rng((keys, seed))
        self.config, self.keys, self.columns, self.machine = config, keys, columns, Machine(config)
        self.lanes, self.depth = config.array.lanes, config.array.depth
        self.q = rng.integers(-128, 128, (self.lanes, 8)).astype(np.int8)
        self.q[:, 0] = 127
        self.k = rng.integers(-4, 5, (keys, 8)).astype(np.int8)
        self.k[:, 0] = lift * LIFTS[np.arange(keys) // KEY_BLOCK % 4]
        self.v = rng.integers(-128, 128, (keys, columns)).astype(np.int8)
        memories = self.machine.memories
        memories.p[9] = layout.pack_parameters(*(np.array([value]) for value in (0, *SCORED)))[0]
        self.key_words, self.value_words = layout.ceil_div(8, self.depth), layout.ceil_div(keys, self.depth)
        for memory, matrix, base in (
            (memories.x, self.q, 0),
            (memories.w, self.k, 0),
            (memories.w, self.v.T, VALUES),
        ):
            panel = layout.pack_panel(matrix, self.lanes, self.depth)
            words = panel.reshape(-1, self.lanes, self.depth)
            memory[base : base + len(words)] = words  # fmt: skip

    def row(self, wide: int, *, out: int = OUT) -> Row:
        blocks = scalar.blocks_of(self.keys, KEY_BLOCK)
        finer = 4 if wide or len(blocks) > 1 else 0
        scores, contexts = [], []
        for index, keys in enumerate(blocks):
            ends = {"first_block": index == 0, "last_block": index == len(blocks) - 1, "slot": index % 2}
            place = {name: int(value) for name, value in ends.items()}
            scores.append(matmul(
                destination=Memory.S, scale=Scale.TENSOR, p_base=9, a_stride=self.key_words, k_words=self.key_words,
                b_base=keys[0] // self.lanes * self.key_words, b_stride=self.key_words, row_tiles=1,
                columns=len(keys), multiplier=MIXED[0], shift=MIXED[1] + finer, **place,
            ))  # fmt: skip
            contexts.append(matmul(
                operands=Operands.SW, destination=Memory.X, scale=Scale.SOFTMAX, extra_planes=wide,
                b_base=VALUES + keys[0] // self.depth, b_stride=self.value_words,
                k_words=layout.ceil_div(len(keys), self.depth), row_tiles=1, columns=self.columns, o_base=out,
                zero_point=ZERO_POINT, **place,
            ))  # fmt: skip
        return Row(scores=scores, contexts=contexts)

    def scores(self) -> np.ndarray:
        acc = self.q.astype(int) @ self.k.astype(int).T
        return np.array(
            [[saturate(round_shift(int(a) * SCORED[0], SCORED[1]), SCORE) for a in row] for row in acc]
        )

    def expected(self, wide: int) -> np.ndarray:
        """Of golden's operations on the whole row: int8 [lanes, columns]."""
        config = replace(self.config.softmax, probability_bits=16 if wide else 8)
        finer = 4 if wide or len(scalar.blocks_of(self.keys, KEY_BLOCK)) > 1 else 0
        t = torch.from_numpy(self.scores().astype(np.int32))[None]
        p, m, s, maxima = softmax(t, config, MIXED[0], MIXED[1] + finer, key_block=KEY_BLOCK)
        acc = context(p, torch.from_numpy(self.v), maxima, 1, key_block=KEY_BLOCK)
        return requantize_rows(acc, m, s, 1, ZERO_POINT).numpy()

    def got(self, out: int = OUT) -> np.ndarray:
        per_row = layout.ceil_div(self.columns, self.depth)
        panel = self.machine.x[out : out + per_row][None]
        return np.asarray(layout.unpack_panel(panel, self.lanes, per_row * self.depth)[:, : self.columns])


@pytest.mark.parametrize("wide", [0, 1])
@pytest.mark.parametrize("lift", [0, 3, -8, 60, -60])
@pytest.mark.parametrize("keys", [5, 95, 96, 127, 160, 257])
def test_a_row_block_by_block_is_the_row(keys: int, lift: int, wide: int) -> None:
    bench = Bench(config_of(), keys, lift=lift)
    code = bench.row(wide).alternating()
    bench.machine.execute(code)
    np.testing.assert_array_equal(bench.got(), bench.expected(wide))


@pytest.mark.parametrize(("lanes", "depth"), [(4, 1), (4, 8), (16, 2), (32, 8)])
def test_on_other_arrays(lanes: int, depth: int) -> None:
    for keys, lift, wide in ((161, 8, 0), (200, -8, 1)):
        bench = Bench(config_of(lanes, depth), keys, lift=lift, columns=32)
        bench.machine.execute(bench.row(wide).alternating())
        np.testing.assert_array_equal(bench.got(), bench.expected(wide))


def test_lifts_of_the_bench_are_what_they_are_for() -> None:
    """Maxima of blocks differ by more than 32 octaves, rise and fall; of rows without a lift by little."""
    octaves = {}
    for lift in (0, 60, -60):
        t = Bench(config_of(), 257, lift=lift).scores()
        assert abs(t).max() < SCORE.maximum
        maxima = np.stack([t[:, part].max(1) for part in scalar.blocks_of(257, KEY_BLOCK)]) >> 8
        octaves[lift] = np.diff(maxima, axis=0)
    assert 0 < abs(octaves[0]).max() < 32
    assert (abs(octaves[60]) > 32).all()
    assert (octaves[60] > 0).any(1).tolist() == [True, False, True]
    assert (octaves[-60] > 0).any(1).tolist() == [False, True, False]


def test_slots_keep_each_block_and_the_last_rows_scale() -> None:
    bench = Bench(config_of(), 160, lift=3)
    slots = bench.machine.slots
    slots[0].multiplier[:], slots[0].shift[:] = 17000, 3
    t = bench.scores()
    parts = [
        [scalar.softmax_row([int(x) for x in row[keys]], bench.config.softmax) for row in t]
        for keys in scalar.blocks_of(160, KEY_BLOCK)
    ]
    scores = bench.row(0).scores
    for index, (instruction, rows) in enumerate(zip(scores, parts, strict=True)):
        bench.machine.execute([instruction])
        slot = slots[index % 2]
        assert slot.maximum.tolist() == [row.maximum for row in rows]
        sums = [scalar.sum_of_blocks([part[lane] for part in parts[: index + 1]]) for lane in range(8)]
        assert bench.machine.blocks.total.tolist() == sums
        if index < 2:
            assert ((slots[0].multiplier == 17000) & (slots[0].shift == 3)).all(), "no row has ended in it"
    assert (slots[1].multiplier == 0).all()
    scales = [scalar.row_scale(total, MIXED[0], MIXED[1] + 4, bench.config.softmax) for total in sums]
    assert list(zip(slots[0].multiplier, slots[0].shift, strict=True)) == scales


@pytest.mark.parametrize("wide", [0, 1])
def test_parts_write_nothing_and_keep_their_contexts(wide: int) -> None:
    bench = Bench(config_of(), 160, lift=3)
    before = bench.machine.x.copy(), bench.machine.w.copy(), bench.machine.r.copy()
    row = bench.row(wide)
    code = [row.scores[0], row.contexts[0], row.scores[1], row.contexts[1]]
    bench.machine.execute(code)
    for memory, old in zip((bench.machine.x, bench.machine.w, bench.machine.r), before, strict=True):
        np.testing.assert_array_equal(memory, old)
    rows = bench.scores()
    for lane in range(8):
        blocks = scalar.blocks_of(160, KEY_BLOCK)[:2]
        parts = [
            scalar.softmax_row([int(x) for x in rows[lane, keys]], bench.config.softmax) for keys in blocks
        ]
        p = [scalar.probabilities(part, 16 if wide else 8) for part in parts]
        for column in range(6):
            v = [[int(x) for x in bench.v[keys, column]] for keys in blocks]
            maxima = [part.maximum for part in parts]
            found = int(bench.machine.blocks.contexts[column, lane])
            assert found == scalar.context_of_blocks(maxima, p, v, 16 if wide else 8)
    assert not bench.machine.blocks.contexts[6:].any()


def test_a_first_block_forgets_what_was_there() -> None:
    """Also in a lane whose state is larger than anything that follows."""
    bench = Bench(config_of(), 160, lift=3)
    state = bench.machine.blocks
    state.maximum[:], state.total[:], state.context_maximum[:] = 250, (1 << 32) - 1, 250
    state.contexts[:] = -(1 << 31)
    bench.machine.execute(bench.row(0).alternating())
    np.testing.assert_array_equal(bench.got(), bench.expected(0))


def test_states_survive_a_reset_between_the_blocks() -> None:
    bench = Bench(config_of(), 160, lift=-5)
    for instruction in bench.row(1).alternating():
        bench.machine.execute([instruction])
        bench.machine.reset()
    np.testing.assert_array_equal(bench.got(), bench.expected(1))


def test_a_later_block_without_a_first_one_goes_on_with_what_is_there() -> None:
    """States are zero at first; sums and contexts have 32 bits and wrap around."""
    bench = Bench(config_of(), 96)
    part = bench.row(0)
    state = bench.machine.blocks
    assert not any(x.any() for x in (state.maximum, state.total, state.context_maximum, state.contexts))
    state.maximum[:], state.total[:] = -255, (1 << 32) - 1
    state.context_maximum[:], state.contexts[:] = 240, (1 << 31) - 1
    rows = [scalar.softmax_row([int(x) for x in row[:64]], bench.config.softmax) for row in bench.scores()]
    state.maximum[:] = [row.maximum for row in rows]
    bench.machine.execute([matmul(**part.scores[0].fields | {"first_block": 0})])
    assert state.total.tolist() == [(row.total - 1) % (1 << 32) for row in rows]
    state.context_maximum[:] = [row.maximum for row in rows]
    bench.machine.execute([matmul(**part.contexts[0].fields | {"first_block": 0})])
    for lane, row in enumerate(rows):
        for column in range(6):
            values = [int(x) for x in bench.v[:64, column]]
            whole = 16 * scalar.weighted_sum(scalar.probabilities(row, 8), values, 8) + (1 << 31) - 1
            assert int(state.contexts[column, lane]) == (whole + (1 << 31)) % (1 << 32) - (1 << 31)


def test_a_row_whose_sum_is_nothing_has_no_scale() -> None:
    """A last block far below a state that no block made."""
    bench = Bench(config_of(), 5)
    bench.machine.blocks.maximum[:] = 250
    (scores,) = bench.row(0).scores
    with pytest.raises(GoldenError, match="A reciprocal needs a divisor"):
        bench.machine.execute([matmul(**scores.fields | {"first_block": 0})])


def test_columns_beyond_those_that_are_kept_share_their_places() -> None:
    """Of a row of one block in two passes: nothing reads them, and the last column stays."""
    bench = Bench(config_of(columns=32), 40, columns=70)
    bench.machine.execute(bench.row(1).alternating())
    np.testing.assert_array_equal(bench.got(), bench.expected(1))
    other = Bench(config_of(columns=128), 40, columns=70)
    other.machine.execute(other.row(1).alternating())
    kept = other.machine.blocks.contexts[:70]
    expected = np.concatenate([kept[64:70], kept[38:64]])
    np.testing.assert_array_equal(bench.machine.blocks.contexts, expected)


def test_one_block_in_one_pass_leaves_the_contexts_alone() -> None:
    bench = Bench(config_of(), 40)
    bench.machine.blocks.contexts[:] = 77
    bench.machine.execute(bench.row(0).alternating())
    np.testing.assert_array_equal(bench.got(), bench.expected(0))
    assert (bench.machine.blocks.contexts == 77).all()
    assert bench.machine.blocks.context_maximum.tolist() == bench.machine.slots[0].maximum.tolist()


@pytest.mark.parametrize("order", ORDERS)
def test_two_tiles_in_every_order(order: str) -> None:
    """One after the other through the same slots and states, each instruction after the scores that it needs."""
    bench = Bench(config_of(), 160, lift=-3)
    rows = [bench.row(0, out=OUT + 10 * tile).alternating(ahead=1) for tile in range(2)]
    code = [
        instruction.with_tokens(wait=2 * (index > 0), signal=2)
        for index, instruction in enumerate([i for row in rows for i in row])
    ]
    bench.machine.execute(code, order=order, seed=5)
    for tile in range(2):
        np.testing.assert_array_equal(bench.got(OUT + 10 * tile), bench.expected(0))
