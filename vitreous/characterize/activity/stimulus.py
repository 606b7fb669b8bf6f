"""Words for the inputs of each unit, from products in the machine's order, and what must come out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.characterize.activity.operands import Product
from vitreous.golden.activation.activation import activation as golden_activation
from vitreous.golden.ops.context import planes
from vitreous.golden.softmax.softmax import Statistics, probabilities, statistics
from vitreous.hw.activation.activation import SmoothActivation
from vitreous.hw.matrix.array import Array
from vitreous.hw.softmax.prologue import ProbabilityPrologue
from vitreous.hw.softmax.rowscale import FACTOR_BITS
from vitreous.hw.softmax.softmax import VARIANTS, SoftmaxStatistics, recurrence
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.numbers import ACCUMULATOR_BITS, ACTIVATION_INPUT, MULTIPLIER_BITS, SCORE
from vitreous.spec.softmax import CODE

Words = NDArray[np.uint8]
Values = NDArray[np.int64]


@dataclass(frozen=True)
class Stimulus:
    """inputs : uint8 [cycles, bytes] by port. events : what the counter of the unit would say. ``output`` must be
    ``expected``, int64 [n, values] of ``bits`` bits, in the cycles ``at`` [n].
    """

    inputs: Mapping[str, Words]
    events: int
    output: str
    bits: int
    at: Values
    expected: Values

    def wrong(self, results: Words) -> int:
        """Values of the output, uint8 [cycles, bytes], that are not the expected ones."""
        found = unpack(results[self.at], self.bits, self.expected.shape[1])
        return int((found != self.expected & ((1 << self.bits) - 1)).sum())


Maker = Callable[[Sequence[Product], AcceleratorConfig], Stimulus]


def pack(values: NDArray[np.int64], bits: int) -> Words:
    """Integers [cycles, n], the first one lowest -> uint8 [cycles, bytes]."""
    shifts = np.arange(bits)
    single = (values.astype(np.int64)[:, :, None] >> shifts & 1).astype(np.uint8)
    return np.packbits(single.reshape(len(values), -1), axis=1, bitorder="little")


def unpack(words: Words, bits: int, count: int) -> Values:
    """The inverse of ``pack``, as nonnegative integers."""
    single = np.unpackbits(words, axis=1, bitorder="little")[:, : bits * count].reshape(
        len(words), count, bits
    )
    return np.asarray((single.astype(np.int64) << np.arange(bits)).sum(axis=2))


def _flag(values: NDArray[np.bool_] | Values) -> Words:
    return values.astype(np.uint8)[:, None]


def _firsts(valid: NDArray[np.bool_], last: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What comes at the beginning, after a last one or after a pause is a first one."""
    return np.asarray(valid & np.concatenate([[True], last[:-1] | ~valid[:-1]]))


def _then_hold(words: Words, cycles: int) -> Words:
    """``cycles`` more of the last word."""
    return np.concatenate([words, np.repeat(words[-1:], cycles, axis=0)])


def _then_idle(flags: NDArray[np.bool_], cycles: int) -> NDArray[np.bool_]:
    return np.concatenate([flags, np.zeros(cycles, bool)])


def _tiles(p: Product) -> tuple[Words, Words, NDArray[np.bool_], NDArray[np.bool_]]:
    """Of one product, all its tiles: words of A and of B, uint8 [cycles, N*V], and in which cycles there is one and the
    last one of a tile. A tile of less than N words holds the last one for the rest of N cycles.
    """
    rows, count, words, lanes, depth = p.a.shape
    cycles = np.arange(max(words, lanes))
    k = np.minimum(cycles, words - 1)
    shape = (rows, len(p.b), count, len(k), lanes * depth)
    a = np.broadcast_to(p.a[:, None, :, k].reshape(rows, 1, count, len(k), -1), shape)
    b = np.broadcast_to(p.b[:, None, k].reshape(1, len(p.b), 1, len(k), -1), shape)
    tiles = rows * len(p.b) * count
    valid, last = np.tile(cycles < words, tiles), np.tile(cycles == words - 1, tiles)
    return a.reshape(-1, shape[-1]).view(np.uint8), b.reshape(-1, shape[-1]).view(np.uint8), valid, last


def _columns(p: Product) -> Values:
    """What is read out: int64 [tiles * N, N], a row for each column of a tile."""
    sums = np.einsum("rpkiv,ckjv->rcpji", p.a.astype(np.float64), p.b.astype(np.float64), optimize=True)
    return np.asarray(sums.astype(np.int64).reshape(-1, p.a.shape[3]))  # exact: below 2**53


def array(products: Sequence[Product], config: AcceleratorConfig) -> Stimulus:
    """Tiles back to back; ``select`` walks over the columns of the tile in the shadow and then stays."""
    lanes = config.array.lanes
    a, b, valid, last = (np.concatenate(parts) for parts in zip(*map(_tiles, products), strict=True))
    tail = Array.SHADOW_LATENCY + lanes + Array.COLUMN_LATENCY + 1
    valids, lasts = _then_idle(valid, tail), _then_idle(last, tail)
    at = (np.flatnonzero(lasts)[:, None] + Array.SHADOW_LATENCY + np.arange(lanes)).ravel()
    select = np.zeros(len(valids), np.int64)
    select[at] = np.tile(np.arange(lanes), int(lasts.sum()))
    read_out = np.zeros(len(valids), np.int64)
    read_out[at] = at
    inputs = {
        "valid": _flag(valids),
        "first": _flag(_firsts(valids, lasts)),
        "last": _flag(lasts),
        "a": _then_hold(a, tail),
        "b": _then_hold(b, tail),
        "select": _flag(select[np.maximum.accumulate(read_out)]),
    }
    return Stimulus(
        inputs=inputs,
        events=int(valids.sum()),
        output="column",
        bits=ACCUMULATOR_BITS,
        at=at + Array.COLUMN_LATENCY,
        expected=np.concatenate([_columns(p) for p in products]),
    )


