"""The AXI port and the simulated DRAM behind it (hw.axi, hw.bursts, sim/bench.sv): bursts, latency, throughput."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Protocol

from vitreous.hw.axi import PAGE_BYTES
from vitreous.sim.cycles.events import Clock, Phase
from vitreous.sim.runtime import MemoryTiming
from vitreous.spec.layout import ceil_div

FULL = 100


def split(offset: int, size: int, beat: int, longest: int) -> Iterator[int]:
    """Beats of each burst of ``size`` bytes from ``offset`` (base 0 modulo the page); none crosses 4 KiB."""
    left = ceil_div(size, beat)
    while left:
        count = min(left, longest, (PAGE_BYTES - offset % PAGE_BYTES) // beat)
        yield count
        offset += count * beat
        left -= count


class Throttle:
    """``percent`` beats in every 100 cycles: a beat costs 100, each cycle gives ``percent`` while less than 100 is
    there."""

    def __init__(self, percent: int) -> None:
        self._percent = percent
        self._credit = percent * ceil_div(FULL, percent)
        self._at = 0
        self._steady = [list(range(count)) for count in range(257)]

    def beats(self, ready: int, count: int) -> tuple[int, list[int]]:
        """The cycle of the first of ``count`` beats from ``ready`` on, and how much later the others can follow."""
        percent = self._percent
        if percent == FULL:
            return ready, self._steady[count]
        short = max(0, ceil_div(FULL - self._credit, percent))
        first = max(ready, self._at + short)
        credit = self._credit + short * percent
        later = [max(k, ceil_div(FULL * (k + 1) - credit, percent)) for k in range(count)]
        self._credit = credit + percent * (later[-1] + 1) - FULL * count
        self._at = first + later[-1] + 1
        return first, later


class Reader(Protocol):
    """A client of the read channel."""

    def expect(self, first: int, later: list[int]) -> int:
        """When the last beat of its next burst would be taken, as far as is known now and never later than what
        turns out, where the first beat can be taken in ``first`` and the others ``later`` cycles after it."""

    def arrive(self) -> int:
        """What was expected last has happened; the cycle again."""


class ReadBus:
    """One request a cycle; data in the order of the requests, ``latency`` after each at the earliest."""

    REGISTERS = 2
    """Cycles beside the latency from a client's request to its first beat: before the port and behind the memory."""

    def __init__(self, clock: Clock, timing: MemoryTiming) -> None:
        self._clock, self._latency = clock, timing.latency
        self._throttle = Throttle(timing.throughput)
        self._asked: deque[tuple[int, int, Reader]] = deque()
        self._taken = 0
        self.granted = -1

    def request(self, cycle: int, beats: int, reader: Reader) -> None:
        """A burst, asked for in ``cycle`` (at most one of all clients)."""
        self.granted = cycle
        self._asked.append((cycle + self._latency + self.REGISTERS, beats, reader))
        if len(self._asked) == 1:
            self._clock.at(self._asked[0][0], self._begin)

    def _begin(self, cycle: int) -> None:
        """The burst that is next can show its first beat; what holds it back shows until its last is taken."""
        _, beats, reader = self._asked[0]
        served, later = self._throttle.beats(max(cycle - 1, self._taken), beats)
        first = served + 1

        def settle(cycle: int) -> None:
            expected = reader.expect(first, later)
            if expected > cycle:
                self._clock.at(expected, settle, Phase.LATE)
                return
            self._taken = reader.arrive()
            self._asked.popleft()
            if self._asked:
                self._clock.at(max(self._asked[0][0], self._taken), self._begin)

        settle(cycle)
