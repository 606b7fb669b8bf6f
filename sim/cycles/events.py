"""The clock of the cycle model: what happens when, in order of cycles."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from enum import IntEnum

Action = Callable[[int], None]
NEVER = 1 << 60


class Phase(IntEnum):
    """Order within a cycle. What a register shows in a cycle was written earlier, so it comes first."""

    REGISTERS = 0
    UNITS = 1
    LATE = 2


class Clock:
    """Calls each action in its cycle; of one cycle and phase, the first asked for comes first."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, Action]] = []
        self._count = 0
        self.now = 0

    def at(self, cycle: int, action: Action, phase: Phase = Phase.UNITS) -> None:
        """Call ``action(cycle)`` in ``cycle``."""
        self._count += 1
        heapq.heappush(self._heap, (cycle, phase, self._count, action))

    @property
    def next(self) -> int:
        """When something happens next."""
        return self._heap[0][0] if self._heap else NEVER

    def quiet(self, until: int) -> bool:
        """Whether nothing happens before or in ``until``; then it is that cycle now."""
        if self._heap and self._heap[0][0] <= until:
            return False
        self.now = until
        return True

    def run(self) -> None:
        """Until nothing is left to happen."""
        heap, pop = self._heap, heapq.heappop
        while heap:
            cycle, _, _, action = pop(heap)
            self.now = cycle
            action(cycle)
