"""Tokens, and the four in-order queues between dispatch and the units (hw.control.tokens, hw.control.issue)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from vitreous.sim.cycles.events import Clock, Phase
from vitreous.sim.cycles.timing import ISSUE, RETIRE
from vitreous.sim.run.trace import Span
from vitreous.spec.isa import Instruction, Queue
from vitreous.spec.limits import ISSUED_INSTRUCTIONS

BITS = tuple(tuple(bit for bit in range(len(Queue)) if mask >> bit & 1) for mask in range(1 << len(Queue)))
"""The queues of each mask."""


class Unit(Protocol):
    """What executes the instructions of a queue."""

    ready: int | None
    """The first cycle in which it takes another instruction; None: not known yet, it will call ``IssueQueue.look``."""

    def start(self, cycle: int, pc: int, instruction: Instruction) -> None:
        """Take an instruction. It calls ``IssueQueue.complete`` once for each, in order."""


class Tokens:
    """A counter for each ordered pair of queues."""

    def __init__(self) -> None:
        self.counts = [[0] * len(Queue) for _ in Queue]  # [target][source]

    def missing(self, wait: int, target: int) -> int:
        """The sources in ``wait`` without a token for ``target``, as a mask."""
        counts, mask = self.counts[target], 0
        for source in BITS[wait]:
            if not counts[source]:
                mask |= 1 << source
        return mask

    def take(self, wait: int, target: int) -> None:
        counts = self.counts[target]
        for source in BITS[wait]:
            counts[source] -= 1

    def give(self, signal: int, source: int) -> None:
        for target in BITS[signal]:
            self.counts[target][source] += 1


class IssueQueue:
    """Instructions wait in order for tokens and unit; issue no earlier than ``ISSUE`` cycles after dispatch."""

    def __init__(self, clock: Clock, queue: Queue, depth: int, tokens: Tokens) -> None:
        self._clock, self._queue, self._depth, self._tokens = clock, queue, depth, tokens
        self._waiting: deque[tuple[int, Instruction, int]] = deque()  # pc, instruction, when it can be seen
        self._started: deque[tuple[int, int, int]] = deque()  # pc, signal, issue
        self._signals: deque[int] = deque()  # of those that have retired, or will
        self._ends: deque[int] = deque()  # of those that may still be in flight
        self._level = 0
        self._issued = -1
        self._visible = 0  # when the head can be seen
        self._lacks: tuple[int, int] | None = None  # since when the head lacks tokens, and which
        self._looking = -1
        self.unit: Unit
        self.others: list[IssueQueue] = []
        self.on_room: Callable[[], None] | None = None
        self.on_waited: Callable[[int, int, int], None] = lambda first, end, mask: None
        self.waited = 0  # cycles in which a head lacked a token
        self.spans: list[Span] = []
        self.first_seen: list[int] = []

    @property
    def room(self) -> int | None:
        """From when on there is a place, as far as is known."""
        if self._level >= self._depth:
            return None
        return self._issued + 1 if self._level == self._depth - 1 else 0

    @property
    def idle(self) -> bool:
        """Whether nothing waits and the end of everything is known."""
        return not self._waiting and not self._started

    def put(self, cycle: int, pc: int, instruction: Instruction) -> None:
        """Dispatch in ``cycle``, which may be later than now."""
        self._level += 1
        self.first_seen.append(cycle + 1)
        self._waiting.append((pc, instruction, cycle + ISSUE))
        if len(self._waiting) == 1:
            self._visible = max(self._visible, cycle + ISSUE)
            self._clock.at(self._visible, self.look)

    def look(self, cycle: int) -> None:
        """Issue the head if it can be; else something will call again."""
        if not self._waiting or cycle < self._visible:
            return
        pc, instruction, _ = self._waiting[0]
        wait = instruction.wait
        missing = self._tokens.missing(wait, self._queue) if wait else 0
        if missing or self._lacks is not None:
            self._note(cycle, missing)
        if missing or self._full(cycle):
            return
        ready = self.unit.ready
        if ready is None:
            return
        if ready > cycle:
            if self._looking != ready:
                self._looking = ready
                self._clock.at(ready, self.look)
            return
        self._waiting.popleft()
        if wait:
            self._tokens.take(wait, self._queue)
        self._started.append((pc, instruction.signal, cycle))
        self._level -= 1
        self._issued, self._visible = cycle, cycle + 1
        followed = bool(self._waiting)
        if self.on_room is not None:
            self.on_room()  # before the unit looks how long nothing else happens
        self.unit.start(cycle, pc, instruction)
        if followed:
            self._follow(cycle + 1)

    def _follow(self, cycle: int) -> None:
        """Another instruction is the head from ``cycle`` on; without tokens to wait for, until the unit is ready."""
        _, instruction, seen = self._waiting[0]
        self._visible = cycle = max(cycle, seen)
        ready = self.unit.ready
        if ready is not None and ready > cycle and not self._tokens.missing(instruction.wait, self._queue):
            self._looking = cycle = ready
        self._clock.at(cycle, self.look)

    def _full(self, cycle: int) -> bool:
        """Whether the most instructions are in flight; then this will be looked at again."""
        ends, places = self._ends, ISSUED_INSTRUCTIONS - len(self._started)
        if len(ends) < places:
            return False
        while ends and ends[0] < cycle:
            ends.popleft()
        if len(ends) < places:
            return False
        if ends:
            self._clock.at(ends[0] + 1, self.look)
        return True

    def _note(self, cycle: int, missing: int) -> None:
        """Keep for the counters how long the head lacked which tokens."""
        if self._lacks is not None:
            since, lacked = self._lacks
            if lacked == missing:
                return
            self.waited += cycle - since
            self.on_waited(since, cycle, lacked)
        self._lacks = (cycle, missing) if missing else None

    def complete(self, cycle: int) -> None:
        """The unit is done with the oldest instruction in ``cycle``; it retires ``RETIRE`` cycles later, and its tokens
        can be taken from the next one on."""
        cycle += RETIRE
        pc, signal, issued = self._started.popleft()
        self.spans.append(Span(self._queue, pc, issued, cycle))
        self._ends.append(cycle)
        if signal:
            self._signals.append(signal)
            self._clock.at(cycle + 1, self._signal, Phase.REGISTERS)
        if len(self._started) + len(self._ends) == ISSUED_INSTRUCTIONS:
            self._clock.at(cycle + 1, self.look)

    def _signal(self, cycle: int) -> None:
        """Give tokens to those that wait for them."""
        signal = self._signals.popleft()
        self._tokens.give(signal, self._queue)
        for target in BITS[signal]:
            other = self.others[target]
            if other._lacks is not None:
                self._clock.at(cycle, other.look)
