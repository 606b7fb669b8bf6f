"""Requantization and the units of one lane: leading one, reciprocal, row scales, reciprocal square root."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from amaranth.lib import wiring

from campaigns.vectors.case import LANES, Blocks, Case, chunks, columns, flat, lanes, magnitudes, tensor
from vitreous.golden.arith.integers import bit_length
from vitreous.golden.arith.reciprocal import reciprocal
from vitreous.golden.arith.rsqrt import reciprocal_root
from vitreous.golden.ops.requantize import requantize
from vitreous.golden.softmax.softmax import row_scale
from vitreous.hw.arith.leading_one import LeadingOne
from vitreous.hw.arith.reciprocal import Reciprocal
from vitreous.hw.arith.requantize import FORMATS, Requantize, Saturation
from vitreous.hw.arith.rsqrt import ReciprocalRoot
from vitreous.hw.softmax.ita import RowInverse
from vitreous.hw.softmax.rowscale import RowScale
from vitreous.sim.bench.vector_units import Copies
from vitreous.sim.bench.vectors import Block
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.softmax import limits
from vitreous.spec.variants import SOFTMAXES, SoftmaxVariant

COPIES = 4
"""Of the deep pipelines of dividers and roots, which take long to compile."""
_NUMERATORS = (16384, 32767, 16385, 32766, 24576)


def copies(make: Callable[[], wiring.Component], count: int = COPIES) -> Callable[[], wiring.Component]:
    """One lane becomes ``count``."""
    return partial(Copies, make, count=count)


# ------------------------------------------------------------------------------------------------ requantize
def _halves(rng: np.random.Generator, size: int, width: int) -> tuple[np.ndarray, ...]:
    """Products on a half or one beside it, near the ends of a range and near 0."""
    ends = np.array(
        [0, 3, -3, *(end for known in FORMATS.values() for end in (known.minimum, known.maximum))]
    )
    shift = rng.integers(1, width - 2, size)
    target = rng.choice(ends, size) + rng.integers(-1, 2, size)
    half = np.left_shift(np.int64(1), shift - 1) * rng.choice([1, -1], size)
    acc = np.left_shift(target, shift) + half + rng.integers(-1, 2, size)
    limit = np.int64(1) << (width - 1)
    return np.clip(acc, -limit, limit - 1), np.ones(size, np.int64), shift


def _anywhere(rng: np.random.Generator, size: int, width: int) -> tuple[np.ndarray, ...]:
    """Accumulators and multipliers of all magnitudes, all shifts."""
    acc = magnitudes(rng, size, width - 1) * rng.choice([1, -1], size)
    return acc, magnitudes(rng, size, 15), rng.integers(1, 48, size)


def _scaled(rng: np.random.Generator, size: int, width: int) -> tuple[np.ndarray, ...]:
    """As in use: normalized multipliers, results of the size of a result, all accumulators."""
    limit = np.int64(1) << (width - 1)
    acc = rng.integers(-limit, limit, size)
    shift = np.clip(bit_length(tensor(np.abs(acc))).numpy() + 15 - rng.integers(4, 18, size), 1, 47)
    return acc, rng.integers(1 << 14, 1 << 15, size), shift


def _extremes(rng: np.random.Generator, size: int, width: int) -> tuple[np.ndarray, ...]:
    limit = np.int64(1) << (width - 1)
    acc = rng.choice(np.array([-limit, limit - 1, -limit + 1, -1, 0, 1]), size)
    return acc, rng.choice(np.array([1, 2, 16383, 16384, 32766, 32767]), size), rng.integers(1, 48, size)


def requantize_blocks(width: int) -> Callable[[np.random.Generator, int], Iterator[Block]]:
    """Saturation and zero point belong to a column; golden takes them for a block."""

    def blocks(rng: np.random.Generator, count: int) -> Iterator[Block]:
        kinds = (_scaled, _halves, _anywhere, _extremes)
        for number, size in enumerate(chunks(count, 1 << 14)):
            # Each kind meets each saturation, and every zero point at some time.
            saturation = Saturation(number // len(kinds) % 3)
            zero_point = int(rng.choice([0, 1, -1, 127, -128, int(rng.integers(-128, 128))]))
            acc, multiplier, shift = kinds[number % len(kinds)](rng, size, width)
            o = requantize(
                tensor(acc), tensor(multiplier), tensor(shift), zero_point, FORMATS[saturation].width
            )
            cycles = size // LANES
            yield Block(
                stimulus={
                    "acc": lanes(acc),
                    "multiplier": lanes(multiplier),
                    "shift": lanes(shift),
                    "zero_point": flat(cycles, zero_point),
                    "saturation": flat(cycles, saturation),
                },
                expected={"o": lanes(o)},
            )

    return blocks


# ------------------------------------------------------------------------------------------------ leading one
def _leading_one(value: np.ndarray, width: int) -> Block:
    exponent = np.maximum(bit_length(tensor(value)).numpy() - 1, 0)
    shifted = np.left_shift(value.astype(np.uint64), (width - 1 - exponent).astype(np.uint64))
    return Block(
        stimulus={"i": lanes(value)},
        expected={"exponent": lanes(exponent), "o": lanes(shifted)},
    )


def leading_one_blocks(width: int, rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Numbers of every magnitude up to ``width`` bits, and zero."""
    for size in chunks(count):
        value = magnitudes(rng, size, min(width, 63))
        value[:: max(1, size // 3)] = 0
        yield _leading_one(value, width)


def all_leading_ones(width: int, rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Every number of ``width`` bits."""
    yield _leading_one(np.arange(1 << width), width)


# ------------------------------------------------------------------------------------------------ reciprocals
def reciprocal_blocks(rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Divisors of every magnitude under the numerators that the units have, and under any other."""
    for number, size in enumerate(chunks(count, 1 << 14)):
        low = (1 << 13) + 1
        numerator = (
            _NUMERATORS[number // 2 % 5] if number % 2 else int(rng.choice([low, rng.integers(low, 1 << 15)]))
        )
        yield _division(rng, numerator, magnitudes(rng, size, 32))


def all_divisors(rng: np.random.Generator, count: int) -> Iterator[Block]:
    """All normalized divisors under the ends of the numerators and those that units fix; all numbers of channels."""
    for numerator in ((1 << 13) + 1, 65280 >> 2, 1 << 14, (1 << 15) - 1):
        yield _division(rng, numerator, np.arange(1 << 16, 1 << 17))
    yield _division(rng, 1 << 14, np.arange(1, 4097))


def _division(rng: np.random.Generator, numerator: int, value: np.ndarray) -> Block:
    quotient, exponent = reciprocal(numerator, tensor(value))
    valid, tag = rng.integers(0, 2, len(value)), rng.integers(0, 2, len(value))
    return Block(
        stimulus={
            "valid": lanes(valid, COPIES),
            "tag": lanes(tag, COPIES),
            "numerator": np.full((len(value) // COPIES, COPIES), numerator),
            "number": lanes(value, COPIES),
        },
        expected={
            "o_valid": lanes(valid, COPIES),
            "o_tag": lanes(tag, COPIES),
            "quotient": lanes(quotient, COPIES),
            "exponent": lanes(exponent, COPIES),
        },
    )


def row_scale_blocks(config: SoftmaxConfig, rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Sums of every magnitude with every exponent, as the softmax of ``config`` gives them to the row scale."""
    offset = limits(config).row_exponent
    for number, size in enumerate(chunks(count, 1 << 14)):
        multiplier = _NUMERATORS[number // 2 % 5] if number % 2 else int(rng.integers(1 << 14, 1 << 15))
        shift = int(rng.integers(offset + 1, 47 - 31 + offset))  # so that every row's is in 1..47
        total = magnitudes(rng, size, 32)
        m, s = row_scale(tensor(total), multiplier, shift, config)
        yield _row_block(rng, total, multiplier, shift, m.numpy(), s.numpy())


def row_inverse_blocks(rng: np.random.Generator, count: int) -> Iterator[Block]:
    """``I = floor(65280 / S)`` for every sum of at most 4096 terms."""
    for start in range(256, 1 << 20, 1 << 16):
        total = np.arange(start, columns(min(start + (1 << 16), 1 << 20) - start) + start)
        multiplier, shift = int(rng.integers(1 << 14, 1 << 15)), int(rng.integers(1, 41))
        m, s = (
            np.full_like(total, multiplier),
            np.full_like(total, shift + SOFTMAXES[SoftmaxVariant.ITA].least),
        )
        yield _row_block(rng, total, multiplier, shift, m, s, o_factor=65280 // total)


def _row_block(
    rng: np.random.Generator,
    total: np.ndarray,
    multiplier: int,
    shift: int,
    m: np.ndarray,
    s: np.ndarray,
    **others: np.ndarray,
) -> Block:
    cycles = len(total) // COPIES
    valid, tag = rng.integers(0, 2, len(total)), rng.integers(0, 2, len(total))
    return Block(
        stimulus={
            "valid": lanes(valid, COPIES),
            "tag": lanes(tag, COPIES),
            "sum": lanes(total, COPIES),
            "multiplier": np.full((cycles, COPIES), multiplier),
            "shift": np.full((cycles, COPIES), shift),
        },
        expected={
            "o_valid": lanes(valid, COPIES),
            "o_tag": lanes(tag, COPIES),
            "o_multiplier": lanes(m, COPIES),
            "o_shift": lanes(s, COPIES),
            **{name: lanes(values, COPIES) for name, values in others.items()},
        },
    )


# ------------------------------------------------------------------------------------------------ root
def _root(variance: np.ndarray) -> Block:
    root, exponent = reciprocal_root(tensor(variance))
    return Block(
        stimulus={"variance": lanes(variance, COPIES)},
        expected={"root": lanes(root, COPIES), "half_exponent": lanes(exponent // 2, COPIES)},
    )


def root_blocks(rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Variances of every magnitude for the reciprocal root."""
    for size in chunks(count):
        yield _root(magnitudes(rng, size, 55))


def all_roots(rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Every normalized number at every exponent up to where nothing is cut off, and one with all ones below it."""
    yield _root(np.arange(1, (1 << 18) + 1))
    normalized = np.arange(1 << 16, 1 << 18)
    for places in (2, 20, 36):
        yield _root(normalized << places | ((1 << places) - 1))
        yield _root(normalized << places)


def cases() -> list[Case]:
    """Of this file."""
    return [*_requantize_cases(), *_leading_one_cases(), *_reciprocal_cases(), *_root_cases()]


def _requantize_cases() -> list[Case]:
    return [
        Case(
            unit="Requantize",
            variant=f"{width} bits",
            space="accumulators, multipliers, shifts 1..47, zero points, saturations",
            make=partial(Requantize, lanes=LANES, width=width),
            blocks=requantize_blocks(width),
        )
        for width in (32, 30)
    ]


def _leading_one_cases() -> list[Case]:
    return [
        Case(
            unit="LeadingOne",
            variant=f"{width} bits",
            space="all inputs" if width == 16 else "all magnitudes",
            make=copies(partial(LeadingOne, width=width), LANES),
            blocks=partial(all_leading_ones if width == 16 else leading_one_blocks, width),
            exhaustive=width == 16,
        )
        for width in (16, 32, 64)
    ]


def _divider_case(
    unit: type[wiring.Component], blocks: Blocks, space: str, *, variant: str = "", exhaustive: bool = True
) -> Case:
    """``COPIES`` of a unit of one lane."""
    return Case(
        unit=unit.__name__,
        variant=variant,
        space=space,
        make=copies(unit),
        blocks=blocks,
        exhaustive=exhaustive,
    )


def _reciprocal_cases() -> list[Case]:
    """Reciprocals of counts, and what softmax multiplies a row by: 1 over the sum of its numerators."""
    divisions = [
        _divider_case(
            Reciprocal, all_divisors, "all normalized divisors, 4 numerators; all numbers of channels"
        ),
        _divider_case(Reciprocal, reciprocal_blocks, "numbers of 32 bits, numerators", exhaustive=False),
    ]
    scales = [
        Case(
            unit="RowScale",
            variant=variant,
            space="sums of 32 bits, m_o, s_o",
            make=copies(partial(RowScale, offset=SOFTMAXES[variant].row_exponent)),
            blocks=partial(row_scale_blocks, SoftmaxConfig(variant=variant)),
        )
        for variant in (SoftmaxVariant.BASE2, SoftmaxVariant.ONLINE)
    ]
    inverse = _divider_case(RowInverse, row_inverse_blocks, "all sums 256..2**20 - 1", variant="ita")
    return [*divisions, *scales, inverse]


def _root_cases() -> list[Case]:
    whole = "all normalized numbers at 4 exponents, all below 2**18"
    return [
        _divider_case(ReciprocalRoot, all_roots, whole),
        _divider_case(ReciprocalRoot, root_blocks, "variances of 55 bits", exhaustive=False),
    ]