def array_row(products: Sequence[Product], config: AcceleratorConfig) -> Stimulus:
    """The same words for the elements of lane 0 of A alone."""
    whole = array(products, config)
    return dataclasses.replace(whole, expected=whole.expected[:, :1])


def activation(products: Sequence[Product], config: AcceleratorConfig) -> Stimulus:
    """Columns of N values, without a gap."""
    lanes, latency = config.array.lanes, SmoothActivation.latency(config.activation)
    x = np.concatenate(
        [
            p.activation.reshape(-1, lanes, p.columns).transpose(0, 2, 1).reshape(-1, lanes)
            for p in products
            if p.activation is not None
        ]
    )
    y = golden_activation(torch.from_numpy(x), config.activation).numpy().astype(np.int64)
    return Stimulus(
        inputs={
            "enable": _flag(np.ones(len(x) + latency, bool)),
            "x": _then_hold(pack(x.astype(np.int64), ACTIVATION_INPUT.width), latency),
        },
        events=len(x),
        output="y",
        bits=ACTIVATION_INPUT.width + config.activation.fraction_bits - ACTIVATION_INPUT.fraction,
        at=np.arange(len(x)) + latency,
        expected=y,
    )


def row_statistics(products: Sequence[Product], config: AcceleratorConfig) -> Stimulus:
    """Rows of scores back to back, at least N cycles each, in alternating slots; the slot read is the other one."""
    lanes = config.array.lanes
    scores, valid, last, row, expected = [], [], [], [], []
    for number, p in enumerate(p for p in products if p.scores is not None):
        assert p.scores is not None
        span = max(p.columns, lanes)
        scores.append(_then_hold(pack(p.scores.T.astype(np.int64), SCORE.width), span - p.columns))
        valid.append(np.arange(span) < p.columns)
        last.append(np.arange(span) == p.columns - 1)
        constants = number % 2 | p.constants[0] << 1 | p.constants[1] << 1 + MULTIPLIER_BITS
        row.append(np.full(span, constants))
        expected.append(statistics(torch.from_numpy(p.scores), config.softmax).codes.numpy().T)
    tail = SoftmaxStatistics.scale_latency(config) + lanes + 2
    valids, lasts = _then_idle(np.concatenate(valid), tail), _then_idle(np.concatenate(last), tail)
    rows = np.concatenate([np.concatenate(row), np.full(tail, row[-1][-1])])
    return Stimulus(
        inputs={
            "valid": _flag(valids),
            "first": _flag(_firsts(valids, lasts)),
            "last": _flag(lasts),
            "score": _then_hold(np.concatenate(scores), tail),
            "constants": pack(rows[:, None], 22),
            "level_slot": _flag(~rows & 1),
            "scale_slot": _flag(~rows & 1),
        },
        events=int(valids.sum()),
        output="code",
        bits=CODE.width,
        at=np.flatnonzero(valids) + SoftmaxStatistics.LATENCY,
        expected=np.concatenate(expected),
    )


def probability(products: Sequence[Product], config: AcceleratorConfig) -> Stimulus:
    """Words of codes for every column tile of P.V, of two byte planes first all high ones."""
    latency = ProbabilityPrologue.latency(VARIANTS[config.softmax.variant].levels)
    first, codes, maximum, plane, expected = [], [], [], [], []
    for p in products:
        if p.codes is None or p.maximum is None:
            continue
        words, lanes, depth = p.codes.shape
        count = p.a.shape[1]
        times = len(p.b) * count
        first.append(np.arange(words * times) % words == 0)
        codes.append(np.tile(pack(p.codes.reshape(words, -1), CODE.width), (times, 1)))
        maximum.append(np.broadcast_to(p.maximum, (words * times, lanes)))
        plane.append(np.tile(np.repeat([1, 2] if count == 2 else [0], words), len(p.b)))
        keys = torch.from_numpy(p.codes).permute(1, 0, 2).flatten(1)
        state = Statistics(keys, torch.from_numpy(p.maximum), torch.from_numpy(np.ones_like(p.maximum)))
        found = probabilities(state, config.softmax, wide=count == 2)
        parts = [
            q.reshape(lanes, words, depth).transpose(0, 1).flatten(1)
            for q in (planes(found) if count == 2 else (found,))
        ]
        expected.append(np.tile(torch.cat(parts).numpy().astype(np.int64), (len(p.b), 1)))
    bits = recurrence(config.softmax).maximum_bits(config.softmax)
    events = sum(map(len, codes))
    zeros = np.zeros((events, config.array.lanes), np.int64)
    inputs = {
        "first": _flag(np.concatenate(first)),
        "code": np.concatenate(codes),
        "maximum": pack(np.concatenate(maximum), bits),
        "factor": pack(zeros, FACTOR_BITS),
        "plane": pack(np.concatenate(plane)[:, None], 2),
    }
    return Stimulus(
        inputs={name: _then_hold(words, latency + 1) for name, words in inputs.items()},
        events=events,
        output="o",
        bits=8,
        at=np.arange(events) + latency,
        expected=np.concatenate(expected),
    )
