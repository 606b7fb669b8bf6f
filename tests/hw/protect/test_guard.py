# amaranth: UnusedElaboratable=no
"""A guarded register keeps what is written, and shows a flip of any of its bits or of its parity."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tests.support.hw.simulation import simulate
from vitreous.hw.protect.guard import Guard


class _Pair(data.StructLayout):
    def __init__(self) -> None:
        super().__init__({"low": 4, "high": 4})


class Walker(wiring.Component):
    """Counts, and swaps the halves of a pair; ``upset`` only where guarded."""

    def __init__(self, *, on: bool) -> None:
        self.on = on
        super().__init__(
            {"step": In(1), "clear": In(1), "count": Out(5), "pair": Out(_Pair(), init={"low": 7})}
            | ({"upset": Out(1)} if on else {})
        )

    def elaborate(self, platform: object) -> Any:
        m = Module()
        guard = Guard(m, on=self.on)
        count, next_count = guard.register(self.count)
        pair, next_pair = guard.register(self.pair)
        with m.If(self.step):
            m.d[guard.domain] += [
                next_count.eq(count + 1),
                next_pair.low.eq(pair.high),
                next_pair.high.eq(pair.low),
            ]
        if self.on:
            m.d.comb += self.upset.eq(guard.upset)
        return ResetInserter(self.clear)(m)


def test_it_counts_and_a_reset_makes_it_right_again() -> None:
    dut = Walker(on=True)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.step, 1)
        for cycle in range(40):
            assert ctx.get(dut.count) == cycle % 32
            assert ctx.get(dut.pair.low) == (7, 0)[cycle % 2]
            assert not ctx.get(dut.upset)
            ctx.set(dut.clear, cycle == 39)
            await ctx.tick()
        ctx.set(dut.clear, 0)
        ctx.set(dut.step, 0)
        assert (ctx.get(dut.count), ctx.get(dut.pair.low), ctx.get(dut.upset)) == (0, 7, 0)

    simulate(dut, bench)


def test_off_it_is_the_same_description_as_without() -> None:
    class Plain(Walker):
        def elaborate(self, platform: object) -> Any:
            m = Module()
            with m.If(self.step):
                m.d.sync += [
                    self.count.eq(self.count + 1),
                    self.pair.low.eq(self.pair.high),
                    self.pair.high.eq(self.pair.low),
                ]
            return ResetInserter(self.clear)(m)

    texts = [rtlil.convert(kind(on=False), name="top", emit_src=False) for kind in (Walker, Plain)]
    assert texts[0] == texts[1]


def test_a_register_without_a_reset_is_refused() -> None:
    guard = Guard(Module(), on=True)
    with pytest.raises(ValueError, match="Register bare has a parity bit, so it must have a reset"):
        guard.register(Signal(4, name="bare", reset_less=True))
    bare = Signal(4, name="bare", reset_less=True)
    assert Guard(Module(), on=False).register(bare) == (bare, bare)


class Flipped(wiring.Component):
    """A guarded register, and one next to it whose bit ``which`` is turned over when ``flip`` is high."""

    def __init__(self, which: int, *, renewable: bool) -> None:
        self.which = which
        self.renewable = renewable
        super().__init__({"flip": In(1), "value": In(6), "load": In(1), "upset": Out(1)})

    def elaborate(self, platform: object) -> Any:
        m = Module()
        guard = Guard(m, on=True)
        kept, following = guard.register(
            Signal(6, name="kept"), renewed=self.load if self.renewable else None
        )
        with m.If(self.load):
            m.d.comb += following.eq(self.value)
        # After the guard's own assignment: the last one wins, and the parity does not know of it.
        with m.If(self.flip):
            m.d.sync += kept.eq(following ^ 1 << self.which)
        m.d.comb += self.upset.eq(guard.upset)
        return m


@pytest.mark.parametrize("renewable", [False, True])
@pytest.mark.parametrize("which", range(6))
def test_a_flip_shows_at_once_and_stays(which: int, renewable: bool) -> None:
    dut = Flipped(which, renewable=renewable)
    after = not renewable

    async def bench(ctx: Any) -> None:
        ctx.set(dut.value, 0b101101)
        for flip, load, upset in ((0, 1, 0), (1, 0, 1), (0, 0, 1), (0, 0, 1), (0, 1, after), (0, 0, after)):
            ctx.set(dut.flip, flip)
            ctx.set(dut.load, load)
            await ctx.tick()
            assert ctx.get(dut.upset) == upset

    simulate(dut, bench)
