"""Beats to words and back for every pair of sizes, with rows that end inside a beat, and stalls on both sides."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.support.hw.simulation import simulate, sink, source
from tests.support.hw.transfer_bench import small
from vitreous.hw.axi.gearbox import BeatsToWords, WordsToBeats
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Memory
from vitreous.spec.layout import word_bytes

SIZES = [(4, 1, 64), (4, 4, 64), (8, 4, 128), (4, 1, 256), (32, 8, 256)]
LOADED = (Memory.X, Memory.W, Memory.R, Memory.P)
STORED = (Memory.X, Memory.W, Memory.R)
ROWS = 3


Sizes = tuple[int, int, int]


def over(memories: Sequence[Memory]) -> Callable[[Any], Any]:
    """Every size, with words of each of ``memories``, without and with stalls."""

    def marked(test: Any) -> Any:
        test = pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: "x".join(map(str, sizes)))(test)
        test = pytest.mark.parametrize("memory", memories)(test)
        return pytest.mark.parametrize("stall", [0.0, 0.4])(test)

    return marked


def rows(sizes: Sizes, memory: Memory) -> tuple[AcceleratorConfig, random.Random, int, list[bytes]]:
    """Words of a row, 1 to 7, and ``ROWS`` rows of ``memory``, with the generator for what else is random."""
    lanes, _, data_bits = sizes
    config, rng = small(*sizes), random.Random(lanes + data_bits + memory)
    words = rng.randint(1, 7)
    return config, rng, words, [rng.randbytes(words * word_bytes(config, memory)) for _ in range(ROWS)]


@over(LOADED)
def test_rows_of_beats_become_words(sizes: Sizes, memory: Memory, stall: float) -> None:
    config, rng, words, data = rows(sizes, memory)
    beat, size = config.bus.beat_bytes, word_bytes(config, memory)
    dut = BeatsToWords(config, memories=LOADED)
    beats = [row[at : at + beat] for row in data for at in range(0, len(row), beat)]
    # What follows a row in its last beat is dropped, whatever it is.
    numbers = [int.from_bytes(part + rng.randbytes(beat - len(part)), "little") for part in beats]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.memory, memory)
        ctx.set(dut.words, words)
        got, cycles = await sink(ctx, dut.o, words * ROWS, rng, stall)
        mask = (1 << 8 * size) - 1
        assert b"".join((w.data & mask).to_bytes(size, "little") for w in got) == b"".join(data)
        assert [w.last for w in got] == ([0] * (words - 1) + [1]) * ROWS
        if not stall:
            assert cycles <= ROWS * max(words, -(-words * size // beat)) + 2

    simulate(dut, bench, source(dut.i, numbers, rng, stall))


@over(STORED)
def test_rows_of_words_become_beats_with_strobes(sizes: Sizes, memory: Memory, stall: float) -> None:
    config, rng, words, data = rows(sizes, memory)
    beat, size = config.bus.beat_bytes, word_bytes(config, memory)
    dut = WordsToBeats(config, memories=STORED)
    payloads = [
        {"data": int.from_bytes(row[at : at + size], "little"), "last": int(at + size == len(row))}
        for row in data
        for at in range(0, len(row), size)
    ]
    per_row = -(-words * size // beat)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.memory, memory)
        got, cycles = await sink(ctx, dut.o, ROWS * per_row, rng, stall)
        for number, expected in enumerate(data):
            filled = b""
            for index, part in enumerate(got[number * per_row : (number + 1) * per_row]):
                valid = min(beat, len(expected) - index * beat)
                assert part.strobe == (1 << valid) - 1
                filled += part.data.to_bytes(beat, "little")[:valid]
            assert filled == expected
        if not stall:
            assert cycles <= ROWS * max(words, per_row) + 2

    simulate(dut, bench, source(dut.i, payloads, rng, stall))
