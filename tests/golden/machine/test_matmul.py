"""One MATMUL at a time against plain Python integers and the definitions of spec.numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.golden.scalar import row_scale, softmax_row
from vitreous.golden import GoldenError
from vitreous.golden.machine import Machine, MachineError
from vitreous.spec import layout
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig, SoftmaxConfig
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
from vitreous.spec.numbers import INT8, INT16, requantize, saturate
from vitreous.spec.tables import gelu_delta

ARRAYS = [(4, 4), (8, 1), (8, 4), (16, 2), (32, 8)]
SMALL = MemoryConfig(
    activation_kib=512, weight_kib=512, residual_kib=32, parameter_entries=512, score_keys=64
)


def config_of(
    lanes: int = 8, depth: int = 4, variant: str = "base2", fraction_bits: int = 8
) -> AcceleratorConfig:
    softmax = SoftmaxConfig(variant=variant, fraction_bits=fraction_bits)
    return AcceleratorConfig(array=ArrayConfig(lanes=lanes, depth=depth), memory=SMALL, softmax=softmax)


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


def test_gelu_requantizes_twice() -> None:
    bench = Bench(config_of(), 8, 8, 16)
    bench.machine.execute([
        matmul(
            **bench.shape, destination=Memory.X, activation=Activation.GELU, zero_point=-100,
            multiplier=20000, shift=23, o_base=1000, o_stride=2,
        )
    ])  # fmt: skip
    got = layout.unpack_panel(bench.machine.x[1000:1002][None], 8, 8)
    table = gelu_delta(bench.config.gelu)
    for (row, column), x in np.ndenumerate(bench.expected(Scale.COLUMN, 0, INT16)):
        i, f = abs(int(x)) >> 5, abs(int(x)) & 31
        delta = (
            (table[i] * 32 + (table[i + 1] - table[i]) * f + 16) >> 5 if i < bench.config.gelu.entries else 0
        )
        y = (max(int(x), 0) << 4) - delta
        assert got[row, column] == requantize(y, 20000, 23, -100, INT8)


@pytest.mark.parametrize("variant", ["base2", "online"])
@pytest.mark.parametrize("slot", [0, 1])
@pytest.mark.parametrize("keys", [1, 6, 19])
def test_attention_of_one_query_tile(variant, slot, keys) -> None:
    config = config_of(8, 4, variant)
    bench = Bench(config, 5, keys, 8)
    rng = np.random.default_rng(keys)
    values = rng.integers(-128, 128, (6, keys)).astype(np.int8)  # channels in lanes, tokens along k
    panel = layout.pack_panel(values, 8, 4)
    key_words = panel.shape[1]
    bench.machine.w[900 : 900 + key_words] = panel[0]
    bench.machine.s[:] = 1234
    scale = (25000, 22)
    bench.machine.p[9] = layout.pack_parameters(*(np.array([v]) for v in (0, *scale)))[0]
    m_o, s_o = 18000, 14
    scored = {
        **bench.shape,
        "destination": Memory.S,
        "scale": Scale.TENSOR,
        "slot": slot,
        "multiplier": m_o,
        "shift": s_o,
    }
    mixed = {
        "operands": Operands.SW, "destination": Memory.X, "scale": Scale.SOFTMAX, "slot": slot, "b_base": 900,
        "b_stride": 0,
        "k_words": key_words, "row_tiles": 1, "columns": 6, "o_base": 1000, "zero_point": 4,
    }  # fmt: skip
    bench.machine.execute([
        matmul(**scored).with_tokens(wait=0, signal=2),
        matmul(**mixed).with_tokens(wait=2, signal=0),
    ], order="late")  # fmt: skip
    got = layout.unpack_panel(bench.machine.x[1000:1002][None], 8, 8)
    for row in range(5):
        t = [
            max(-(1 << 14), min((1 << 14) - 1, (int(a) * scale[0] + (1 << 21)) >> 22)) for a in bench.acc[row]
        ]
        p, maximum, total = softmax_row(t, config.softmax)
        m, s = row_scale(total, m_o, s_o, config.softmax)
        assert bench.machine.slots[slot].maximum[row] == maximum
        assert bench.machine.slots[slot].total[row] == total
        assert (bench.machine.slots[slot].multiplier[row], bench.machine.slots[slot].shift[row]) == (m, s)
        for channel in range(6):
            acc = sum(p[j] * int(values[channel, j]) for j in range(keys))
            assert got[row, channel] == requantize(acc, m, s, 4, INT8)
    masked = 0 if variant == "base2" else -(1 << 15)
    codes = bench.machine.s[slot, :key_words].transpose(1, 0, 2).reshape(8, -1)
    assert (codes[:, keys:] == masked).all()
    assert (bench.machine.s[slot, key_words:] == 1234).all()
    assert (bench.machine.s[1 - slot] == 1234).all()


LEGAL = {"k_words": 1, "row_tiles": 1, "columns": 1, "multiplier": 1 << 14, "shift": 10, "o_base": 100}
ILLEGAL = [
    {"destination": Memory.P}, {"destination": 7}, {"operands": 3}, {"activation": 3},
    {"k_words": 0}, {"row_tiles": 0}, {"columns": 0},
    {"destination": Memory.S, "scale": Scale.TENSOR, "row_tiles": 2},
    {"operands": Operands.SW, "row_tiles": 2},
    {"operands": Operands.SW, "k_words": 17},
    {"destination": Memory.S, "scale": Scale.TENSOR, "columns": 65},
    {"destination": Memory.R, "activation": Activation.GELU}, {"destination": Memory.S, "activation": Activation.RELU},
    {"destination": Memory.S, "scale": Scale.LANE}, {"destination": Memory.S, "scale": Scale.SOFTMAX},
    {"scale": Scale.SOFTMAX},
    {"destination": Memory.S, "multiplier": 0}, {"destination": Memory.S, "shift": 0},
    {"activation": Activation.GELU, "multiplier": 0}, {"activation": Activation.GELU, "shift": 0},
    {"operands": Operands.SW, "destination": Memory.S},
]  # fmt: skip


@pytest.mark.parametrize("change", ILLEGAL, ids=str)
def test_illegal_fields_stop_the_machine(change) -> None:
    machine = Machine(config_of())
    nothing = make(Opcode.FILL, memory=Memory.X, base=0, words=1)
    machine.execute([nothing, matmul(**LEGAL)])
    with pytest.raises(MachineError, match="Instruction 1: ILLEGAL_FIELD") as caught:
        machine.execute([nothing, matmul(**{**LEGAL, **change})])
    assert (caught.value.code, caught.value.pc) == (ErrorCode.ILLEGAL_FIELD, 1)


@pytest.mark.parametrize(
    "change", [{"a_base": 16383, "k_words": 2}, {"b_base": 16384}, {"o_base": 16384},
               {"p_base": 512, "scale": Scale.TENSOR},
               {"destination": Memory.R, "o_base": 2048}], ids=str,
)  # fmt: skip
def test_an_address_beyond_the_end_stops_the_machine(change) -> None:
    machine = Machine(config_of())
    with pytest.raises(MachineError, match="ADDRESS"):
        machine.execute([matmul(**{**LEGAL, **change})])


def test_reading_what_it_writes_is_refused() -> None:
    machine = Machine(config_of())
    with pytest.raises(GoldenError, match="Instruction 0 .MATMUL .*reads words that it writes"):
        machine.execute([matmul(**{**LEGAL, "o_base": 0})])
