"""Softmax at the readout: rows of scores of every kind and length through the recurrences of all variants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from campaigns.vectors.case import CHUNK, LANES, Case, checked, column_times, tensor
from vitreous.golden.softmax.softmax import statistics
from vitreous.hw.softmax.recurrence import RowConstants
from vitreous.hw.softmax.softmax import recurrence
from vitreous.sim.bench.vectors import Block
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig, SoftmaxConfig
from vitreous.spec.numbers import SCORE
from vitreous.spec.softmax import limits
from vitreous.spec.variants import SoftmaxVariant, in_hardware

_LOW, _HIGH = SCORE.minimum, SCORE.maximum
_LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 16, 33, 64, 129, 197, 254, 255, 256, 257, 1000, 2047, 4095, 4096)
_LOG2_E = 1.4426950408889634
Maker = Callable[[np.random.Generator, tuple[int, int], int], np.ndarray]


def _base(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.integers(_LOW, _HIGH + 1, (rows, 1))


def _flat(rng: np.random.Generator, shape: tuple[int, int], bits: int) -> np.ndarray:
    """Equal scores, or nearly."""
    return _base(rng, shape[0]) + rng.integers(-2, 3, shape) * rng.integers(0, 2, (shape[0], 1))


def _normal(rng: np.random.Generator, shape: tuple[int, int], bits: int) -> np.ndarray:
    """Logits of a standard deviation of 0.5 to 4."""
    scale = rng.uniform(0.5, 4, (shape[0], 1)) * _LOG2_E * (1 << bits)
    return (
        np.rint(rng.standard_normal(shape, np.float32) * scale).astype(np.int64) + _base(rng, shape[0]) // 2
    )


def _uniform(rng: np.random.Generator, shape: tuple[int, int], bits: int) -> np.ndarray:
    return rng.integers(_LOW, _HIGH + 1, shape)


def _ends(rng: np.random.Generator, shape: tuple[int, int], bits: int) -> np.ndarray:
    """The two ends of the range, and what is beside them."""
    ends = np.array([_LOW, _LOW, _LOW + 1, _HIGH - 1, _HIGH])
    count = rng.integers(1, len(ends) + 1, (shape[0], 1))
    return ends[(rng.integers(0, 1 << 20, shape) % count + rng.integers(0, 5, (shape[0], 1))) % len(ends)]


def _climb(rng: np.random.Generator, shape: tuple[int, int], bits: int) -> np.ndarray:
    """A slow rise from the bottom: as many new maxima as a row can have."""
    step = np.maximum(1, (_HIGH - _LOW) // shape[1])
    return _LOW + np.cumsum(rng.integers(0, 2 * step + 1, shape), axis=1)


def _leaps(rng: np.random.Generator, shape: tuple[int, int], bits: int) -> np.ndarray:
    """Rises of 0 to 40 octaves, which shift all of a sum away."""
    return _LOW + np.cumsum(rng.integers(0, 40 << bits, shape) * (rng.random(shape) < 0.2), axis=1)


def _fall(rng: np.random.Generator, shape: tuple[int, int], bits: int) -> np.ndarray:
    return -1 - _climb(rng, shape, bits)


def _peaks(rng: np.random.Generator, shape: tuple[int, int], bits: int) -> np.ndarray:
    """A floor with a few keys far above it."""
    return (
        _base(rng, shape[0]) // 2
        + rng.integers(0, 1 << bits, shape)
        + (rng.random(shape) < 0.02) * (rng.integers(0, _HIGH, shape))
    )


_KINDS: tuple[Maker, ...] = (_flat, _normal, _normal, _uniform, _ends, _climb, _leaps, _fall, _peaks)


def rows_of_scores(rng: np.random.Generator, rows: int, keys: int, bits: int) -> np.ndarray:
    """int64 [rows, keys] of the format ``SCORE``, each row of one kind or another."""
    scores = np.empty((rows, keys), np.int64)
    kinds = rng.integers(0, len(_KINDS), rows)
    for kind in np.unique(kinds):
        chosen = kinds == kind
        scores[chosen] = _KINDS[kind](rng, (int(chosen.sum()), keys), bits)
    return np.clip(scores, _LOW, _HIGH)


def _lengths(rng: np.random.Generator, limit: int) -> Iterator[int]:
    """The longest and the shortest row first, so that the smallest share has them."""
    yield from (limit, 1)
    known = [keys for keys in _LENGTHS if keys <= limit]
    while True:
        yield int(rng.choice(known)) if rng.integers(0, 2) else int(rng.integers(1, limit + 1))


def recurrence_blocks(config: SoftmaxConfig, rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Each block has rows of one length. In idle cycles, which carry junk, only ``o_maximum`` and ``o_last`` count."""
    done = 0
    for keys in _lengths(rng, limits(config).max_keys):
        if done >= count:
            return
        rows = max(1, min(CHUNK, count // 4) // (keys * LANES))
        done += rows * keys * LANES
        yield _row_block(config, rng, rows, keys)


def _row_block(config: SoftmaxConfig, rng: np.random.Generator, rows: int, keys: int) -> Block:
    again = keys * (limits(config).passes - 1)  # cycles of the passes behind the first one
    scores = rows_of_scores(rng, rows * LANES, keys, config.fraction_bits)
    found = statistics(tensor(scores), config)
    times, last = column_times(rng, rows, keys, LANES + again)
    cycles = int(last[-1]) + 1 + again
    at = times.ravel()

    def spread(values: np.ndarray) -> np.ndarray:
        """[rows * LANES, keys] -> [rows * keys, LANES], in the order of ``at``."""
        return values.reshape(rows, LANES, keys).transpose(0, 2, 1).reshape(-1, LANES)

    stimulus = {
        "valid": np.zeros(cycles, np.int64),
        "first": rng.integers(0, 2, cycles),
        "last": rng.integers(0, 2, cycles),
        "score": rng.integers(_LOW, _HIGH + 1, (cycles, LANES)),
        "constants.slot": rng.integers(0, 2, cycles),
        "constants.multiplier": rng.integers(0, 1 << 15, cycles),
        "constants.shift": rng.integers(0, 1 << 6, cycles),
        "constants.first_block": rng.integers(0, 2, cycles),
        "constants.last_block": rng.integers(0, 2, cycles),
    }
    stimulus["valid"][at] = 1
    stimulus["first"][at] = 0
    stimulus["first"][times[:, 0]] = 1
    stimulus["last"][at] = 0
    stimulus["last"][last] = 1
    stimulus["score"][at] = spread(scores)
    code, total, maximum = (np.zeros((cycles, LANES), np.int64) for _ in range(3))
    final, known, slot = (np.zeros(cycles, np.int64) for _ in range(3))
    code[at] = spread(found.codes.numpy())
    known[last] = 1
    slot[last] = stimulus["constants.slot"][last]
    maximum[last] = found.maximum.numpy().reshape(rows, LANES)
    over = last + again
    final[over] = 1
    total[over] = found.total.numpy().reshape(rows, LANES)
    constants = {}
    for name in RowConstants().members:
        constants[f"o_constants.{name}"] = np.zeros(cycles, np.int64)
        constants[f"o_constants.{name}"][over] = stimulus[f"constants.{name}"][last]
    return Block(
        stimulus=stimulus,
        expected={
            "code": code,
            "o_maximum": known,
            "o_slot": slot,
            "maximum": maximum,
            "o_last": final,
            "sum": total,
            **constants,
        },
        check={
            "code": stimulus["valid"].astype(bool),
            **dict.fromkeys(("o_slot", "maximum"), known.astype(bool)),
            **dict.fromkeys(("sum", *constants), final.astype(bool)),
        },
    )


def cases() -> list[Case]:
    """Of this file."""
    found = []
    for variant in in_hardware(SoftmaxVariant):
        for bits in (8, 6, 9):
            softmax = SoftmaxConfig(variant=variant, fraction_bits=bits)
            unit = recurrence(softmax)
            config = AcceleratorConfig(
                array=ArrayConfig(lanes=LANES, depth=1),
                memory=MemoryConfig(score_keys=4096),
                softmax=softmax,
            )
            latency = {
                "code": unit.CODE_LATENCY,
                **dict.fromkeys(("o_maximum", "o_slot", "maximum"), unit.MAXIMUM_LATENCY),
                **dict.fromkeys(("o_last", "sum"), unit.LATENCY),
                **{f"o_constants.{name}": unit.LATENCY for name in RowConstants().members},
            }
            found.append(
                Case(
                    unit="SoftmaxRecurrence",
                    variant=f"{variant}, F = {bits}",
                    space=f"scores in rows of 1 to {limits(softmax).max_keys} keys",
                    make=partial(unit, config),
                    blocks=partial(recurrence_blocks, softmax),
                    latency=latency,
                    counted=checked("code"),
                    share=1.0 if bits == 8 else 0.25,
                )
            )
    return found
