"""The load unit: its front asks for bursts, its back writes their words, some instructions behind (hw.load*)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from vitreous.hw.memory import word_bytes
from vitreous.sim.cycles.bus import ReadBus, split
from vitreous.sim.cycles.events import Clock, Phase
from vitreous.sim.cycles.patches import pixel_rows, steps_of_beats
from vitreous.sim.cycles.ports import Port
from vitreous.sim.cycles.timing import BEAT_QUEUE, PENDING_LOADS
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Opcode

UNFOLD = 2
"""Cycles that the unfolder needs for the product before its first step."""


class Burst(NamedTuple):
    """``beats`` that the back works through in ``steps`` cycles, the last of them in ``tail``; every ``gather`` steps
    make a word."""

    beats: int
    steps: int
    tail: int
    gather: int
    last_row: bool
    last: bool


class Command(NamedTuple):
    """An instruction between front and back, and when it was handed over."""

    instruction: Instruction
    checked: int


class LoadModel:
    """Rows become bursts, beats become writes; ``ports`` are those of the memories."""

    def __init__(
        self,
        config: AcceleratorConfig,
        clock: Clock,
        bus: ReadBus,
        ports: dict[Memory, Port],
        complete: Callable[[int], None],
    ) -> None:
        self._config, self._clock, self._bus, self._ports = config, clock, bus, ports
        self._complete = complete
        self.look: Callable[[int], None]
        self.ready: int | None = 0
        self._front: tuple[int, Instruction] | None = None  # waits for a place between front and back
        self._walks: deque[Command] = deque()  # their rows are still to be taken
        self._bursts: Iterator[Burst] | None = None
        self._following: Burst | None = None
        self._registered = False  # a burst is in the generator's register
        self._granted: list[int] = []
        self._moved = 0  # when the last burst went to the generator's register
        self._answered: list[int] = []
        self._blocked: Burst | None = None
        self._flying: deque[Burst] = deque()
        self._pending: deque[Command] = deque()
        self._current: Command | None = None
        self._checked = 0
        self._taken: list[int] = []  # when the back took each command
        self._done = -1
        self._step = 0  # the first cycle in which the back can work on the next beat
        self._history: deque[tuple[int, int, int]] = deque(maxlen=BEAT_QUEUE)

    # ------------------------------------------------------------------------------------------ front
    def start(self, cycle: int, pc: int, instruction: Instruction) -> None:
        self.ready = None
        self._front = (cycle + 2, instruction)
        self._check()

    def _check(self) -> None:
        """The command goes on when there is a place for it; its rows are then taken."""
        if self._front is None:
            return
        cycle, instruction = self._front
        before = self._checked - PENDING_LOADS
        if before >= len(self._taken):
            return
        if before >= 0:
            cycle = max(cycle, self._taken[before] + 1)
        self._front = None
        self._checked += 1
        command = Command(instruction, cycle)
        self._pending.append(command)
        if instruction.opcode is Opcode.FILL:
            self._release(cycle + 2)
        else:
            self._walks.append(command)
            if self._bursts is None:
                self._walk()
        self._take()

    def _release(self, cycle: int) -> None:
        self.ready = cycle
        self._clock.at(max(cycle, self._clock.now), self.look)

    def _walk(self) -> None:
        """Take the first row of the next command, as soon as the last burst before is in the generator's register."""
        if not self._walks:
            return
        command = self._walks.popleft()
        self._row = max(command.checked + 1, self._moved)
        self._bursts = self._bursts_of(command.instruction)
        self._waits_for_last_row = True
        self._peek()
        if not self._registered:
            self._advance(self._row + 1)

    def _peek(self) -> None:
        """The next burst is of the row that was taken in ``_row``, perhaps the command's last one."""
        assert self._bursts is not None
        self._following = next(self._bursts)
        if self._following.last_row and self._waits_for_last_row:
            self._waits_for_last_row = False
            self._release(self._row + 2)

    def _advance(self, move: int) -> None:
        """The next burst goes to the generator's register in cycle ``move``."""
        burst = self._following
        assert burst is not None
        self._registered, self._following = True, None
        self._moved = self._row = move
        self._offer(burst, move + 1)
        if burst.last:
            self._bursts = None
            self._walk()
        else:
            self._peek()

    def _offer(self, burst: Burst, cycle: int) -> None:
        before = len(self._granted) - self._config.bus.outstanding_reads
        if before >= len(self._answered):
            self._blocked = burst
            self._blocked_since = cycle
            return
        if before >= 0:
            cycle = max(cycle, self._answered[before] + 1)
        self._clock.at(max(cycle, self._clock.now), lambda now: self._grant(now, burst), Phase.LATE)

    def _grant(self, cycle: int, burst: Burst) -> None:
        if self._bus.granted == cycle:  # fetch goes first
            self._clock.at(cycle + 1, lambda now: self._grant(now, burst), Phase.LATE)
            return
        self._granted.append(cycle)
        self._flying.append(burst)
        self._bus.request(cycle, burst.beats, self)
        self._registered = False
        if self._following is not None:
            self._advance(max(self._row + 1, cycle))

    def _bursts_of(self, instruction: Instruction) -> Iterator[Burst]:
        """The bursts of a LOAD or LOAD_PATCHES in order, and what the back does with each."""
        bus, i = self._config.bus, instruction.fields
        if instruction.opcode is Opcode.LOAD_PATCHES:
            yield from self._bursts_of_patches(i)
            return
        word = word_bytes(self._config, Memory(i["memory"]))
        size, rows = i["words"] * word, i["rows"]
        per_beat, gather = max(1, bus.beat_bytes // word), max(1, word // bus.beat_bytes)
        for row in range(rows):
            left = i["words"]  # words, where a beat has several
            offset = i["dram_offset"] + row * i["dram_stride"]
            counts = list(split(offset, size, bus.beat_bytes, bus.burst_beats))
            for number, beats in enumerate(counts):
                steps = min(beats * per_beat, left) if per_beat > 1 else beats
                left -= steps
                tail = steps - (beats - 1) * per_beat
                final = row == rows - 1
                yield Burst(beats, steps, tail, gather, final, final and number == len(counts) - 1)

    def _bursts_of_patches(self, i: dict[str, int]) -> Iterator[Burst]:
        bus = self._config.bus
        offsets = pixel_rows(i)
        size = i["grid_columns"] * i["patch"]
        for number, (offset, phase) in enumerate(offsets):
            steps = steps_of_beats(i, phase, self._config)
            counts = list(split(offset, size, bus.beat_bytes, bus.burst_beats))
            first, final = 0, number == len(offsets) - 1
            for index, beats in enumerate(counts):
                part = steps[first : first + beats]
                first += beats
                yield Burst(beats, sum(part), part[-1], 1, final, final and index == len(counts) - 1)

    # ------------------------------------------------------------------------------------------ back
    def _take(self) -> None:
        """The back takes commands in order, each a cycle after the one before is done; FILL it does by itself."""
        while self._current is None and self._pending:
            command = self._pending.popleft()
            taken = max(command.checked + 1, self._done + 1)
            self._taken.append(taken)
            i = command.instruction.fields
            if command.instruction.opcode is Opcode.FILL:
                self._finish(self._ports[Memory(i["memory"])].after(taken + 1, i["words"]))
                continue
            self._current = command
            unfolds = command.instruction.opcode is Opcode.LOAD_PATCHES
            self._port = self._ports[Memory.X if unfolds else Memory(i["memory"])]
            self._step = taken + 1 + UNFOLD * unfolds
        self._check()

    def _finish(self, done: int) -> None:
        self._done = done
        self._current = None
        self._complete(done)

    def expect(self, first: int, later: list[int]) -> int:
        burst = self._flying[0]
        arrived, start = first + later[-1], max(self._step, first + 1)
        end = max(arrived + burst.tail, start + burst.steps - 1)
        if not self._port.free_from(start):
            end = max(end, self._written(burst, start, first, later) - 1)
        self._end = end
        self._left = max(arrived, self._place(end) + 1)
        return self._left

    def arrive(self) -> int:
        burst, end = self._flying.popleft(), self._end
        self._history.appendleft((end, burst.steps, burst.beats))
        self._step = end + 1
        self._answered.append(self._left)
        if burst.last:
            self._finish(end + 1)
            self._take()
        if self._blocked is not None:
            blocked, self._blocked = self._blocked, None
            self._offer(blocked, self._blocked_since)
        return self._left

    def _written(self, burst: Burst, start: int, first: int, later: list[int]) -> int:
        """When the port, which others use before, has taken the last word of the burst begun in ``start``."""
        if burst.gather == 1:
            return self._port.after(start + 1, burst.steps)
        at = start
        for last in range(burst.gather - 1, burst.beats, burst.gather):
            at = self._port.after(max(at + burst.gather, first + later[last] + 2), 1)
        return at

    def _place(self, end: int) -> int:
        """When the beat that makes place for the oldest burst's last one left the queue; ``end``: of the burst."""
        left, burst = BEAT_QUEUE, self._flying[0]
        if burst.beats > left:
            return end - burst.steps * left // burst.beats
        for worked, steps, beats in ((end, burst.steps, burst.beats), *self._history):
            if beats > left:
                return worked - steps * left // beats
            left -= beats
            if left == 0:
                return worked - steps
        return 0
