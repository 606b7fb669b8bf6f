"""The load unit: its front half asks for bursts, its back half writes their words some instructions later (hw.load)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from vitreous.sim.cycles.beats import BeatQueue, Worked
from vitreous.sim.cycles.bursts import STEADY, Burst, bursts_of
from vitreous.sim.cycles.bus import ReadBus
from vitreous.sim.cycles.events import Clock
from vitreous.sim.cycles.ports import Port
from vitreous.sim.cycles.timing import BEAT_QUEUE, NEXT_ROW, ROW, UNFOLD, WRITE
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, Queue, check_queue
from vitreous.spec.limits import PENDING_LOADS


class Command(NamedTuple):
    """An instruction between the front and the back half, and when it was handed over."""

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
        check_queue(Queue.LOAD, Opcode.LOAD, Opcode.LOAD_PATCHES, Opcode.FILL)
        self._config, self._clock, self._bus, self._ports = config, clock, bus, ports
        self._complete = complete
        self._lane = bus.lane(self, self.stream)
        self.release: Callable[[int], None]
        self.ready: int | None = 0
        self._front: tuple[int, Instruction] | None = None  # waits for a place between the two halves
        self._walks: deque[Command] = deque()  # their rows are still to be taken
        self._bursts: tuple[Burst, ...] = ()
        self._alike: tuple[int, ...] = ()
        self._next = 0  # of the bursts, after the following one
        self._following: Burst | None = None
        self._rows_left = 0  # after the row of the last burst that was looked at
        self._ahead: tuple[Command, int] | None = None  # the generator holds its first row, since when
        self._last_row = 0  # when the generator began with the last row of the command
        self._register: Burst | None = None  # of the generator
        self._row = self._moved = 0  # when it began with a row, when the last burst went to the register
        self._granted = 0  # when the last burst left it
        self._places = config.bus.outstanding_reads  # that were never used
        self._answered: deque[int] = deque()  # when a place became free again
        self._flying: deque[Burst] = deque()
        self._pending: deque[Command] = deque()
        self._current: Command | None = None
        self._checked = 0
        self._taken: list[int] = []  # when the back half took each command
        self._entered = -1  # when the last word of a command went to the registers before the ports
        self._step = 0  # the first cycle in which the back can work on the next beat
        self._queue = BeatQueue()
        self._end = 0  # of the burst that was looked at: its last write but for the registers before the port
        self._worked: Worked | None = None  # where it was looked at beat by beat
        places, beats = config.bus.outstanding_reads, config.bus.burst_beats
        # Bursts come one by one where there are enough of them to hide the latency, else as many as there are places.
        self._lag = 1 if (places - 1) * beats > bus.latency else places
        # The last bursts of streams.
        self._past: deque[tuple[Burst | None, int, int, int]] = deque(
            [(None, 0, 0, 0)] * self._lag, self._lag
        )
        # Bursts that were like the previous ones, and the cycles of ``_lag`` of them.
        self._streak = self._pace = 0
        self.left = 0  # when the last beat of the burst that was looked at is taken
        self._settled = max(places, BEAT_QUEUE) + 1

    # ------------------------------------------------------------------------------------------ front
    def start(self, cycle: int, pc: int, instruction: Instruction) -> None:
        self.ready = None
        self._front = (cycle + 2, instruction)
        self._check()

    def _check(self) -> None:
        """The command proceeds when there is a place for it; its rows are then taken."""
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
            self._hold()
            if self._following is None and self._next == len(self._bursts):
                self._walk()
                self._ask()
        self._take()

    def _release(self, cycle: int) -> None:
        self.ready = cycle
        self._clock.at(max(cycle, self._clock.now), self.release)

    def _hold(self) -> None:
        """The generator holds the first row of the next command as soon as it has begun with the last one before; a
        command without another row is then over for the front."""
        if self._ahead is None and self._rows_left == 0 and self._walks:
            command = self._walks.popleft()
            held = max(command.checked + 1, self._last_row + NEXT_ROW)
            self._ahead = command, held
            if bursts_of(command.instruction, self._config)[0][0].rows_left == 0:
                self._release(held + 2)

    def _walk(self) -> None:
        """Begin with the first row of the next command, as soon as the previous last burst is in the generator's
        register."""
        if self._ahead is not None:
            command, held = self._ahead
            self._ahead = None
            self._row = max(held + ROW, self._moved)
            self._bursts, self._alike = bursts_of(command.instruction, self._config)
            self._next, self._rows_left = 0, 3
            self._peek()

    def _peek(self) -> None:
        """The next burst is of the row that was begun in ``_row``, perhaps the command's last one or the one before it:
        the generator then holds the last one."""
        self._following = burst = self._bursts[self._next]
        self._next += 1
        if burst.rows_left < self._rows_left:
            self._rows_left = burst.rows_left
            if burst.rows_left == 1:
                self._release(self._row + NEXT_ROW + 2)
            elif burst.rows_left == 0:
                self._last_row = self._row
                self._hold()

    def _ask(self) -> None:
        """Ask for bursts as far as their times are known: one goes to the generator's register when the one before
        leaves it, and from there to the bus when fewer than the limit are unanswered."""
        answered = self._answered
        while True:
            if self._register is None:
                burst = self._following
                if burst is None:
                    return
                self._register, self._following = burst, None
                leaves, taken, begins = self._granted, self._row + 1, self._row + burst.row
                self._moved = moved = leaves if leaves > taken else taken
                self._row = moved if moved > begins else begins
                if burst.last:
                    self._walk()
                else:
                    self._peek()
            cycle = self._moved + 1
            if self._places:
                self._places -= 1
            elif answered:
                cycle = max(cycle, answered.popleft() + 1)
            else:
                return
            self._granted = cycle
            burst, self._register = self._register, None
            self._flying.append(burst)
            self._bus.request(cycle, burst.beats, self._lane)

    # ------------------------------------------------------------------------------------------ back
    def _take(self) -> None:
        """The back half takes commands in order, each a cycle after the previous one; FILL it does by itself."""
        while self._current is None and self._pending:
            command = self._pending.popleft()
            taken = max(command.checked + 1, self._entered + 1)
            self._taken.append(taken)
            i = command.instruction.fields
            if command.instruction.opcode is Opcode.FILL:
                first = max(taken + 1 + WRITE, self._queue.writes.written + 1)
                done = self._ports[Memory(i["memory"])].after(first, i["words"])
                self._finish(done, done - WRITE)
                continue
            self._current = command
            unfolds = command.instruction.opcode is Opcode.LOAD_PATCHES
            self._port = self._ports[Memory.X if unfolds else Memory(i["memory"])]
            self._step = taken + (UNFOLD if unfolds else 1)
        self._check()

    def _finish(self, done: int, entered: int) -> None:
        self._entered = entered
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
        busy = port.free_until(start)
        if busy <= end + 1 + WRITE or start + WRITE <= self._queue.writes.written:
            self._worked = worked = self._queue.work(burst, port, self._step, first, later, busy)
            end, self.left = worked.end, worked.taken
        else:
            self._worked = None
            left = self._queue.place(end, burst) + 1
            self.left = left if left > arrived else arrived
        self._end = end
        return now if end + WRITE - port.notice <= now else self.left

    def room(self) -> int:
        return self._queue.room()

    def arrive(self) -> int:
        burst, end, worked = self._flying.popleft(), self._end, self._worked
        self._step, self._streak = self._queue.leave(burst, end, worked) + 1, 0
        self._answered.append(self.left)
        if burst.last:
            self._finish(end + 1 + WRITE, end + 1 if worked is None else worked.writes.entered)
            self._take()
        self._ask()
        return self.left

    # ------------------------------------------------------------------------------------------ both
    def stream(self, taken: int, latency: int, rival: int) -> int:
        """What ``look`` and ``arrive`` do for burst after burst, with a beat a cycle, for all that ask before
        ``rival`` and that nothing which is still to happen can change; then ``left`` says when the next one can be.
        ``taken``: the last beat taken, before and (returned) after."""
        while True:
            until = self._clock.next
            taken, served = self._run(taken, latency, until, rival if rival < until else until)
            if not served:
                return taken
            self._lane.asked.popleft()
            taken = self.arrive()

    def _run(self, taken: int, latency: int, until: int, rival: int) -> tuple[int, bool]:
        """Bursts in the middle of a command; whether the one after them is as certain: at it a command ends or the
        front has more to do than to ask for the next one."""
        flying, asked, queue, port = self._flying, self._lane.asked, self._queue, self._port
        register, following, bursts, index = self._register, self._following, self._bursts, self._next
        step, row, moved, granted = self._step, self._row, self._moved, self._granted
        rows_left, certain, free, lag = self._rows_left, until + port.notice - 1 - WRITE, -1, self._lag
        self.left, served, hidden = 0, False, 1 + WRITE
        while flying and asked[0][0] < rival:
            burst, first = flying[0], asked[0][0] + latency
            if first <= taken:
                first = taken + 1
            arrived, start = first + burst.beats - 1, step if step > first else first + 1
            if burst.late > 0 and arrived < start + burst.late:
                arrived = start + burst.late
            end = start + burst.steps - 1
            if end < arrived + burst.tail:
                end = arrived + burst.tail
            free, worked = free if free >= start else port.free_until(start), None
            if free <= end + 1 + WRITE or start + WRITE <= queue.writes.written:
                worked = queue.work(burst, port, step, first, STEADY, free)
                end, left, free, self._streak = worked.end, worked.taken, worked.busy, 0
            else:
                left = 1 + (end - burst.queued if burst.late > 0 else queue.place(end, burst))
                if left < arrived:
                    left = arrived
            if left >= until and end >= certain:
                self.left = left
                break
            more = following is None or following.last or bursts[index].rows_left < rows_left
            if burst.last or (more and register is not None):
                self._end, self._worked, self.left, served = end, worked, left, True
                break
            flying.popleft()
            asked.popleft()
            # The cycles to the next burst, where the back is as far behind as before.
            pace = left - taken if first == taken + 1 and left - taken == end + 1 - step else 0
            taken, step = left, queue.leave(burst, end, worked) + 1
            if register is None or following is None:
                self._answered.append(left)
                continue
            granted = (moved if moved > left else left) + 1
            moved, begins = granted if granted > row + 1 else row + 1, row + following.row
            row = moved if moved > begins else begins
            flying.append(register)
            asked.append((granted, register.beats))
            register, following = following, bursts[index]
            index += 1
            followed, ahead = register is following is burst, 0
            room = (rival - left if rival - left < free - hidden - end else free - hidden - end) - 1
            if worked is None and 0 < pace <= room and followed and granted == moved == left + 1:
                index, ahead = self._flow(burst, left, end, pace, latency, room, index)
            if worked is None and not ahead and lag > 1:
                index, ahead = self._repeat(burst, followed, left, end, granted, room, index)
            if ahead:
                taken, step, row = taken + ahead, step + ahead, row + ahead
                moved, granted = moved + ahead, granted + ahead
        self._step, self._row, self._moved, self._granted = step, row, moved, granted
        self._register, self._following, self._next = register, following, index
        return taken, served

    def _repeat(
        self, burst: Burst, followed: bool, left: int, end: int, granted: int, room: int, index: int
    ) -> tuple[int, int]:
        """Go on by ``_lag`` bursts at a time, where so many equal ones came in the same cycles that all that decides
        about the next ones did: ``index`` of the bursts after them, and the cycles that they take, at most ``room``.
        ``followed``: whether two more are equal.
        """
        before, its_left, its_end, its_granted = self._past[0]
        pace = left - its_left
        alike = followed and before is burst
        if alike and pace == self._pace == end - its_end == granted - its_granted:
            self._streak += 1
        else:
            self._streak, self._pace = 0, pace
        self._past.append((burst, left, end, granted))
        if self._streak <= self._settled or pace > room or self._bursts[index] is not burst:
            return index, 0
        times = min(self._alike[index] // self._lag, room // pace)
        if times:
            self._shift(times * pace)
        return index + times * self._lag, times * pace

    def _shift(self, ahead: int) -> None:
        """Advance by as many equal bursts as take ``ahead`` cycles."""
        asked, past = self._lane.asked, self._past
        for place, (cycle, beats) in enumerate(asked):
            asked[place] = (cycle + ahead, beats)
        self._queue.shift(ahead)
        for place, (burst, left, end, granted) in enumerate(past):
            past[place] = (burst, left + ahead, end + ahead, granted + ahead)

    def _flows(self, burst: Burst, left: int, pace: int, latency: int) -> bool:
        """Whether all that is asked for comes without a gap, so that what follows does: ``burst`` again and again."""
        places = len(self._flying)
        if burst.late <= 0 or (places - 1) * pace < latency or self._flying.count(burst) < places:
            return False
        late = left + 1 - latency
        for cycle, _ in self._lane.asked:
            if cycle > late:
                return False
            late += pace
        return True

    def _flow(
        self, burst: Burst, left: int, end: int, pace: int, latency: int, room: int, index: int
    ) -> tuple[int, int]:
        """Advance by bursts that come without a gap, ``pace`` cycles each, if they do: ``index`` of the bursts after
        them, and the cycles that they take, at most ``room``. Each asks for another one when it has left.
        """
        if self._bursts[index] is not burst or not self._flows(burst, left, pace, latency):
            return index, 0
        times = min(self._alike[index], room // pace)
        asked, beats = self._lane.asked, burst.beats
        for time in range(max(1, times - len(asked) + 1), times + 1):
            asked.popleft()
            asked.append((left + time * pace + 1, beats))
        self._queue.history.appendleft((end + times * pace, burst.after))  # more than the queue holds
        self._streak = 0
        return index + times, times * pace
