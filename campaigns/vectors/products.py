"""The array in its three forms (logic, DSP accumulators, two products a DSP block), and the pool's adder tree."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from amaranth.utils import exact_log2

from campaigns.vectors.case import CHUNK, LANES, Case, checked, column_times, tensor
from vitreous.golden.arith.integers import product
from vitreous.hw.matrix.array import Array
from vitreous.hw.vector.pool import PoolSum
from vitreous.sim.bench.vectors import Block
from vitreous.spec.config import AcceleratorConfig, ArrayConfig
from vitreous.spec.limits import POOL_TOKENS

_WORDS = (1, 2, 3, 4, 5, 6, 8, 16, 48, 49, 64, 192)


def _operands(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Signed bytes: anything, the two ends, one end only, mostly zero."""
    kind = rng.integers(0, 4)
    if kind == 0:
        return rng.integers(-128, 128, shape)
    if kind == 1:
        return rng.choice(np.array([-128, 127]), shape)
    if kind == 2:
        return np.full(shape, rng.choice(np.array([-128, 127, -1])))
    return rng.integers(-128, 128, shape) * (rng.random(shape) < 0.1)


def array_blocks(config: AcceleratorConfig, rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Tiles of one length in a block; one block has the longest tile that W can hold."""
    n, done, number = config.array.lanes, 0, 0
    while done < count:
        words = config.w_depth if number == 3 else int(rng.choice(_WORDS))
        tiles = 1 if number == 3 else max(1, min(CHUNK, count // 4) // (n * n * max(1, words // n)))
        yield _tiles(config, rng, tiles, words)
        done, number = done + tiles * n * n, number + 1


def _tiles(config: AcceleratorConfig, rng: np.random.Generator, tiles: int, words: int) -> Block:
    n, v = config.array.lanes, config.array.depth
    a, b = (_operands(rng, (tiles, words, n, v)) for _ in range(2))
    flat = [tensor(x.transpose(0, 2, 1, 3).reshape(tiles, n, words * v)) for x in (a, b)]
    sums = product(*flat).numpy().astype(np.int64)  # [tile, i, j]
    times, last = column_times(rng, tiles, words, n)
    cycles = int(last[-1]) + 1 + Array.SHADOW_LATENCY + n
    at = times.ravel()
    stimulus = {name: rng.integers(0, 2, cycles) for name in ("first", "last")}
    stimulus |= {name: rng.integers(0, 256, (cycles, n * v)) for name in ("a", "b")}
    stimulus |= {"valid": np.zeros(cycles, np.int64), "select": rng.integers(0, n, cycles)}
    stimulus["valid"][at] = 1
    stimulus["first"][at], stimulus["last"][at] = 0, 0
    stimulus["first"][times[:, 0]], stimulus["last"][last] = 1, 1
    stimulus["a"][at], stimulus["b"][at] = (x.reshape(-1, n * v) & 0xFF for x in (a, b))
    read_out = (last[:, None] + Array.SHADOW_LATENCY + np.arange(n)).ravel()
    stimulus["select"][read_out] = np.tile(np.arange(n), tiles)
    column, looked = np.zeros((cycles, n), np.int64), np.zeros(cycles, bool)
    column[read_out], looked[read_out] = sums.transpose(0, 2, 1).reshape(-1, n), True
    return Block(stimulus=stimulus, expected={"column": column}, check={"column": looked})


def pool_blocks(rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Channels of one number of columns in a block; of the first and the last column only some lanes count."""
    done = 0
    while done < count:
        size = POOL_TOKENS // LANES if not done else int(rng.choice([1, 2, 3, 7, 8, 25, 64, 512]))
        channels = max(1, min(CHUNK, count // 4) // (size * LANES))
        done += channels * size * LANES
        values = rng.choice(np.array([-32768, 32767])) if rng.random() < 0.1 else 0
        x = np.full((channels, size, LANES), values) if values else _values(rng, (channels, size, LANES))
        used = rng.integers(1, LANES + 1, channels)  # lanes of the last column
        skipped = rng.integers(0, LANES, channels)  # lanes of the first column
        kept = x.copy()
        kept[:, 0] *= np.arange(LANES) >= skipped[:, None]
        kept[:, -1] *= np.arange(LANES) < used[:, None]
        times, last = column_times(rng, channels, size, 1)
        cycles = int(last[-1]) + 1
        stimulus = {name: np.zeros(cycles, np.int64) for name in ("valid", "first", "last")}
        stimulus |= {name: rng.integers(0, 1 << LANES, cycles) for name in ("begin", "mask")}
        stimulus["x"] = _values(rng, (cycles, LANES))
        stimulus["valid"][times.ravel()] = 1
        stimulus["first"][times[:, 0]], stimulus["last"][last] = 1, 1
        stimulus["mask"][last] = (1 << used) - 1
        stimulus["begin"][times[:, 0]] = (1 << LANES) - (1 << skipped)
        stimulus["x"][times.ravel()] = x.reshape(-1, LANES)
        total = np.zeros(cycles, np.int64)
        total[last] = tensor(kept).sum(dim=(1, 2)).numpy()
        yield Block(
            stimulus=stimulus,
            expected={"o_last": stimulus["last"], "sum": total},
            check={"sum": stimulus["last"].astype(bool)},
        )


def _values(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-32768, 32768, shape)


def cases() -> list[Case]:
    """Of this file."""
    found = [
        Case(
            unit="PoolSum",
            variant="",
            space="values of 16 bits, 1 to 4096 in a sum",
            make=partial(PoolSum, lanes=LANES),
            blocks=pool_blocks,
            latency=2 + exact_log2(LANES),
            counted=lambda block: int(block.stimulus["valid"].sum()) * LANES,
        )
    ]
    for multiplier, depth in (("plain", 4), ("accumulate", 4), ("packed", 4), ("packed", 8)):
        config = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=depth, multiplier=multiplier))
        found.append(
            Case(
                unit="Array",
                variant=f"{multiplier}, 4x4x{depth}",
                space="dot products of signed bytes, tiles of 1 word to all of W",
                make=partial(Array, config),
                blocks=partial(array_blocks, config),
                latency=Array.COLUMN_LATENCY,
                counted=checked("column"),
                share=1.0 if depth == 4 else 0.25,
            )
        )
    return found
