"""The load unit: its front asks for bursts, its back writes their words, some instructions behind (hw.load*)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from vitreous.hw.axi import PAGE_BYTES
from vitreous.sim.cycles.bus import ReadBus, split
from vitreous.sim.cycles.events import Clock
from vitreous.sim.cycles.ports import Port
from vitreous.sim.cycles.timing import BEAT_QUEUE, PENDING_LOADS
from vitreous.spec.config import AcceleratorConfig, BusConfig
from vitreous.spec.isa import Instruction, Memory, Opcode
from vitreous.spec.layout import word_bytes
from vitreous.spec.patches import pixel_rows, steps_of_beats

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


@lru_cache(maxsize=4096)
def _bursts_of_rows(
    offset: int, stride: int, rows: int, words: int, word: int, bus: BusConfig
) -> tuple[Burst, ...]:
    """Bursts of a LOAD of ``rows`` x ``words`` words of ``word`` bytes; offsets count modulo a page."""
    per_beat, gather = max(1, bus.beat_bytes // word), max(1, word // bus.beat_bytes)
    bursts = []
    for row in range(rows):
        left = words
        counts = list(split(offset + row * stride, words * word, bus.beat_bytes, bus.burst_beats))
        for number, beats in enumerate(counts):
            steps = min(beats * per_beat, left) if per_beat > 1 else beats
            left -= steps
            tail, final = steps - (beats - 1) * per_beat, row == rows - 1
            bursts.append(Burst(beats, steps, tail, gather, final, final and number == len(counts) - 1))
    return tuple(bursts)


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
        self._complete, self._limit = complete, config.bus.outstanding_reads
        self._lane = bus.lane(self)
        self.release: Callable[[int], None]
        self.ready: int | None = 0
        self._front: tuple[int, Instruction] | None = None  # waits for a place between front and back
        self._walks: deque[Command] = deque()  # their rows are still to be taken
        self._bursts: Iterator[Burst] | None = None
        self._following: Burst | None = None
        self._register: Burst | None = None  # of the generator
        self._moved = 0  # when the last burst went there
        self._granted = [0]  # when each burst left it, from the second place on
        self._answered: list[int] = []
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
                self._ask()
        self._take()

    def _release(self, cycle: int) -> None:
        self.ready = cycle
        self._clock.at(max(cycle, self._clock.now), self.release)

    def _walk(self) -> None:
        """Take the first row of the next command, as soon as the last burst before is in the generator's register."""
        self._bursts = None
        if self._walks:
            command = self._walks.popleft()
            self._row = max(command.checked + 1, self._moved)
            self._bursts = self._bursts_of(command.instruction)
            self._waits_for_last_row = True
            self._peek()

    def _peek(self) -> None:
        """The next burst is of the row that was taken in ``_row``, perhaps the command's last one."""
        assert self._bursts is not None
        self._following = burst = next(self._bursts)
        if burst.last_row and self._waits_for_last_row:
            self._waits_for_last_row = False
            self._release(self._row + 2)

    def _ask(self) -> None:
        """Ask for bursts as far as their times are known: one goes to the generator's register when the one before
        leaves it, and from there to the bus when fewer than the limit are unanswered."""
        granted, answered = self._granted, self._answered
        while True:
            if self._register is None:
                burst = self._following
                if burst is None:
                    return
                self._register, self._following = burst, None
                leaves, taken = granted[-1], self._row + 1
                self._moved = self._row = leaves if leaves > taken else taken
                if burst.last:
                    self._walk()
                else:
                    self._peek()
            burst, cycle = self._register, self._moved + 1
            before = len(granted) - 1 - self._limit
            if before >= len(answered):
                return
            if before >= 0 and answered[before] >= cycle:
                cycle = answered[before] + 1
            granted.append(cycle)
            self._flying.append(burst)
            self._register = None
            self._bus.request(cycle, burst.beats, self._lane)

    def _bursts_of(self, instruction: Instruction) -> Iterator[Burst]:
        """The bursts of a LOAD or LOAD_PATCHES in order, and what the back does with each."""
        i = instruction.fields
        if instruction.opcode is Opcode.LOAD_PATCHES:
            return self._bursts_of_patches(i)
        word = word_bytes(self._config, Memory(i["memory"]))
        place, stride = i["dram_offset"] % PAGE_BYTES, i["dram_stride"] % PAGE_BYTES
        return iter(_bursts_of_rows(place, stride, i["rows"], i["words"], word, self._config.bus))

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

    def look(self, now: int, first: int, later: list[int]) -> int:
        # For every burst, so comparisons in place of max(): a call costs as much as the rest of a line.
        burst, port = self._flying[0], self._port
        beats, steps, tail = burst.beats, burst.steps, burst.tail
        arrived = first + later[-1]
        start = self._step if self._step > first else first + 1
        if beats > BEAT_QUEUE:  # the others come while the back works on the first ones
            late = start + 1 + later[-1] - later[BEAT_QUEUE]
            if late > arrived:
                arrived = late
        end = start + steps - 1
        if end < arrived + tail:
            end = arrived + tail
        if port.busy(start, end + 1):
            end = max(end, self._written(burst, start, first, later) - 1)
        self._end = end
        left = self._place(end, beats, steps) + 1
        self._left = left if left > arrived else arrived
        return now if end - port.notice <= now else self._left

    def arrive(self) -> int:
        burst, end = self._flying.popleft(), self._end
        self._history.appendleft((end, burst.steps, burst.beats))
        self._step = end + 1
        self._answered.append(self._left)
        if burst.last:
            self._finish(end + 1)
            self._take()
        self._ask()
        return self._left

    def _written(self, burst: Burst, start: int, first: int, later: list[int]) -> int:
        """When the port, which others use before, has taken the last word of the burst begun in ``start``."""
        if burst.gather == 1:
            return self._port.after(start + 1, burst.steps)
        at = start
        for last in range(burst.gather - 1, burst.beats, burst.gather):
            at = self._port.after(max(at + burst.gather, first + later[last] + 2), 1)
        return at

    def _place(self, end: int, beats: int, steps: int) -> int:
        """When the beat that makes place for the last one of a burst left the queue; ``end``: of the burst."""
        left = BEAT_QUEUE
        if beats > left:
            return end - steps * left // beats
        for worked, its_steps, its_beats in ((end, steps, beats), *self._history):
            if its_beats > left:
                return worked - its_steps * left // its_beats
            left -= its_beats
            if left == 0:
                return worked - its_steps
        return 0
