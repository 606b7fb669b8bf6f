"""Rows of several blocks of keys against the definition, written out key by key."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.golden import scalar
from vitreous.golden import GoldenError
from vitreous.golden.softmax.blocks import octaves_below
from vitreous.golden.softmax.exact import softmax_float64
from vitreous.golden.softmax.softmax import softmax
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.limits import KEY_BLOCK
from vitreous.spec.numbers import SCORE
from vitreous.spec.variants import SOFTMAXES, SoftmaxVariant

SCALE = (20000, 14)
BORDERS = [63, 64, 65, 95, 96, 97, 127, 128, 129, 159, 160, 161, 197, 223, 224, 257, 288, 399, 400]


def steps(keys: int, unit: int, rng: np.random.Generator) -> np.ndarray:
    """Rows whose blocks' maxima rise, fall, rise and fall, are equal; by fractions of an octave up to more than 32."""
    block = np.arange(keys) // KEY_BLOCK
    noise = rng.normal(0, 2 * unit, (9, keys))
    sizes = [5 * unit, -5 * unit, 31 * unit, -32 * unit, 33 * unit, -64 * unit, unit // 3, 0]
    slopes = np.stack([size * block for size in sizes] + [40 * unit * (block % 2) - 20 * unit])
    return noise + slopes


def rows_of_scores(keys: int, config: SoftmaxConfig) -> torch.Tensor:
    rng, unit = np.random.default_rng(keys), 1 << config.fraction_bits
    rows = [
        *steps(keys, unit, rng),
        np.full(keys, SCORE.minimum), np.full(keys, SCORE.maximum), np.zeros(keys),
        np.linspace(SCORE.minimum, SCORE.maximum, keys), np.linspace(SCORE.maximum, SCORE.minimum, keys),
        rng.integers(SCORE.minimum, SCORE.maximum + 1, keys),
    ]  # fmt: skip
    return torch.from_numpy(np.clip(np.rint(np.stack(rows)), SCORE.minimum, SCORE.maximum).astype(np.int32))


def check(t: torch.Tensor, config: SoftmaxConfig) -> None:
    found = softmax(t, config, *SCALE, key_block=KEY_BLOCK)
    blocks = scalar.blocks_of(t.shape[-1], KEY_BLOCK)
    assert found.maxima.shape == (*t.shape[:-1], len(blocks))
    for row, scores in enumerate(t.tolist()):
        parts = [scalar.softmax_row([scores[key] for key in keys], config) for keys in blocks]
        assert found.maxima[row].tolist() == [part.maximum for part in parts]
        expected = [p for part in parts for p in scalar.probabilities(part, config.probability_bits)]
        assert found.p[row].tolist() == expected
        scale = scalar.row_scale(scalar.sum_of_blocks(parts), *SCALE, config)
        assert (int(found.multiplier[row]), int(found.shift[row])) == scale


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("fraction_bits", [6, 7, 8, 9])
def test_rows_at_the_borders_of_blocks(bits: int, fraction_bits: int) -> None:
    config = SoftmaxConfig(fraction_bits=fraction_bits, probability_bits=bits)
    for keys in BORDERS[fraction_bits % 2 :: 2]:
        check(rows_of_scores(keys, config), config)


@pytest.mark.parametrize("first", [1, 101, 201, 301])
def test_rows_of_every_length(first: int) -> None:
    for keys in range(first, first + 100):
        config = SoftmaxConfig(fraction_bits=6 + keys % 4, probability_bits=8 * (1 + keys % 2))
        check(rows_of_scores(keys, config)[keys % 15 :][:2], config)


@pytest.mark.parametrize("bits", [8, 16])
def test_the_longest_rows(bits: int) -> None:
    config = SoftmaxConfig(probability_bits=bits)
    check(rows_of_scores(4096, config)[1:13:2], config)


def test_a_row_of_one_block_is_a_row_without_blocks() -> None:
    config = SoftmaxConfig()
    for keys in (1, 64, 95):
        t = rows_of_scores(keys, config)
        pairs = zip(
            softmax(t, config, *SCALE, key_block=0),
            softmax(t, config, *SCALE, key_block=KEY_BLOCK),
            strict=True,
        )
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1,), ()])
def test_rows_of_a_batch_are_rows_alone(shape: tuple[int, ...]) -> None:
    config = SoftmaxConfig()
    t = rows_of_scores(161, config)[[0, 4, 8, 14] * 6].reshape(2, 3, 4, -1)
    t = t[0, 0] if len(shape) == 1 else t
    t = t[0] if not shape else t.reshape(*shape, -1) if len(shape) == 3 else t[:1]
    found = softmax(t, config, *SCALE, key_block=KEY_BLOCK)
    alone = [softmax(row, config, *SCALE, key_block=KEY_BLOCK) for row in t.reshape(-1, 161)]
    for index, whole in enumerate(found):
        assert torch.equal(
            whole.reshape(len(alone), -1), torch.stack([x[index] for x in alone]).reshape(len(alone), -1)
        )


@pytest.mark.parametrize("bits", [8, 16])
def test_blocks_against_float64(bits: int) -> None:
    """Probabilities, weighted by their blocks' maxima: as near as those of a row of one block."""
    config = SoftmaxConfig(probability_bits=bits)
    t = rows_of_scores(257, config)[:9]
    p, m, s, maxima = softmax(t, config, 1 << 14, 14, key_block=KEY_BLOCK)
    below = octaves_below(maxima, 257, KEY_BLOCK).double()
    real = softmax_float64(t, config)
    found = p.double() / (256 if bits == 16 else 1) * torch.pow(2.0, -below) * (m / 2.0**s)[:, None]
    largest = real.amax(-1, keepdim=True)
    assert ((found - real).abs() <= largest / 63 + 1e-3 if bits == 8 else (found - real).abs() <= 3e-3).all()
    assert (found.sum(-1) - 1).abs().max() <= 0.02


def test_octaves_below_the_largest_block() -> None:
    maxima = torch.tensor([[3, 7, -2]])
    below = octaves_below(maxima, 160, KEY_BLOCK)
    assert below[0].tolist() == [4] * 64 + [0] * 64 + [9] * 32


@pytest.mark.parametrize("variant", [v for v in SoftmaxVariant if not SOFTMAXES[v].blocks])
def test_other_variants_take_a_row_whole(variant: SoftmaxVariant) -> None:
    t, config = torch.zeros(2, 100, dtype=torch.int32), SoftmaxConfig(variant=variant)
    assert softmax(t, config, *SCALE, key_block=0).maxima.shape == (2, 1)
    with pytest.raises(
        GoldenError, match=f"Softmax {variant} takes a row as one block, not in blocks of 64 keys"
    ):
        softmax(t, config, *SCALE, key_block=KEY_BLOCK)
