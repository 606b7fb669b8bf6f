# amaranth: UnusedElaboratable=no
"""A queue with parity is a queue; flips of entries, pointers and level show."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import pytest
from amaranth.hdl import Signal
from amaranth.lib import fifo

from tests.support.hw.simulation import simulate
from vitreous.hw.protect.parity_queue import ParityQueue, queue

WIDTH = 11


@pytest.mark.parametrize("buffered", [False, True])
@pytest.mark.parametrize("depth", [2, 5, 8])
def test_it_is_a_queue(depth: int, buffered: bool) -> None:
    dut = ParityQueue(width=WIDTH, depth=depth, buffered=buffered)
    chance = random.Random(depth)
    model: deque[int] = deque()

    async def bench(ctx: Any) -> None:
        taken = 0
        for _ in range(600):
            word = chance.getrandbits(WIDTH)
            ctx.set(dut.w_data, word)
            ctx.set(dut.w_en, chance.random() < 0.6)
            ctx.set(dut.r_en, chance.random() < 0.5)
            assert not ctx.get(dut.upset)
            assert ctx.get(dut.level) == len(model)
            # Buffered, an entry takes a cycle to the head, where it leaves a place for another.
            assert ctx.get(dut.w_rdy) == (len(model) < depth) or buffered
            if ctx.get(dut.r_rdy):
                assert ctx.get(dut.r_data) == model[0]
                if ctx.get(dut.r_en):
                    model.popleft()
                    taken += 1
            if ctx.get(dut.w_rdy) and ctx.get(dut.w_en):
                model.append(word)
            await ctx.tick()
        assert taken > 150

    simulate(dut, bench)


class _Inside(fifo.SyncFIFO):
    """The queue inside, with its pointers in reach of a test."""

    def elaborate(self, platform: object) -> Any:
        m = super().elaborate(platform)
        self.storage = m.submodules.storage
        return m


def flipped(change: str, *, covered: int = WIDTH) -> bool:
    """Whether a queue of four with two entries shows the flip that ``change`` names, at once or at the next read."""
    dut = ParityQueue(width=WIDTH, depth=4, covered=covered)
    inner = _Inside(width=WIDTH + 3, depth=4)
    dut._kind = lambda **sizes: inner  # type: ignore[assignment,misc]
    seen = False

    async def bench(ctx: Any) -> None:
        nonlocal seen
        for word in (0x155, 0x0F3):
            ctx.set(dut.w_data, word)
            ctx.set(dut.w_en, 1)
            await ctx.tick()
        ctx.set(dut.w_en, 0)
        assert not ctx.get(dut.upset)
        entry = ctx.get(inner.storage.data[0])
        match change.split():
            case ["bit", number]:
                ctx.set(inner.storage.data[0], entry ^ 1 << int(number))
            case ["level", value]:
                ctx.set(inner.level, int(value))
            case ["swap"]:
                ctx.set(inner.storage.data[0], ctx.get(inner.storage.data[1]))
        await ctx.delay(1e-9)
        seen = bool(ctx.get(dut.upset))

    simulate(dut, bench)
    return seen


@pytest.mark.parametrize("bit", range(WIDTH + 3))
def test_a_flip_of_an_entry_shows_at_the_head(bit: int) -> None:
    assert flipped(f"bit {bit}")


@pytest.mark.parametrize("bit", range(WIDTH))
def test_bits_that_nobody_reads_do_not_count(bit: int) -> None:
    assert flipped(f"bit {bit}", covered=7) == (bit < 7)


@pytest.mark.parametrize("level", [0, 1, 3, 4])
def test_a_wrong_level_shows(level: int) -> None:
    assert flipped(f"level {level}")


def test_another_entry_at_the_head_shows() -> None:
    assert flipped("swap")


def test_without_parity_it_is_the_library_s() -> None:
    assert type(queue(width=4, depth=2, parity=False)) is fifo.SyncFIFO
    assert type(queue(width=4, depth=2, parity=False, buffered=True)) is fifo.SyncFIFOBuffered
    assert type(queue(width=4, depth=2, parity=True)) is ParityQueue


def test_parameters_are_checked() -> None:
    for wrong in ({"width": 0, "depth": 2}, {"width": 4, "depth": 0}, {"width": 4, "depth": 2, "covered": 0}):
        with pytest.raises(ValueError, match="must be a positive integer, not 0"):
            ParityQueue(**wrong)
    assert isinstance(ParityQueue(width=4, depth=2).upset, Signal)
