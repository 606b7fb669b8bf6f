"""The AXI port and the simulated DRAM behind it (hw.axi, sim/run/bench.sv): bursts, latency, throughput."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from vitreous.sim.cycles.events import NEVER, Clock, Phase
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.layout import ceil_div

FULL = 100
Stream = Callable[[int, int, int], int]
"""``Reader.stream``, where a reader has it."""


class Throttle:
    """``percent`` beats in every 100 cycles: a beat costs 100, each cycle gives ``percent`` while less than 100 is
    there."""

    def __init__(self, percent: int) -> None:
        self.percent = percent
        self._credit = percent * ceil_div(FULL, percent)
        self._at = 0
        self._steady = [list(range(count)) for count in range(257)]

    def beats(self, ready: int, count: int) -> tuple[int, list[int]]:
        """The cycle of the first of ``count`` beats from ``ready`` on, and how much later the others can follow."""
        percent = self.percent
        if percent == FULL:
            return ready, self._steady[count]
        short = max(0, ceil_div(FULL - self._credit, percent))
        first = max(ready, self._at + short)
        credit = self._credit + short * percent
        later = [max(k, ceil_div(FULL * (k + 1) - credit, percent)) for k in range(count)]
        self._credit = credit + percent * (later[-1] + 1) - FULL * count
        self._at = first + later[-1] + 1
        return first, later

    def delayed(self, cycles: int) -> None:
        """The last beats came this much later."""
        self._at += cycles


class Reader(Protocol):
    """A client of the read channel."""

    left: int
    """When the last beat of the burst that was looked at is taken, where it was not certain."""

    def look(self, now: int, first: int, later: list[int]) -> int:
        """Work out when the beats of its next burst are taken, where the first can be in ``first`` and the others
        ``later`` cycles after it. The cycle in which to do so again; not after ``now``: it is certain."""

    def room(self) -> int:
        """The first cycle in which it can take one more beat after those that it was given."""

    def arrive(self) -> int:
        """What was worked out last has happened; the cycle of the last beat."""


class Lane:
    """The requests of one client: the cycle of each and its beats, in order. ``stream``: see ``LoadModel.stream``."""

    __slots__ = ("asked", "reader", "stream")

    def __init__(self, reader: Reader, stream: Stream | None) -> None:
        self.reader, self.stream = reader, stream
        self.asked: deque[tuple[int, int]] = deque()


class ReadBus:
    """One request a cycle; data in the order of the requests, ``latency`` after each at the earliest.

    A client may know its requests before their time: another's earlier one goes first as long as it is asked for in its
    own cycle.
    """

    REGISTERS = 2
    """Cycles beside the latency from a client's request to its first beat: before the port and after the memory."""

    def __init__(self, clock: Clock, timing: MemoryTiming) -> None:
        self._clock, self.latency = clock, timing.latency + self.REGISTERS
        self._throttle = Throttle(timing.throughput)
        self._lanes: list[Lane] = []
        self._taken = 0
        self._serving = False
        self._open: tuple[Reader, int, list[int]]
        self._at: int | None = None  # when the next burst begins

    def lane(self, reader: Reader, stream: Stream | None = None) -> Lane:
        """For a client that goes before those that come later."""
        self._lanes.append(Lane(reader, stream if self._throttle.percent == FULL else None))
        return self._lanes[-1]

    def request(self, cycle: int, beats: int, lane: Lane) -> None:
        """A burst, asked for in ``cycle``."""
        lane.asked.append((cycle, beats))
        if not self._serving:
            self._plan()

    def _next(self) -> tuple[Lane | None, int]:
        """Whose burst is next, and when it can begin."""
        chosen, first = None, NEVER
        for lane in self._lanes:
            if lane.asked:
                asked = lane.asked[0][0]
                if asked < first:
                    chosen, first = lane, asked
        at = first + self.latency
        return chosen, at if at > self._taken else self._taken

    def _rival(self, lane: Lane) -> int:
        """The first request that goes before those of ``lane`` of its cycle and later."""
        first = NEVER
        for other in self._lanes:
            if other is not lane and other.asked and other.asked[0][0] < first:
                first = other.asked[0][0]
        return first

    def _room(self, lane: Lane) -> int:
        """When all others have room for a beat: without it nobody's is taken."""
        return max([other.reader.room() for other in self._lanes if other is not lane], default=0)

    def _plan(self) -> None:
        lane, at = self._next()
        if lane is not None and (self._at is None or at < self._at):
            self._at = at
            self._clock.at(at, self._begin)

    def _begin(self, cycle: int) -> None:
        if cycle == self._at:  # else an earlier one came in between
            self._at, self._serving = None, True
            self._serve(cycle)

    def _serve(self, cycle: int) -> None:
        """One burst after the other as long as nothing else happens before the next."""
        lane, at = self._next()
        while lane is not None:
            if at > cycle:
                if not self._clock.quiet(at):
                    self._at, self._serving = at, False
                    self._clock.at(at, self._begin)
                    return
                cycle = at
            if lane.stream is not None:
                before = self._taken
                taken = lane.stream(before, self.latency, self._rival(lane))
                if taken > before:
                    self._taken = taken
                    lane, at = self._next()
                    continue
                if lane.reader.left > cycle:
                    self._clock.at(lane.reader.left, self._serve, Phase.LATE)
                    return
            served, later = self._throttle.beats(max(at - 1, self._taken), lane.asked.popleft()[1])
            first = max(served + 1, self._room(lane))
            again = lane.reader.look(cycle, first, later)
            if again > cycle:
                self._open = (lane.reader, first, later)
                self._clock.at(again, self._settle, Phase.LATE)
                return
            self._end(lane.reader, served + 1 + later[-1])
            lane, at = self._next()
        self._serving = False
        self._plan()

    def _settle(self, cycle: int) -> None:
        """The burst's end was not certain: it is looked at again when it should be over."""
        reader, first, later = self._open
        again = reader.look(cycle, first, later)
        if again > cycle:
            self._clock.at(again, self._settle, Phase.LATE)
            return
        self._end(reader, first + later[-1])
        self._serving = False
        self._plan()

    def _end(self, reader: Reader, planned: int) -> None:
        self._taken = reader.arrive()
        if self._taken > planned:
            self._throttle.delayed(self._taken - planned)
