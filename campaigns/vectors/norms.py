"""Layer norm and RMS norm, one pass and two: tiles of columns through all passes, as the vector unit drives them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from campaigns.vectors.case import CHUNK, LANES, Case, checked, tensor
from vitreous.golden.arith.integers import normalize_multiplier
from vitreous.golden.arith.rsqrt import reciprocal_root
from vitreous.golden.norm import one_pass as norm_one_pass
from vitreous.golden.norm import two_pass as norm_two_pass
from vitreous.hw.norm.one_pass import OnePassNorm
from vitreous.hw.norm.two_pass import TwoPassNorm
from vitreous.sim.bench.vectors import Block
from vitreous.spec.numbers import SHIFT_MAX

_CHANNELS = (1, 2, 3, 4, 7, 8, 48, 64, 192, 255, 256, 257, 384, 768, 1024, 4095, 4096)
_LIMIT = 1 << 15
Unit = type[OnePassNorm] | type[TwoPassNorm]
_CENTRE = {OnePassNorm: norm_one_pass.centre, TwoPassNorm: norm_two_pass.centre}


def rows_of_values(rng: np.random.Generator, rows: int, channels: int) -> np.ndarray:
    """int16 [rows, channels]: normal about any mean, uniform, at the ends of the range, constant, nearly constant."""
    shape = (rows, channels)
    mean = rng.integers(-_LIMIT, _LIMIT, (rows, 1))
    spread = np.exp2(rng.uniform(0, 14, (rows, 1)))
    normal = np.rint(rng.standard_normal(shape, np.float32) * spread).astype(np.int64)
    kinds = rng.integers(0, 6, (rows, 1))
    values = np.select(
        [kinds == 0, kinds == 1, kinds == 2, kinds == 3],
        [
            normal + mean,
            rng.integers(-_LIMIT, _LIMIT, shape),
            np.where(normal < 0, -_LIMIT, _LIMIT - 1),
            mean,
        ],
        default=np.where(kinds == 4, normal, mean + (normal > 2 * spread)),
    )
    return np.clip(values, -_LIMIT, _LIMIT - 1)


def _channel_counts(rng: np.random.Generator) -> Iterator[int]:
    """Of one instruction after another: the most, one, then usual and any."""
    yield from (4096, 1)
    while True:
        yield int(rng.choice(_CHANNELS)) if rng.integers(0, 2) else int(rng.integers(1, 1025))


def instructions(rng: np.random.Generator, count: int) -> Iterator[tuple[int, int, bool]]:
    """Tiles, channels, and whether there is a mean, of instructions that have ``count`` values together; lazily, so
    that ``rng`` may draw an instruction's values before the next one's channels."""
    done = 0
    for number, channels in enumerate(_channel_counts(rng)):
        if done >= count:
            return
        tiles = max(1, min(CHUNK, count // 4) // (channels * LANES))
        done += tiles * channels * LANES
        yield tiles, channels, number % 4 != 3


def norm_blocks(unit: Unit, rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Each block is one instruction with its own number of channels and constants."""
    for tiles, channels, centred in instructions(rng, count):
        yield _instruction(unit, rng, tiles, channels, centred=centred)


def _schedule(
    unit: Unit, tiles: int, channels: int, centred: bool
) -> tuple[dict[str, np.ndarray], list[int], int]:
    """First cycles of each pass of each tile, the cycles of ``done``, and all cycles; ``begin`` is in cycle 0."""
    starts: dict[str, list[int]] = {"mean": [], "statistics": [], "normalize": []}
    done, cycle = [], 1
    lanes = LANES - 1  # one after another, the first one in the cycle that the latency leads to
    for _ in range(tiles):
        if unit.MEAN and centred:
            starts["mean"].append(cycle)
            last = cycle + channels - 1
            done.append(max(last + unit.MEAN_LATENCY, unit.MEAN_AFTER_BEGIN) + lanes)
            cycle = done[-1] + 1
        starts["statistics"].append(cycle)
        done.append(cycle + channels - 1 + unit.SCALE_LATENCY + lanes)
        starts["normalize"].append(done[-1] + 1)
        cycle = done[-1] + 1 + channels
    found = {name: np.array(cycles, np.int64) for name, cycles in starts.items() if cycles}
    return found, done, cycle + unit.LATENCY


