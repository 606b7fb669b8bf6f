"""The processing element against numpy: tiles back to back and with gaps, extreme values, the stated latency."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tests.support.hw.columns import pack, run_pipeline, unpack
from vitreous.hw.matrix.processing_element import Flags, ProcessingElement


class Element(wiring.Component):  # type: ignore[misc]  # Amaranth has no types
    """One processing element with ports."""

    def __init__(self, *, depth: int) -> None:
        self._element = ProcessingElement(depth=depth)
        operands = data.ArrayLayout(signed(8), depth)
        flags = {name: In(1) for name in Flags._fields}
        super().__init__({"a": In(operands), "b": In(operands), "shadow": Out(signed(32)), **flags})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a, b = ([operand[v] for v in range(self._element.depth)] for operand in (self.a, self.b))
        flags = Flags(take=self.take, load=self.load, copy=self.copy)
        m.d.comb += self.shadow.eq(self._element.build(m, a, b, flags, name="0", platform=platform))
        return m


def stimulus(
    tiles: list[tuple[Any, Any]], *, gap: bool, rng: np.random.Generator
) -> tuple[list[dict[str, int]], list[int]]:
    """Inputs of each cycle for tiles of operands (a, b) [k, depth]; the cycle of each one's last operands."""
    words: list[tuple[int, int, dict[str, int]] | None] = []
    ends = []
    for a, b in tiles:
        for k in range(len(a)):
            while gap and rng.integers(3) == 0:
                words.append(None)
            words.append((int(k == 0), int(k == len(a) - 1), {"a": pack(a[k], 8), "b": pack(b[k], 8)}))
        ends.append(len(words) - 1)
    inputs: list[dict[str, int]] = []
    for cycle in range(len(words) + ProcessingElement.LATENCY):
        now, two = (words[c] if 0 <= c < len(words) else None for c in (cycle, cycle - 2))
        # What is on the inputs while nothing is taken must not matter.
        flags = {"take": 0, "load": int(rng.integers(2)), "copy": 0}
        if two is not None:
            flags |= {"take": 1, "load": two[0], "copy": two[1]}
        inputs.append(flags | (now[2] if now is not None else {}))
    return inputs, ends


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_tiles(depth: int, gap: bool) -> None:
    rng = np.random.default_rng(depth)
    tiles: list[tuple[Any, Any]] = [
        tuple(rng.integers(-128, 128, (2, length, depth), dtype=np.int8)) for length in (1, 1, 2, 7, 1, 40)
    ]
    lowest, highest = np.full((30, depth), -128, np.int8), np.full((30, depth), 127, np.int8)
    tiles += [(lowest, lowest), (lowest, highest), (highest, highest), (lowest[:1], lowest[:1])]
    inputs, ends = stimulus(tiles, gap=gap, rng=rng)
    cycles = len(inputs) + 1
    seen = run_pipeline(Element(depth=depth), inputs, ["shadow"], cycles=cycles)
    shadow = [unpack(s["shadow"], 32, 1, signed=True)[0] for s in seen]
    sums = [int(np.sum(a.astype(np.int64) * b.astype(np.int64))) for a, b in tiles]
    for tile, (end, total) in enumerate(zip(ends, sums, strict=True)):
        following = ends[tile + 1] if tile + 1 < len(ends) else cycles
        until = min(following + ProcessingElement.LATENCY, cycles)
        assert set(shadow[end + ProcessingElement.LATENCY : until]) == {total}, "it stays until the next one"
    assert min(sums) == -128 * 127 * 30 * depth
    assert max(sums) == 128 * 128 * 30 * depth


@pytest.mark.parametrize("b", [-128, 127])
@pytest.mark.slow
def test_the_accumulator_reaches_the_ends_of_32_bits(b: int) -> None:
    """As many words of -128 * b as 32 bits hold, less one product: with it the positive sum would be 2**31."""
    words = (1 << 31) // (128 * abs(b) * 8)
    operands = np.full((words, 8), -128, np.int8), np.full((words, 8), b, np.int8)
    operands[0][-1, -1] = 0
    inputs, ends = stimulus([operands], gap=False, rng=np.random.default_rng(0))
    seen = run_pipeline(Element(depth=8), inputs, ["shadow"], cycles=len(inputs) + 1)
    total = -128 * b * (8 * words - 1)
    assert (1 << 31) - (1 << 18) < abs(total) < 1 << 31
    assert unpack(seen[ends[0] + ProcessingElement.LATENCY]["shadow"], 32, 1, signed=True) == [total]


def test_depth_is_checked_and_read_only() -> None:
    with pytest.raises(ValueError, match="^Depth must be a positive integer, not 0$"):
        ProcessingElement(depth=0)
    element: Any = ProcessingElement(depth=3)
    assert element.depth == 3
    with pytest.raises(AttributeError):
        element.depth = 4
