"""The hardware's counters (``isa.COUNTERS``) that need the instructions' times; ``spec.work`` has the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vitreous.sim.run.trace import Span
from vitreous.spec.isa import Queue

Interval = tuple[int, int]
"""First and last cycle."""


def covered(intervals: Iterable[Interval]) -> int:
    """Cycles in at least one of ``intervals``, which are in order of their first cycles."""
    total, end = 0, -1
    for first, last in intervals:
        if last > end:
            total += last - (first - 1 if first > end else end)
            end = last
    return total


def active(spans: Sequence[Span]) -> int:
    """Cycles in which an instruction of a queue is in flight."""
    return covered((span.start + 1, span.end) for span in spans)


class MatrixIdle:
    """Why the array is idle: cycles in which the head of the matrix queue lacks tokens and no operands are read."""

    def __init__(self, fed: list[Interval]) -> None:
        self._fed = fed
        self.waits = [0] * len(Queue)

    def waited(self, first: int, end: int, missing: int) -> None:
        """The head lacks ``missing`` (a mask over queues) in ``first`` to ``end`` - 1; the lowest queue counts."""
        busy = 0
        for start, last in reversed(self._fed):
            if last < first:
                break
            if start < end:
                busy += (last + 1 if last < end else end) - (start if start > first else first)
        self.waits[(missing & -missing).bit_length() - 1] += end - first - busy
