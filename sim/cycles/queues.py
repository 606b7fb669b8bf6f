"""Tokens, and the four in-order queues between dispatch and the units (hw.tokens, hw.issue)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from vitreous.sim.cycles.events import Clock, Phase
from vitreous.sim.cycles.timing import IN_FLIGHT
from vitreous.sim.trace import Span
from vitreous.spec.isa import Instruction, Queue


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
        for source in range(len(counts)):
            if wait >> source & 1 and not counts[source]:
                mask |= 1 << source
        return mask

    def take(self, wait: int, target: int) -> None:
        for source in range(len(Queue)):
            self.counts[target][source] -= wait >> source & 1

    def give(self, signal: int, source: int) -> None:
        for target in range(len(Queue)):
            self.counts[target][source] += signal >> target & 1


class IssueQueue:
    """Instructions wait in order for tokens and unit; issue no earlier than the cycle after dispatch."""

    def __init__(self, clock: Clock, queue: Queue, depth: int, tokens: Tokens) -> None:
        self._clock, self._queue, self._depth, self._tokens = clock, queue, depth, tokens
        self._waiting: deque[tuple[int, Instruction]] = deque()
        self._flying: deque[tuple[int, Instruction, int]] = deque()
        self._level = 0
        self._visible = 0  # when the head can be seen
        self._lacks: tuple[int, int] | None = None  # since when the head lacks tokens, and which
        self._looking = -1
        self.unit: Unit
        self.others: list[IssueQueue] = []
        self.on_room: Callable[[int], None]
        self.on_waited: Callable[[int, int, int], None] = lambda first, end, mask: None
        self.waited = 0  # cycles in which a head lacked a token
        self.spans: list[Span] = []
        self.first_seen: list[int] = []

    @property
    def room(self) -> bool:
        return self._level < self._depth

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._flying

    def put(self, cycle: int, pc: int, instruction: Instruction) -> None:
        """Dispatch in ``cycle``."""
        if not self._waiting:
            self._visible = max(self._visible, cycle + 1)
        self._level += 1
        self._waiting.append((pc, instruction))
        self.first_seen.append(cycle + 1)
        if len(self._waiting) == 1:
            self._clock.at(self._visible, self.look)

    def look(self, cycle: int) -> None:
        """Issue the head if it can be; else something will call again."""
        if not self._waiting or cycle < self._visible:
            return
        pc, instruction = self._waiting[0]
        missing = self._tokens.missing(instruction.wait, self._queue)
        self._note(cycle, missing)
        if missing or len(self._flying) == IN_FLIGHT or self.unit.ready is None:
            return
        if self.unit.ready > cycle:
            if self._looking != self.unit.ready:
                self._looking = self.unit.ready
                self._clock.at(self.unit.ready, self.look)
            return
        self._waiting.popleft()
        self._tokens.take(instruction.wait, self._queue)
        self._flying.append((pc, instruction, cycle))
        self._visible = cycle + 1
        self._clock.at(cycle + 1, self._freed, Phase.REGISTERS)
        self.unit.start(cycle, pc, instruction)
        if self._waiting:
            self._clock.at(cycle + 1, self.look)

    def _note(self, cycle: int, missing: int) -> None:
        """Keep for the counters how long the head lacked which tokens."""
        if self._lacks is not None:
            since, lacked = self._lacks
            if lacked == missing:
                return
            self.waited += cycle - since
            self.on_waited(since, cycle, lacked)
        self._lacks = (cycle, missing) if missing else None

    def _freed(self, cycle: int) -> None:
        self._level -= 1
        self.on_room(cycle)

    def complete(self, cycle: int) -> None:
        """The oldest instruction is complete in ``cycle``; its tokens can be taken from the next one on."""
        self._clock.at(cycle + 1, self._completed, Phase.REGISTERS)

    def _completed(self, cycle: int) -> None:
        pc, instruction, issued = self._flying.popleft()
        self.spans.append(Span(self._queue, pc, issued, cycle - 1))
        self._tokens.give(instruction.signal, self._queue)
        for target, other in enumerate(self.others):
            if instruction.signal >> target & 1 or other is self:
                self._clock.at(cycle, other.look)
        self.on_room(cycle)
