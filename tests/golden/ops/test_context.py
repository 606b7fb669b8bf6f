"""Contexts of several blocks of keys against the definition, written out key by key."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from tests.support.golden import scalar
from vitreous.golden.arith.integers import round_shift_real
from vitreous.golden.ops.context import context
from vitreous.spec.limits import KEY_BLOCK

LARGEST = {8: 127, 16: 127 * 256 + 127}
STEPS = [0, 1, -1, 4, -5, 27, -28, 31, -31, 32, -32, 33, -40, 500, -500]


def rows_of_maxima(blocks: int, rng: np.random.Generator) -> np.ndarray:
    """A row for each step from block to block, up and down, and random ones."""
    straight = [step * np.arange(blocks) for step in STEPS]
    mixed = [rng.choice(STEPS, blocks) for _ in range(5)]
    return np.stack([*straight, *mixed])


def operands(
    keys: int, bits: int, heads: int, columns: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng((keys, bits))
    blocks = len(scalar.blocks_of(keys, KEY_BLOCK))
    maxima = np.stack([np.roll(rows_of_maxima(blocks, rng), h, 0) for h in range(heads)]).astype(np.int32)
    dtype = np.int8 if bits == 8 else np.int16
    p = rng.integers(0, LARGEST[bits] + 1, (heads, maxima.shape[1], keys)).astype(dtype)
    p[:, ::3] = LARGEST[bits]
    v = rng.integers(-128, 128, (keys, heads * columns)).astype(np.int8)
    v[:, 0] = -128
    return torch.from_numpy(p), torch.from_numpy(v), torch.from_numpy(maxima)


def check(keys: int, bits: int, rows: Sequence[int] | slice = slice(None), columns: int = 2) -> None:
    heads = 2
    p, v, maxima = operands(keys, bits, heads, columns)
    found = context(p, v, maxima, heads, key_block=KEY_BLOCK)
    assert found.dtype == torch.int32
    assert found.shape == (p.shape[1], heads * columns)
    blocks = scalar.blocks_of(keys, KEY_BLOCK)
    for row in range(p.shape[1])[rows] if isinstance(rows, slice) else rows:
        for column in range(heads * columns):
            h = column // columns
            parts = [[int(p[h, row, key]) for key in part] for part in blocks]
            values = [[int(v[key, column]) for key in part] for part in blocks]
            expected = scalar.context_of_blocks(maxima[h, row].tolist(), parts, values, bits)
            assert int(found[row, column]) == expected, (keys, row, column)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("keys", [1, 64, 95, 96, 97, 128, 160, 197, 257])
def test_contexts_at_the_borders_of_blocks(keys: int, bits: int) -> None:
    check(keys, bits)


@pytest.mark.parametrize("first", [1, 101, 201, 301])
def test_contexts_of_every_number_of_keys(first: int) -> None:
    for keys in range(first, first + 100):
        check(keys, 8 * (1 + keys % 2), rows=[keys % 20], columns=1)


@pytest.mark.parametrize("bits", [8, 16])
def test_contexts_of_the_longest_rows(bits: int) -> None:
    check(4096, bits, rows=[0, 4, 19], columns=1)


def test_a_batch_is_its_images() -> None:
    p, v, maxima = operands(161, 8, 2, 3)
    batch = [torch.stack([x, x.flip(0)]) for x in (p, v, maxima)]
    found = context(*batch, 2, key_block=KEY_BLOCK)
    for image in range(2):
        assert torch.equal(found[image], context(*(x[image] for x in batch), 2, key_block=KEY_BLOCK))


def test_a_context_of_one_block_does_not_depend_on_its_maximum() -> None:
    for bits in (8, 16):
        p, v, maxima = operands(95, bits, 1, 3)
        other = torch.zeros_like(maxima)
        assert torch.equal(
            context(p, v, maxima, 1, key_block=KEY_BLOCK), context(p, v, other, 1, key_block=0)
        )


def test_long_rows_of_blocks_fit_their_accumulators() -> None:
    v = torch.full((4096, 1), -128, dtype=torch.int8)
    maxima = torch.zeros(1, 1, 64, dtype=torch.int32)
    narrow = torch.full((1, 1, 4096), 127, dtype=torch.int8)
    wide = torch.full((1, 1, 4096), LARGEST[16], dtype=torch.int16)
    assert int(context(narrow, v, maxima, 1, key_block=KEY_BLOCK)) == -4096 * 128 * 127 * 16
    assert int(context(wide, v, maxima, 1, key_block=KEY_BLOCK)) == -4096 * 128 * LARGEST[16] // 16


def test_rounding_shifts_of_reals() -> None:
    """Every value near a tie, of every size below ``2**36``, against integers."""
    values = [sign * ((1 << size) + more) for size in range(36) for more in (-1, 0, 1) for sign in (-1, 1)]
    values = [value for value in values if abs(value) < 1 << 36]
    for places in range(70):
        found = round_shift_real(torch.tensor(values, dtype=torch.float64), torch.tensor(places))
        expected = [(value + (1 << places >> 1)) >> places for value in values]
        assert found.long().tolist() == expected, places
