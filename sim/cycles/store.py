"""The store unit: words read from a port with the lowest priority, bursts one after the other (hw.store)."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from vitreous.sim.cycles.bursts import split
from vitreous.sim.cycles.bus import FULL
from vitreous.sim.cycles.events import Clock, Phase
from vitreous.sim.cycles.ports import Port
from vitreous.sim.cycles.timing import OUTSTANDING_WRITES, READ_AHEAD, ROW
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, Queue, check_queue
from vitreous.spec.layout import ceil_div, word_bytes

FIRST_BURST, FIRST_READ = 5 + ROW, 3
"""Cycles from the command to its first burst, to its first read."""
NEVER = -(1 << 20)


class Pace:
    """The write channel of the simulated memory: WREADY follows the credit of the previous cycle, so that a second beat
    slips through. Before the first burst the credit has long reached its top, the first multiple of ``percent`` from
    100 on."""

    def __init__(self, percent: int) -> None:
        self._percent, self._credit = percent, percent * ceil_div(FULL, percent)
        self._cycle, self._ready = 0, False

    def open(self, accept: int) -> None:
        """A burst is accepted in ``accept``; its first beat can be taken one cycle later."""
        while self._cycle < accept and self._credit < FULL:
            self._advance(False)
        self._cycle, self._ready = max(self._cycle, accept), False

    def take(self, earliest: int) -> int:
        """The cycle in which a beat is taken that is there from ``earliest`` on."""
        if self._percent == FULL:
            cycle = max(earliest, self._cycle + (not self._ready))
            self._cycle, self._ready = cycle + 1, True
            return cycle
        while not (self._ready and self._cycle >= earliest):
            self._advance(False)
        self._advance(True)
        return self._cycle - 1

    def _advance(self, taken: bool) -> None:
        self._ready = self._credit >= FULL
        if taken:
            self._credit += self._percent - FULL
        elif self._credit < FULL:
            self._credit += self._percent
        self._cycle += 1


class Flow:
    """A word from its read to the bus: ``read`` from memory, ``step`` of the gearbox, ``move`` to the bus register,
    ``take`` by the bus; each the cycle of the last one. ``popped``: when the queue of words read ahead lost each."""

    def __init__(self, first_read: int, pace: Pace) -> None:
        self.read, self.step, self.move, self.take = first_read - 1, NEVER, NEVER, NEVER
        self.popped = deque([NEVER] * READ_AHEAD, READ_AHEAD)
        self.pace = pace

    def copied(self) -> Flow:
        other = copy.copy(self)
        other.popped, other.pace = self.popped.copy(), copy.copy(self.pace)
        return other

    def send(self, burst: Burst, port: Port, ordered: int) -> None:
        """All beats of a burst whose length is known to the data channel from ``ordered`` on."""
        first, beats, words, gather, split = burst
        read, step, move, take, popped = self.read, self.step, self.move, self.take, self.popped
        free = -1  # until then no client uses the port
        for beat in range(first, first + beats):
            for _ in range(min(gather, words - beat * gather) if gather > 1 else 1):
                if beat % split == 0:
                    read = max(read, popped[0]) + 1
                    if read >= free:
                        read = port.after(read, 1)
                        free = port.free_until(read)
                step = max(step + 1, read + 2, move)
                if (beat + 1) % split == 0:
                    popped.append(step)
            move = max(step + 1, take, ordered)
            take = self.pace.take(move + 1)
        self.read, self.step, self.move, self.take = read, step, move, take


class Burst(NamedTuple):
    """``beats`` from beat ``first`` of a row of ``words``; a beat gathers several words, or a word is split."""

    first: int
    beats: int
    words: int
    gather: int
    split: int


class StoreModel:
    """Words of a memory become beats; ``ports`` are those of the memories."""

    def __init__(
        self,
        config: AcceleratorConfig,
        clock: Clock,
        timing: MemoryTiming,
        ports: dict[Memory, Port],
        complete: Callable[[int], None],
    ) -> None:
        check_queue(Queue.STORE, Opcode.STORE)
        self._config, self._clock, self._ports, self._complete = config, clock, ports, complete
        self._latency, self._pace = timing.latency, Pace(timing.throughput)
        self.release: Callable[[int], None]
        self.ready: int | None = 0

    def start(self, cycle: int, pc: int, instruction: Instruction) -> None:
        self.ready = None
        memory = Memory(instruction["memory"])
        self._port = self._ports[memory]
        self._bursts = self._bursts_of(instruction.fields, word_bytes(self._config, memory))
        self._taken = cycle + FIRST_BURST - 1  # the burst before left the generator
        self._accepted = NEVER
        self._flow = Flow(cycle + FIRST_READ, self._pace)
        self._responses: deque[int] = deque(maxlen=OUTSTANDING_WRITES)
        self._next()

    def _bursts_of(self, i: dict[str, int], word: int) -> Iterator[Burst]:
        bus, words = self._config.bus, i["words"]
        gather, parts = max(1, bus.beat_bytes // word), max(1, word // bus.beat_bytes)
        for row in range(i["rows"]):
            offset, sent = i["dram_offset"] + row * i["dram_stride"], 0
            for beats in split(offset, words * word, bus.beat_bytes, bus.burst_beats):
                yield Burst(sent, beats, words, gather, parts)
                sent += beats

    def _next(self) -> None:
        """Burst after burst; what the matrix unit reads until a burst's end is known when that time has come."""
        while (burst := next(self._bursts, None)) is not None:
            taken = max(self._taken + 1, self._accepted)
            if len(self._responses) == OUTSTANDING_WRITES:
                taken = max(taken, self._responses[0] + 1)
            self._taken = taken
            self._accepted = max(taken + 1, self._flow.take + 2)
            flow = self._sent(burst)
            if flow.take >= self._clock.next:
                self._burst = burst
                self._clock.at(self._clock.now, self._send, Phase.LATE)
                return
            self._settle(flow)
        done = self._responses[-1] + 1
        self.ready = done + 1
        self._complete(done)
        self._clock.at(done + 1, self.release)

    def _sent(self, burst: Burst) -> Flow:
        """After a burst, as far as is known."""
        flow = self._flow.copied()
        flow.pace.open(self._accepted)
        flow.send(burst, self._port, self._taken + 1)
        return flow

    def _send(self, cycle: int) -> None:
        """The burst's end was not certain: it is looked at again when it should be over."""
        flow = self._sent(self._burst)
        if flow.take > cycle:
            self._clock.at(flow.take, self._send, Phase.LATE)
            return
        self._settle(flow)
        self._next()

    def _settle(self, flow: Flow) -> None:
        self._flow, self._pace = flow, flow.pace
        self._responses.append(flow.take + self._latency + 1)
