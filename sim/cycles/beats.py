"""The queue of beats before the load unit's back half, and what the back half does with them beat by beat (hw.load)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from vitreous.sim.cycles.bursts import Burst
from vitreous.sim.cycles.ports import Port
from vitreous.sim.cycles.timing import BEAT_QUEUE, WRITE


class Writes(NamedTuple):
    """When the last word went to the registers before the ports, when it was written, when the one before it was."""

    entered: int
    written: int
    before: int


class Worked(NamedTuple):
    """A burst that was looked at beat by beat: ``popped``, ``after`` as in the queue's history. ``taken``: its last
    beat by the queue. ``end``: the last one from the queue, if its word had then been written without waiting.
    ``busy``: until when the port is free then."""

    popped: int
    after: tuple[int, ...]
    taken: int
    writes: Writes
    busy: int

    @property
    def end(self) -> int:
        return self.writes.written - 1 - WRITE


class BeatQueue:
    """``history``: the last bursts, the latest one first: when the last beat of each left the queue, and how much
    earlier those before it did. ``writes``: the last words that had to wait for their port."""

    def __init__(self) -> None:
        self.history: deque[tuple[int, tuple[int, ...]]] = deque(maxlen=BEAT_QUEUE)
        self.writes = Writes(-1, -1, -1)

    def place(self, popped: int, burst: Burst) -> int:
        """When the beat that makes place for the last one of ``burst`` left the queue; ``popped``: the last one."""
        if burst.beats > BEAT_QUEUE:
            return popped - burst.queued
        return self._left(BEAT_QUEUE - burst.beats)

    def room(self) -> int:
        """The first cycle in which the queue takes one beat more than it has."""
        return self._left(BEAT_QUEUE - 1) + 1

    def leave(self, burst: Burst, end: int, worked: Worked | None) -> int:
        """``burst`` is over, in ``end`` unless it was ``worked`` beat by beat; returns when its last beat left."""
        if worked is None:
            self.history.appendleft((end, burst.after))
            return end
        self.history.appendleft((worked.popped, worked.after))
        self.writes = worked.writes
        return worked.popped

    def _left(self, later: int) -> int:
        """When the beat left the queue that came before the ``later`` last ones, or 0."""
        for popped, after in self.history:
            if len(after) > later:
                return popped - after[later]
            later -= len(after)
        return 0

    def shift(self, ahead: int) -> None:
        """Everything was so much later."""
        for place, (popped, after) in enumerate(self.history):
            self.history[place] = (popped + ahead, after)

    def work(
        self, burst: Burst, port: Port, step: int, first: int, later: Sequence[int], busy: int
    ) -> Worked:
        """``burst`` from ``step`` on, where its first beat can be in ``first`` and the others ``later`` cycles after
        it, at a port that others use in ``busy`` for the first time. A beat makes a word in each of its steps, or
        ``gather`` beats make one; a word waits in a register until fewer than two are before it."""
        popped, taken, short = step - 1, first - 1, burst.gather
        entered, written, before = self.writes
        left = self._latest()
        # For every beat, so comparisons in place of max().
        for beat, steps in enumerate(burst.work):
            taken += 1
            if taken < first + later[beat]:
                taken = first + later[beat]
            if taken <= left[beat]:
                taken = left[beat] + 1
            if popped < taken:
                popped = taken
            short -= 1
            for _ in range(steps):
                popped += 1
                if popped < entered:
                    popped = entered
                if short:
                    continue
                entered = (popped if popped > before else before) + 1
                at = entered + WRITE if entered + WRITE > written else written + 1
                if at >= busy:
                    at = port.after(at, 1)
                    busy = port.free_until(at)
                before, written = written, at
            if not short:
                short = burst.gather
            left.append(popped)
        after = tuple([popped - cycle for cycle in left[: -2 - min(burst.beats - 1, BEAT_QUEUE) : -1]])
        return Worked(popped, after, taken, Writes(entered, written, before), busy)

    def _latest(self) -> list[int]:
        """When the last ``BEAT_QUEUE`` beats left the queue, in order: each makes place for one that comes."""
        left: list[int] = []
        for popped, after in self.history:
            left += [popped - earlier for earlier in after]
            if len(left) >= BEAT_QUEUE:
                break
        left += [0] * (BEAT_QUEUE - len(left))
        return left[BEAT_QUEUE - 1 :: -1]