def _instruction(unit: Unit, rng: np.random.Generator, tiles: int, channels: int, *, centred: bool) -> Block:
    epsilon = int(rng.choice([1, (1 << 32) - 1, int(np.exp2(rng.uniform(0, 32)))]))
    multiplier, shift = int(rng.integers(1 << 14, 1 << 15)), int(rng.integers(1, 48))
    values = rows_of_values(rng, tiles * LANES, channels)
    u, variance = _CENTRE[unit](tensor(values), epsilon, centred)
    root, e = reciprocal_root(variance)
    m, s = normalize_multiplier((root * multiplier) >> 15, shift + e // 2 + 1)
    s = s.clamp(max=SHIFT_MAX + 1)  # golden refuses it; the hardware keeps every value at the zero point
    starts, done, cycles = _schedule(unit, tiles, channels, centred)
    constants = {
        "channels": channels,
        "centred": int(centred),
        "epsilon": epsilon,
        "multiplier": multiplier,
        "shift": shift,
    }
    stimulus = {f"constants.{name}": np.full(cycles, value) for name, value in constants.items()}
    stimulus |= {
        "begin": (np.arange(cycles) == 0).astype(np.int64),
        "first": rng.integers(0, 2, cycles),
        "last": rng.integers(0, 2, cycles),
        "x": rng.integers(-_LIMIT, _LIMIT, (cycles, LANES)),
    }
    passes = ("mean", "statistics", "normalize", "pool") if unit.MEAN else ("statistics", "normalize", "pool")
    stimulus |= {f"read.{name}": np.zeros(cycles, np.int64) for name in passes}

    def spread(rows: np.ndarray) -> np.ndarray:
        """[tiles * LANES, channels] -> [tiles * channels, LANES]."""
        return rows.reshape(tiles, LANES, channels).transpose(0, 2, 1).reshape(-1, LANES)

    columns = spread(values)
    for name, first in starts.items():
        at = (first[:, None] + np.arange(channels)).ravel()
        stimulus[f"read.{name}"][at] = 1
        stimulus["first"][at], stimulus["last"][at] = 0, 0
        stimulus["first"][first], stimulus["last"][first + channels - 1] = 1, 1
        stimulus["x"][at] = columns
    expected = {name: np.zeros((cycles, LANES), np.int64) for name in ("u", "row_multiplier", "row_shift")}
    expected["done"] = np.zeros(cycles, np.int64)
    expected["done"][done] = 1
    expected["u"][at] = spread(u.numpy())
    for name, result in (("row_multiplier", m), ("row_shift", s)):
        expected[name][at] = np.repeat(result.numpy().reshape(tiles, LANES), channels, axis=0)
    normalizes = stimulus["read.normalize"].astype(bool)
    check = dict.fromkeys(("u", "row_multiplier", "row_shift"), normalizes)
    return Block(stimulus=stimulus, expected=expected, check=check)


def cases() -> list[Case]:
    """Of this file."""
    return [
        Case(
            unit="Norm",
            variant=variant,
            space="values of 16 bits in rows of 1 to 4096 channels, epsilon, m_o, s_o, with and without mean",
            make=partial(unit, lanes=LANES),
            blocks=partial(norm_blocks, unit),
            counted=checked("u"),
            latency={"u": unit.LATENCY, "done": 0, "row_multiplier": 0, "row_shift": 0},
        )
        for variant, unit in (("one_pass", OnePassNorm), ("two_pass", TwoPassNorm))
    ]
