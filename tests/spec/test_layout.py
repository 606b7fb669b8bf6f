from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vitreous.spec import layout
from vitreous.spec.isa import PARAMETER_FIELDS
from vitreous.spec.program import Placement

LANES, DEPTHS = st.sampled_from([4, 8, 16, 32]), st.sampled_from([1, 2, 4, 8])
SIZES = st.integers(1, 70)


def matrix_of(rows: int, columns: int, dtype: type) -> np.ndarray:
    limits = np.iinfo(dtype)
    return (
        np.random.default_rng(rows * 100 + columns)
        .integers(limits.min, limits.max + 1, (rows, columns))
        .astype(dtype)
    )


@given(SIZES, SIZES, LANES, DEPTHS)
def test_panel(rows: int, k: int, lanes: int, depth: int) -> None:
    matrix = matrix_of(rows, k, np.int8)
    panel = layout.pack_panel(matrix, lanes, depth)
    assert panel.shape == (layout.ceil_div(rows, lanes), layout.ceil_div(k, depth), lanes, depth)
    row, column = rows - 1, k - 1
    assert panel[row // lanes, column // depth, row % lanes, column % depth] == matrix[row, column]
    assert np.count_nonzero(panel) == np.count_nonzero(matrix), "padding is zero"
    np.testing.assert_array_equal(layout.unpack_panel(panel, rows, k), matrix)


@given(SIZES, SIZES, LANES)
def test_residual(rows: int, channels: int, lanes: int) -> None:
    matrix = matrix_of(rows, channels, np.int16)
    words = layout.pack_residual(matrix, lanes)
    assert words[(rows - 1) // lanes, channels - 1, (rows - 1) % lanes] == matrix[-1, -1]
    assert np.count_nonzero(words) == np.count_nonzero(matrix)
    np.testing.assert_array_equal(layout.unpack_residual(words, rows), matrix)


def test_image_rows_start_on_a_beat() -> None:
    image = np.arange(2 * 3 * 5, dtype=np.int8).reshape(2, 3, 5)
    data = np.frombuffer(layout.pack_image(image), np.int8).reshape(2, 3, -1)
    assert data.shape[2] == layout.image_row_stride(5) == 32
    np.testing.assert_array_equal(data[:, :, :5], image)
    assert not data[:, :, 5:].any()
    assert [layout.image_row_stride(w) for w in (32, 33)] == [32, 64]


@given(st.integers(-(1 << 31), (1 << 31) - 1), st.integers(0, (1 << 15) - 1), st.integers(0, 63))
def test_parameters_lie_as_the_field_table_says(bias: int, multiplier: int, shift: int) -> None:
    word = int(layout.pack_parameters(*(np.array([v]) for v in (bias, multiplier, shift)))[0])
    for field, value in zip(PARAMETER_FIELDS, (bias, multiplier, shift), strict=True):
        assert word & ((1 << field.width) - 1) == value % (1 << field.width), field.name
        word >>= field.width
    assert word == 0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=100))
def test_shifts_lie_two_bits_a_channel_from_bit_0_up(shifts: list[int]) -> None:
    words = layout.pack_shifts(np.array(shifts, np.uint8))
    assert words.dtype == np.uint64
    assert len(words) == layout.ceil_div(len(shifts), 32)
    whole = sum(int(word) << 64 * index for index, word in enumerate(words))
    assert whole == sum(shift << 2 * channel for channel, shift in enumerate(shifts))


@given(
    SIZES, SIZES, LANES, DEPTHS, st.sampled_from(["panel", "panel_transposed", "residual"]), st.integers(0, 5)
)
def test_placements_read_what_lies_in_the_window(
    rows: int, columns: int, lanes: int, depth: int, kind: str, gap: int
) -> None:
    matrix = matrix_of(rows, columns, np.int16 if kind == "residual" else np.int8)
    stored = matrix.T if kind == "panel_transposed" else matrix
    words = (
        layout.pack_residual(stored, lanes) if kind == "residual" else layout.pack_panel(stored, lanes, depth)
    )
    tiles, per_tile = words.shape[:2]
    spaced = np.full((tiles, per_tile + gap, *words.shape[2:]), 99, words.dtype)
    spaced[:, :per_tile] = words
    raw = spaced.reshape(tiles * (per_tile + gap), -1).view(np.uint8).reshape(-1)
    placement = Placement(tensor="t", offset=64, kind=kind, shape=matrix.shape, tile_stride=per_tile + gap)
    size = placement.size(lanes, depth)
    assert size == raw.size - gap * raw.size // (tiles * (per_tile + gap))
    window = np.concatenate([np.full(64, 7, np.uint8), raw[:size]])
    np.testing.assert_array_equal(placement.read(window, lanes, depth), matrix)
