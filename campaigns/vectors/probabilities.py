"""The prologue of P·V: codes and maxima become probabilities of 8 bits, or a byte plane of those of 16."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import assert_never

import numpy as np
from amaranth.lib import wiring

from campaigns.vectors.case import CHUNK, LANES, Case, chunks, lanes, tensor
from vitreous.golden.ops.context import planes
from vitreous.golden.softmax.softmax import carried_probabilities, levels, wide_probabilities
from vitreous.hw.softmax.prologue import ProbabilityPrologue
from vitreous.hw.softmax.rounding import CarriedRounding
from vitreous.hw.softmax.softmax import VARIANTS, prologue
from vitreous.sim.bench.vectors import Block
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, SoftmaxConfig
from vitreous.spec.limits import LEVEL_MAXIMUM
from vitreous.spec.numbers import INT8, SCORE
from vitreous.spec.softmax import MASKED_CODE, least_integer, limits
from vitreous.spec.tables import exp2_mantissa
from vitreous.spec.variants import SoftmaxVariant, in_hardware


def _largest(config: SoftmaxConfig) -> int:
    """Of a maximum; the least one is its negative, or one less."""
    match config.variant:
        case SoftmaxVariant.BASE2:
            return SCORE.maximum >> config.fraction_bits
        case SoftmaxVariant.ITA:
            return INT8.maximum
        case SoftmaxVariant.ONLINE | SoftmaxVariant.IBERT:
            return SCORE.maximum
        case SoftmaxVariant.EXACT:
            raise ValueError("no hardware has exact")
        case _:
            assert_never(config.variant)


def _least(config: SoftmaxConfig) -> int:
    return least_integer(config) if config.variant is SoftmaxVariant.BASE2 else -1 - _largest(config)


def _codes(config: SoftmaxConfig) -> np.ndarray:
    """All codes that a recurrence makes, and that of a masked key, in ascending order of what they represent."""
    found = np.arange(_least(config), _largest(config) + 1)
    if config.variant is SoftmaxVariant.BASE2:
        # Mantissas of the table only: there is none that would round to more than the largest probability.
        stored = np.unique(exp2_mantissa(config)) - exp2_mantissa(config)[0]
        found = (found[:, None] << (config.fraction_bits + 1) | stored).ravel()
    return np.append(found, MASKED_CODE)


def _block(
    config: SoftmaxConfig, code: np.ndarray, maximum: np.ndarray, total: np.ndarray, plane: int
) -> Block:
    """``plane`` : 0 of 8 bits, 1 the high and 2 the low byte plane. All arrays flat; total : only ``ita`` needs it."""
    level = levels(tensor(code)[:, None], tensor(maximum), tensor(total), config)[:, 0]
    wide = config.probability_bits == 16 and plane > 0
    # Every key is a row of its own.
    o = planes(wide_probabilities(level))[plane - 1] if wide else carried_probabilities(level[:, None])
    cycles = len(code) // LANES
    factor = np.where(total > 0, 65280 // np.maximum(total, 1), 0) if limits(config).divided else total
    return Block(
        stimulus={
            "first": np.ones(cycles, np.int64),
            "code": lanes(code),
            "maximum": lanes(maximum),
            "factor": lanes(factor & 0xFF),
            "plane.high": np.full(cycles, int(plane == 1)),
            "plane.low": np.full(cycles, int(plane == 2)),
        },
        expected={"o": lanes(o)},
    )


def _totals(config: SoftmaxConfig, rng: np.random.Generator, size: int) -> np.ndarray:
    """``ita``: a sum for every inverse, alike; of the others junk, which is the factor and not looked at."""
    if not limits(config).divided:
        return rng.integers(0, 256, size)
    sums = np.arange(256, 65282)
    first = np.unique(65280 // sums, return_index=True)[1]
    return sums[rng.choice(first, size)]


def _near(config: SoftmaxConfig, step: int) -> int:
    """Codes below the maximum whose probability is not 0."""
    match config.variant:
        case SoftmaxVariant.BASE2:
            return 17 * step
        case SoftmaxVariant.ITA:
            return 256
        case SoftmaxVariant.ONLINE | SoftmaxVariant.IBERT:
            return 17 << config.fraction_bits
        case SoftmaxVariant.EXACT:
            raise ValueError("no hardware has exact")
        case _:
            assert_never(config.variant)


def random_blocks(config: SoftmaxConfig, rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Mostly codes whose probability is not 0, of all distances alike; a tenth anywhere, some above, some masked."""
    codes, low, high = _codes(config), _least(config), _largest(config)
    step = (len(codes) - 1) // (high + 1 - low)  # codes for each value that a maximum can have
    near = _near(config, step)
    for number, size in enumerate(chunks(count)):
        maximum = rng.integers(low, high + 1, size)
        place = (maximum + 1 - low) * step - 1 - rng.integers(0, near, size)
        anywhere = (place < 0) | (rng.random(size) < 0.1)
        code = codes[np.where(anywhere, rng.integers(0, len(codes), size), place)]
        yield _block(config, code, maximum, _totals(config, rng, size), number % 3)


