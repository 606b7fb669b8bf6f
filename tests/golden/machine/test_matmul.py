"""One MATMUL at a time against plain Python integers and the definitions of spec.numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.golden import scalar
from vitreous.golden import GoldenError
from vitreous.golden.machine import Machine, MachineError
from vitreous.spec import layout
from vitreous.spec.config import AcceleratorConfig, ActivationConfig, ArrayConfig, MemoryConfig, SoftmaxConfig
from vitreous.spec.isa import (
    FIELDS,
    Activation,
    ErrorCode,
    Instruction,
    Memory,
    Opcode,
    Operands,
    Scale,
    make,
)
from vitreous.spec.numbers import INT8, INT16, SCORE, requantize, round_shift, saturate
from vitreous.spec.softmax import MASKED_CODE

ARRAYS = [(4, 4), (8, 1), (8, 4), (16, 2), (32, 8)]
SMALL = MemoryConfig(
    activation_kib=512, weight_kib=512, residual_kib=32, parameter_entries=512, score_keys=64
)


def config_of(
    lanes: int = 8,
    depth: int = 4,
    variant: str = "base2",
    fraction_bits: int = 8,
    probability_bits: int = 16,
    activation: ActivationConfig | None = None,
) -> AcceleratorConfig:
    softmax = SoftmaxConfig(variant=variant, fraction_bits=fraction_bits, probability_bits=probability_bits)
    array = ArrayConfig(lanes=lanes, depth=depth)
    return AcceleratorConfig(
        array=array, memory=SMALL, softmax=softmax, activation=activation or ActivationConfig()
    )


def matmul(**fields: int) -> Instruction:
    zeros = {f.name: 0 for f in FIELDS[Opcode.MATMUL]}
    return make(Opcode.MATMUL, **{**zeros, **fields})


class Bench:
    """A machine whose memories hold random A [rows, k], B [columns, k], parameters and residual."""

    def __init__(
        self, config: AcceleratorConfig, rows: int, columns: int, k: int, *, swapped: bool = False
    ) -> None:
        rng = np.random.default_rng(rows * 1000 + columns * 10 + k)
        self.config, self.machine = config, Machine(config)
        self.lanes, self.depth = config.array.lanes, config.array.depth
        self.a = rng.integers(-128, 128, (rows, k)).astype(np.int8)
        self.b = rng.integers(-128, 128, (columns, k)).astype(np.int8)
        self.tiles, self.words = layout.ceil_div(rows, self.lanes), layout.ceil_div(k, self.depth)
        sources = (self.machine.w, self.machine.x) if swapped else (self.machine.x, self.machine.w)
        for memory, matrix, base in zip(sources, (self.a, self.b), (3, 5), strict=True):
            panel = layout.pack_panel(matrix, self.lanes, self.depth)
            memory[base : base + panel.shape[0] * self.words] = panel.reshape(-1, self.lanes, self.depth)
        count = max(columns, self.tiles * self.lanes)
        self.bias = rng.integers(-50000, 50000, count)
        self.m, self.s = rng.integers(1 << 14, 1 << 15, count), rng.integers(20, 26, count)
        self.machine.p[9 : 9 + count] = layout.pack_parameters(self.bias, self.m, self.s)
        self.machine.r[:] = rng.integers(-(1 << 15), 1 << 15, self.machine.r.shape)
        self.machine.x[1000:] = 77  # so that padding is seen to be written
        self.machine.w[1000:] = 77
        self.acc = self.a.astype(object) @ self.b.astype(object).T
        self.shape = {
            "a_base": 3, "a_stride": self.words, "b_base": 5, "b_stride": self.words, "k_words": self.words,
            "row_tiles": self.tiles, "columns": columns, "p_base": 9,
        }  # fmt: skip

    def parameter(self, scale: Scale, row: int, column: int) -> int:
        return {Scale.COLUMN: column, Scale.TENSOR: 0, Scale.LANE: row}[scale]

    def expected(self, scale: Scale, zero_point: int, fmt: object) -> np.ndarray:
        out = np.zeros(self.acc.shape, np.int64)
        for row, column in np.ndindex(*self.acc.shape):
            n = self.parameter(scale, row, column)
            acc = int(self.acc[row, column]) + int(self.bias[n])
            out[row, column] = requantize(acc, int(self.m[n]), int(self.s[n]), zero_point, fmt)
        return out


@pytest.mark.parametrize(("lanes", "depth"), ARRAYS)
@pytest.mark.parametrize("scale", [Scale.COLUMN, Scale.TENSOR, Scale.LANE])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 3, 7), (19, 21, 33)])
def test_linear_to_panel_pads_the_last_word_with_zeros(lanes, depth, scale, sizes) -> None:
    rows, columns, k = sizes
    swapped = scale == Scale.LANE
    bench = Bench(config_of(lanes, depth), rows, columns, k, swapped=swapped)
    per_row = layout.ceil_div(columns, depth)
    destination, operands = (Memory.W, Operands.WX) if swapped else (Memory.X, Operands.XW)
    bench.machine.execute([
        matmul(
            **bench.shape, operands=operands, destination=destination, scale=scale, zero_point=-5,
            o_base=1000, o_stride=per_row + 1,
        )
    ])  # fmt: skip
    memory = bench.machine.w if swapped else bench.machine.x
    stored = np.stack([memory[1000 + t * (per_row + 1) :][:per_row] for t in range(bench.tiles)])
    whole = layout.unpack_panel(stored, bench.tiles * lanes, per_row * depth)
    np.testing.assert_array_equal(whole[:rows, :columns], bench.expected(scale, -5, INT8))
    assert not whole[:, columns:].any()
    assert (memory[1000 + per_row] == 77).all(), "a word between the rows was written"
    for row in range(rows, bench.tiles * lanes):  # lanes beyond the data: accumulator 0
        n = bench.parameter(scale, row, 0)
        assert whole[row, 0] == requantize(int(bench.bias[n]), int(bench.m[n]), int(bench.s[n]), -5, INT8)


@pytest.mark.parametrize("residual", [0, 1])
def test_linear_to_residual_ignores_the_zero_point(residual) -> None:
    bench = Bench(config_of(), 11, 13, 9)
    before = bench.machine.r.copy()
    bench.machine.execute([
        matmul(**bench.shape, destination=Memory.R, residual=residual, zero_point=100, o_base=50, o_stride=20)
    ])  # fmt: skip
    y = bench.expected(Scale.COLUMN, 0, INT16)
    for row, column in np.ndindex(11, 13):
        word, lane = 50 + row // 8 * 20 + column, row % 8
        old = int(before[word, lane]) if residual else 0
        assert bench.machine.r[word, lane] == saturate(int(y[row, column]) + old, INT16)
    assert (bench.machine.r[63:70] == before[63:70]).all()


def test_rows_of_tiles_that_share_residual_words_add_up() -> None:
    bench = Bench(config_of(), 16, 4, 8)
    bench.machine.r[:] = 0
    bench.machine.execute([matmul(**bench.shape, destination=Memory.R, residual=1, o_base=0, o_stride=0)])
    y = bench.expected(Scale.COLUMN, 0, INT16)
    np.testing.assert_array_equal(bench.machine.r[:4].T, np.clip(y[:8] + y[8:], -32768, 32767))


def test_relu_keeps_the_zero_point() -> None:
    bench = Bench(config_of(), 8, 8, 16)
    bench.machine.execute([
        matmul(**bench.shape, destination=Memory.X, activation=Activation.RELU, zero_point=-9, o_base=1000, o_stride=2)
    ])  # fmt: skip
    got = layout.unpack_panel(bench.machine.x[1000:1002][None], 8, 8)
    expected = np.maximum(bench.expected(Scale.COLUMN, -9, INT8), -9)
    assert (expected == -9).any()
    assert (expected > -9).any()
    np.testing.assert_array_equal(got, expected)


ACTIVATIONS = [
    ActivationConfig(),
    ActivationConfig(interpolate=False, fraction_bits=10),
    ActivationConfig(variant="table", step_bits=4, range=4.0),
    ActivationConfig(variant="poly", fraction_bits=16),
    ActivationConfig(variant="shift", function="silu"),
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_gelu_requantizes_twice(activation: ActivationConfig) -> None:
    bench = Bench(config_of(activation=activation), 8, 8, 16)
    shift = 9 + activation.fraction_bits
    bench.machine.execute([
        matmul(
            **bench.shape, destination=Memory.X, activation=Activation.SMOOTH, zero_point=-100,
            multiplier=20000, shift=shift, o_base=1000, o_stride=2,
        )
    ])  # fmt: skip
    got = layout.unpack_panel(bench.machine.x[1000:1002][None], 8, 8)
    for (row, column), x in np.ndenumerate(bench.expected(Scale.COLUMN, 0, INT16)):
        y = scalar.activation(int(x), activation)
        assert got[row, column] == requantize(y, 20000, shift, -100, INT8)


WHOLE = {"first_block": 1, "last_block": 1}
"""A row of one block of keys."""


def query_tile(bench: Bench, values: np.ndarray, slot: int, wide: int) -> tuple[list[Instruction], int]:
    """Scores of one query tile into ``slot``, and its probabilities times ``values`` [channels, keys] to X[1000:]."""
    panel = layout.pack_panel(values, bench.lanes, bench.depth)
    key_words = panel.shape[1]
    bench.machine.w[900 : 900 + key_words] = panel[0]
    bench.machine.s[:] = 1234
    bench.machine.p[9] = layout.pack_parameters(*(np.array([v]) for v in (0, *SCORE_SCALE)))[0]
    scored = {
        **bench.shape, "destination": Memory.S, "scale": Scale.TENSOR, "slot": slot, **WHOLE,
        "multiplier": CONTEXT_SCALE[0], "shift": CONTEXT_SCALE[1] + 4 * wide,
    }  # fmt: skip
    mixed = {
        "operands": Operands.SW, "destination": Memory.X, "scale": Scale.SOFTMAX, "slot": slot, "b_base": 900,
        "b_stride": 0, "k_words": key_words, "row_tiles": 1, "columns": len(values), "o_base": 1000,
        "zero_point": 4, "extra_planes": wide, **WHOLE,
    }  # fmt: skip
    return [
        matmul(**scored).with_tokens(wait=0, signal=2),
        matmul(**mixed).with_tokens(wait=2, signal=0),
    ], key_words


SCORE_SCALE = (25000, 22)
CONTEXT_SCALE = (18000, 14)


@pytest.mark.parametrize("variant", ["base2", "online", "ibert", "ita"])
@pytest.mark.parametrize(("slot", "wide", "fraction_bits"), [(0, 0, 8), (1, 0, 6), (0, 1, 9), (1, 1, 7)])
@pytest.mark.parametrize("keys", [1, 6, 19])
def test_attention_of_one_query_tile(
    variant: str, slot: int, wide: int, fraction_bits: int, keys: int
) -> None:
    config = config_of(8, 4, variant, fraction_bits)
    bench, bits = Bench(config, 5, keys, 8), 16 if wide else 8
    values = np.random.default_rng(keys).integers(-128, 128, (6, keys)).astype(np.int8)  # channels in lanes
    code, key_words = query_tile(bench, values, slot, wide)
    bench.machine.execute(code, order="late")
    got = layout.unpack_panel(bench.machine.x[1000:1002][None], 8, 8)
    state = bench.machine.slots[slot]
    codes = bench.machine.s[slot, :key_words].transpose(1, 0, 2).reshape(8, -1).astype(int)
    for lane in range(5):
        t = [saturate(round_shift(int(a) * SCORE_SCALE[0], SCORE_SCALE[1]), SCORE) for a in bench.acc[lane]]
        row = scalar.softmax_row(t, config.softmax)
        m, s = scalar.row_scale(row.total, CONTEXT_SCALE[0], CONTEXT_SCALE[1] + 4 * wide, config.softmax)
        found = (state.maximum[lane], state.total[lane], state.multiplier[lane], state.shift[lane])
        assert found == (row.maximum, row.total, m, s)
        assert codes[lane, :keys].tolist() == row.codes
        for channel in range(6):
            column = [int(v) for v in values[channel]]
            acc = scalar.weighted_sum(scalar.probabilities(row, bits), column, bits)
            assert got[lane, channel] == requantize(acc, m, s, 4, INT8)
    assert (codes[:, keys:] == MASKED_CODE).all(), "a key that does not exist is masked in every variant"
    assert (bench.machine.s[slot, key_words:] == 1234).all()
    assert (bench.machine.s[1 - slot] == 1234).all()


@pytest.mark.parametrize("variant", ["base2", "online", "ibert", "ita"])
def test_a_slot_that_no_row_was_written_to_weighs_nothing(variant: str) -> None:
    bench = Bench(config_of(8, 4, variant), 5, 6, 8)
    code, _ = query_tile(bench, np.full((6, 6), 100, np.int8), 0, 1)
    bench.machine.s[:] = MASKED_CODE
    bench.machine.execute([code[1].with_tokens(wait=0, signal=0)])
    got = layout.unpack_panel(bench.machine.x[1000:1002][None], 8, 8)
    assert (got[:, :6] == 4).all()


def test_a_row_that_the_variant_cannot_hold_is_refused() -> None:
    memory = MemoryConfig(activation_kib=512, weight_kib=512, residual_kib=32, score_keys=512)
    softmax = SoftmaxConfig(variant="ita")
    machine = Machine(AcceleratorConfig(memory=memory, softmax=softmax))
    scored = {
        "destination": Memory.S, "scale": Scale.TENSOR, "k_words": 1, "row_tiles": 1, "b_stride": 1,
        "multiplier": 1 << 14, "shift": 14, **WHOLE,
    }  # fmt: skip
    machine.p[0] = layout.pack_parameters(np.array([0]), np.array([1 << 14]), np.array([14]))[0]
    machine.execute([matmul(**scored, columns=255)])
    assert (machine.slots[0].total == 255 * 256).all()
    with pytest.raises(GoldenError, match="Softmax ita takes rows of 1 to 255 keys, not 256"):
        machine.execute([matmul(**scored, columns=256)])


PROBABILITIES = {"operands": Operands.SW, "scale": Scale.SOFTMAX}
PARTS = ((0, 0), (0, 1), (1, 0))
LEGAL = {"k_words": 1, "row_tiles": 1, "columns": 1, "multiplier": 1 << 14, "shift": 10, "o_base": 100}
ILLEGAL = [
    {"destination": Memory.P}, {"destination": 7}, {"operands": 3}, {"activation": 3},
    {"k_words": 0}, {"row_tiles": 0}, {"columns": 0},
    {"destination": Memory.S, "scale": Scale.TENSOR, "row_tiles": 2},
    {**PROBABILITIES, "row_tiles": 2}, {**PROBABILITIES, "k_words": 17},
    *({**PROBABILITIES, "scale": scale} for scale in Scale if scale != Scale.SOFTMAX),
    *({**PROBABILITIES, "columns": 65, "first_block": first, "last_block": last} for first, last in PARTS),
    {"destination": Memory.S, "scale": Scale.TENSOR, "columns": 65},
    {"destination": Memory.R, "activation": Activation.SMOOTH}, {"destination": Memory.S, "activation":
    Activation.RELU},
    {"destination": Memory.S, "scale": Scale.LANE}, {"destination": Memory.S, "scale": Scale.SOFTMAX},
    {"scale": Scale.SOFTMAX},
    {"destination": Memory.S, "multiplier": 0}, {"destination": Memory.S, "shift": 0},
    {"activation": Activation.SMOOTH, "multiplier": 0}, {"activation": Activation.SMOOTH, "shift": 0},
    {**PROBABILITIES, "destination": Memory.S},
    {"extra_planes": 1}, {"extra_planes": 1, "operands": Operands.WX},
    {"extra_planes": 1, "destination": Memory.S, "scale": Scale.TENSOR},
]  # fmt: skip


@pytest.mark.parametrize("change", ILLEGAL, ids=str)
def test_illegal_fields_stop_the_machine(change) -> None:
    machine = Machine(config_of())
    nothing = make(Opcode.FILL, memory=Memory.X, base=0, words=1)
    machine.execute([nothing, matmul(**LEGAL)])
    with pytest.raises(MachineError, match="Instruction 1: ILLEGAL_FIELD") as caught:
        machine.execute([nothing, matmul(**{**LEGAL, **change})])
    assert (caught.value.code, caught.value.pc) == (ErrorCode.ILLEGAL_FIELD, 1)


@pytest.mark.parametrize(("first", "last"), PARTS)
@pytest.mark.parametrize("kind", [PROBABILITIES, {"destination": Memory.S, "scale": Scale.TENSOR}], ids=str)
def test_blocks_need_a_softmax_that_has_them(kind, first: int, last: int) -> None:
    part = {**LEGAL, **kind, "first_block": first, "last_block": last}
    Machine(config_of()).execute([matmul(**part)])
    for variant in ("online", "ibert", "ita"):
        Machine(config_of(variant=variant)).execute([matmul(**part | WHOLE)])
        with pytest.raises(
            MachineError, match=f"MATMUL: a block of a row where softmax {variant} takes rows whole"
        ):
            Machine(config_of(variant=variant)).execute([matmul(**part)])


def test_both_bits_of_other_products_mean_nothing() -> None:
    for bits in ({}, {"first_block": 1}, {"last_block": 1}, WHOLE):
        Machine(config_of(variant="ita")).execute([matmul(**LEGAL, **bits)])


def test_a_row_of_one_block_may_have_more_columns_than_are_kept() -> None:
    fields = {**LEGAL, **PROBABILITIES, "columns": 65}
    Machine(config_of()).execute([matmul(**fields, **WHOLE)])
    with pytest.raises(MachineError, match="MATMUL: 65 columns of a block's contexts where 64 are kept"):
        Machine(config_of()).execute([matmul(**fields, last_block=1)])


def test_wide_needs_probabilities_of_16_bits() -> None:
    fields = {**LEGAL, **PROBABILITIES, "extra_planes": 1}
    Machine(config_of(probability_bits=16)).execute([matmul(**fields)])
    with pytest.raises(MachineError, match="ILLEGAL_FIELD: MATMUL: extra planes on an accelerator"):
        Machine(config_of(probability_bits=8)).execute([matmul(**fields)])


@pytest.mark.parametrize(
    "change", [{"a_base": 16383, "k_words": 2}, {"b_base": 16384}, {"o_base": 16384},
               {"p_base": 512, "scale": Scale.TENSOR},
               {"destination": Memory.R, "o_base": 2048}], ids=str,
)  # fmt: skip
def test_an_address_beyond_the_end_stops_the_machine(change) -> None:
    machine = Machine(config_of())
    with pytest.raises(MachineError, match="ADDRESS"):
        machine.execute([matmul(**{**LEGAL, **change})])


@pytest.mark.parametrize("change", [{}, {**PROBABILITIES, **WHOLE, "destination": Memory.W}], ids=str)
def test_reading_what_it_writes_is_refused(change) -> None:
    machine = Machine(config_of())
    with pytest.raises(GoldenError, match="Instruction 0 .MATMUL .*reads words that it writes"):
        machine.execute([matmul(**{**LEGAL, **change, "o_base": 0, "b_base": 0})])
