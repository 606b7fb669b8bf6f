"""Instruction fetch and dispatch: the program in order into the four queues (hw.control.fetch, hw.control.dispatch)."""

from __future__ import annotations

from vitreous.sim.cycles.bursts import split
from vitreous.sim.cycles.bus import ReadBus
from vitreous.sim.cycles.events import Clock
from vitreous.sim.cycles.queues import IssueQueue
from vitreous.sim.cycles.timing import FETCH_BURST_BEATS, FITS, ROW
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import INSTRUCTION_BYTES, QUEUE_OF, Opcode, Queue
from vitreous.spec.layout import ceil_div
from vitreous.spec.program import Program

QUEUES = tuple(QUEUE_OF.get(opcode) for opcode in Opcode)
FIRST_BURST = 3 + ROW + FITS
"""Cycles from the start to the first burst at the read channel."""


class Front:
    """Fetch and dispatch. Both run ahead of the clock as far as their times are known, so they are not events of their
    own. ``end``: the cycle in which END is there, once it is."""

    def __init__(
        self,
        program: Program,
        config: AcceleratorConfig,
        clock: Clock,
        bus: ReadBus,
        queues: dict[Queue, IssueQueue],
    ) -> None:
        self._bus, self._queues = bus, list(queues.values())
        self._lane = bus.lane(self)
        self._program = [(i, QUEUES[i.opcode]) for i in program.instructions]
        beat = config.bus.beat_bytes
        longest = min(config.bus.burst_beats, FETCH_BURST_BEATS)
        size = len(self._program) * INSTRUCTION_BYTES
        self._bursts = list(split(program.program_offset, size, beat, longest))
        self._room = 2 * longest
        self._per_instruction = ceil_div(INSTRUCTION_BYTES, beat)
        self.beats = sum(self._bursts)
        self._asked = self._requested = 0  # bursts, beats
        self._ready = FIRST_BURST  # for the next burst
        self._arrived: list[int] = []
        self._stepped: list[int] = []
        self._next = 0  # the instruction at dispatch
        self.left = 0
        self._valid: int | None = None  # since when it is there
        self._transferred = 0
        self.end: int | None = None
        clock.at(FIRST_BURST, self._begin)

    def _begin(self, cycle: int) -> None:
        self._ask()

    def _ask(self) -> None:
        """Ask for bursts as far as it is known when there is room for them."""
        while self._asked < len(self._bursts):
            beats = self._bursts[self._asked]
            needed = self._requested + beats - self._room  # beats that must have left the queue before
            if needed > len(self._stepped):
                return
            cycle = self._ready
            if needed > 0:
                cycle = max(cycle, self._stepped[needed - 1] + 1 + FITS)
            self._asked += 1
            self._requested += beats
            self._ready = cycle + 1 + FITS
            self._bus.request(cycle, beats, self._lane)

    def look(self, now: int, first: int, later: list[int]) -> int:
        self._coming = [first + delay for delay in later]
        return now

    def room(self) -> int:
        return 0  # it asks for what it has room for

    def arrive(self) -> int:
        self._arrived.extend(self._coming)
        if self._valid is None:
            self._dispatch()
        return self._arrived[-1]

    def _gather(self) -> bool:
        """Beats of the next instruction into the output register, from the cycle in which the previous one leaves."""
        first, count = self._next * self._per_instruction, self._per_instruction
        if len(self._arrived) < first + count:
            return False
        step, stepped = self._transferred - 1, self._stepped
        for arrived in self._arrived[first : first + count]:
            step = (step if step > arrived else arrived) + 1
            stepped.append(step)
        self._valid = step + 1
        return True

    def _dispatch(self) -> None:
        """Dispatch what is there while there is room for it, END when nothing else is left."""
        while self._valid is not None or self._gather():
            assert self._valid is not None
            instruction, queue = self._program[self._next]
            if queue is None:
                self.end = self._valid
                break
            line = self._queues[queue]
            room = line.room
            if room is None:
                line.on_room = self._dispatch
                break
            line.on_room = None
            self._transferred = max(self._valid, room)
            self._valid = None
            line.put(self._transferred, self._next, instruction)
            self._next += 1
            if self._next == len(self._program):
                break
        self._ask()
