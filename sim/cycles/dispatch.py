"""Instruction fetch and dispatch: the program in order into the four queues (hw.fetch, hw.dispatch)."""

from __future__ import annotations

from vitreous.sim.cycles.bursts import split
from vitreous.sim.cycles.bus import ReadBus
from vitreous.sim.cycles.events import Clock
from vitreous.sim.cycles.queues import IssueQueue
from vitreous.sim.cycles.timing import FETCH_BURST_BEATS
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import INSTRUCTION_BYTES, Queue
from vitreous.spec.layout import ceil_div
from vitreous.spec.program import Program

FIRST_BURST = 3
"""Cycles from the start to the first burst at the read channel."""


class Front:
    """Fetch and dispatch. ``finished``: the cycle of END."""

    def __init__(
        self,
        program: Program,
        config: AcceleratorConfig,
        clock: Clock,
        bus: ReadBus,
        queues: dict[Queue, IssueQueue],
    ) -> None:
        self._clock, self._bus, self._queues = clock, bus, queues
        self._lane = bus.lane(self)
        self._program = [(i, i.queue) for i in program.instructions]
        beat = config.bus.beat_bytes
        longest = min(config.bus.burst_beats, FETCH_BURST_BEATS)
        size = len(self._program) * INSTRUCTION_BYTES
        self._bursts = list(split(program.program_offset, size, beat, longest))
        self._room = 2 * longest
        self._per_instruction = ceil_div(INSTRUCTION_BYTES, beat)
        self.beats = sum(self._bursts)
        self._asked = self._requested = 0  # bursts, beats
        self._next_burst = FIRST_BURST
        self._waits_for_room = False
        self._arrived: list[int] = []
        self._stepped: list[int] = []
        self._next = 0  # the instruction at dispatch, once it is there
        self._valid: int | None = None  # since when it is there
        self._transferred = 0
        self.finished: int | None = None
        clock.at(FIRST_BURST, self._ask)

    def _ask(self, cycle: int) -> None:
        """The next burst when there is room for it."""
        beats = self._bursts[self._asked]
        needed = self._requested + beats - self._room  # beats that must have left the queue before
        if needed > len(self._stepped):
            self._waits_for_room = True
            return
        free = self._stepped[needed - 1] + 1 if needed > 0 else 0
        if free > cycle:
            self._clock.at(free, self._ask)
            return
        self._asked += 1
        self._requested += beats
        self._bus.request(cycle, beats, self._lane)
        if self._asked < len(self._bursts):
            self._clock.at(cycle + 1, self._ask)

    def look(self, now: int, first: int, later: list[int]) -> int:
        self._coming = [first + delay for delay in later]
        return now

    def arrive(self) -> int:
        self._arrived.extend(self._coming)
        if self._valid is None:
            self._gather()
        return self._arrived[-1]

    def _gather(self) -> None:
        """Beats of the next instruction into the output register, from the cycle in which the one before leaves it."""
        first = self._next * self._per_instruction
        beats = self._arrived[first : first + self._per_instruction]
        if len(beats) < self._per_instruction:
            return
        step = self._transferred - 1
        for arrived in beats:
            step = max(step + 1, arrived + 1)
            self._stepped.append(step)
        self._valid = step + 1
        self._clock.at(self._valid, self.dispatch)
        if self._waits_for_room:
            self._waits_for_room = False
            self._ask(self._clock.now)

    def dispatch(self, cycle: int) -> None:
        """Dispatch the instruction that is there, if its queue has room; END when everything is done."""
        if self._valid is None or cycle < self._valid or self.finished is not None:
            return
        instruction, queue = self._program[self._next]
        if queue is None:
            if all(line.idle for line in self._queues.values()):
                self.finished = cycle
            return
        line = self._queues[queue]
        if not line.room:
            return
        line.put(cycle, self._next, instruction)
        self._next += 1
        self._transferred, self._valid = cycle, None
        if self._next < len(self._program):
            self._gather()