def all_distances(config: SoftmaxConfig, rng: np.random.Generator, count: int) -> Iterator[Block]:
    """All codes below the largest, the middle and the least maximum; ``ita`` with all inverses; in all byte planes."""
    codes = _codes(config)
    codes = np.append(codes, np.full(-len(codes) % LANES, MASKED_CODE))
    sums = np.arange(256, 65282)
    totals = sums[np.unique(65280 // sums, return_index=True)[1]] if limits(config).divided else np.zeros(1)
    for maximum in (_largest(config), 0, _least(config)):
        for plane in range(3):
            every = np.tile(codes, len(totals))
            total = np.repeat(totals.astype(np.int64), len(codes))
            yield _block(config, every, np.full(len(every), maximum), total, plane)


def carried_rows(depth: int, rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Rows of 1 to 4096 levels, some of them the largest, small, or all ones below; LANES rows side by side."""
    for size in chunks(count, CHUNK // 4):
        words = size // (LANES * depth) + 1
        first = rng.random(words) < rng.choice([0.5, 0.1, 1 / 1024])
        first[0] = True
        level = rng.integers(0, LEVEL_MAXIMUM + 1, (LANES, words * depth))
        kinds = (level, np.full_like(level, LEVEL_MAXIMUM), level & 0x1FF, level | 0x1FF, level & 0x7F)
        level = np.choose(rng.integers(0, len(kinds), level.shape), kinds).clip(max=LEVEL_MAXIMUM)
        starts = np.append(np.flatnonzero(first), words) * depth
        found = [carried_probabilities(tensor(level[:, a:b])) for a, b in pairwise(starts)]
        yield Block(
            stimulus={
                "first": first.astype(np.int64),
                "level": _words(level, depth),
                "plane.high": np.zeros(words, np.int64),
                "plane.low": np.zeros(words, np.int64),
            },
            expected={"o": _words(np.concatenate(found, 1), depth)},
        )


def _words(rows: np.ndarray, depth: int) -> np.ndarray:
    """[LANES, keys] -> [words, LANES * depth], index ``lane * depth + v``."""
    return rows.reshape(LANES, -1, depth).swapaxes(0, 1).reshape(-1, LANES * depth)


def _rounding(depth: int) -> wiring.Component:
    return CarriedRounding(AcceleratorConfig(array=ArrayConfig(lanes=LANES, depth=depth)))


def cases() -> list[Case]:
    """Of this file."""
    found = [
        Case(
            unit="CarriedRounding",
            variant=f"V = {depth}",
            space="rows of 1 to thousands of levels",
            make=partial(_rounding, depth),
            blocks=partial(carried_rows, depth),
        )
        for depth in (1, 4, 8)
    ]
    for variant in in_hardware(SoftmaxVariant):
        for bits, width in ((8, 16), (8, 8), (6, 16), (9, 16)):
            softmax = SoftmaxConfig(variant=variant, fraction_bits=bits, probability_bits=width)
            config = AcceleratorConfig(array=ArrayConfig(lanes=LANES, depth=1), softmax=softmax)
            name = f"{variant}, F = {bits}, {width} bits"
            for space, blocks in (
                ("all distances, inverses and byte planes", all_distances),
                ("codes, maxima, inverses, byte planes", random_blocks),
            ):
                found.append(
                    Case(
                        unit="ProbabilityPrologue",
                        variant=name,
                        space=space,
                        make=partial(prologue, config),
                        latency=ProbabilityPrologue.latency(VARIANTS[variant].levels),
                        blocks=partial(blocks, softmax),
                        exhaustive=blocks is all_distances,
                        share=1.0 if (bits, width) == (8, 16) else 0.25,
                    )
                )
    return found
