"""Dispatch, the four in-order queues and the tokens between them (docs/machine.md, Queues and tokens).

The hardware decides by timing which of the possible steps happens next. Here a policy decides, so that a program whose
tokens do not say enough gives a different result under some order: every unit reads when an instruction issues and
writes when it completes, and anything that tokens and queues allow may happen between.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from vitreous.golden.errors import GoldenError
from vitreous.golden.machine.errors import MachineError
from vitreous.spec.isa import TOKEN_BITS, ErrorCode, Instruction, Opcode, Queue
from vitreous.spec.limits import ISSUED_INSTRUCTIONS, PENDING_LOADS

Finish = Callable[[], None]
Start = Callable[[Instruction, int], Finish]

IN_FLIGHT = {
    Queue.LOAD: PENDING_LOADS + 3,
    Queue.MATRIX: ISSUED_INSTRUCTIONS,
    Queue.VECTOR: 1,
    Queue.STORE: 1,
}
"""Instructions that may be issued and not complete: as many as the unit takes. The load unit has one in each half,
the queue between them full, and one whose end is in a register on its way to the tokens."""

ORDERS = (
    "program",
    "random",
    "late",
    *(f"{q.name.lower()} {when}" for q in Queue for when in ("first", "last")),
)
"""``program``: in program order, each instruction whole. ``random``: any possible step. ``late``: issue what can be,
complete only when nothing else can happen. ``<queue> first``, ``<queue> last``: that queue as far ahead of the
others, or as far after them, as tokens allow."""


class Step(NamedTuple):
    """Something that may happen next: an instruction enters its queue, issues, or completes."""

    kind: Literal["dispatch", "issue", "complete"]
    queue: Queue
    pc: int


@dataclass
class Active:
    """An issued instruction that has read its operands and not yet written its results."""

    pc: int
    instruction: Instruction
    finish: Finish


class Tokens:
    """A counter for each ordered pair of queues; it outlives a program, as in the hardware."""

    def __init__(self) -> None:
        self.counts = {(source, target): 0 for source in Queue for target in Queue}

    def ready(self, i: Instruction, queue: Queue) -> bool:
        return all(self.counts[source, queue] for source in Queue if i.wait >> source & 1)

    def take(self, i: Instruction, queue: Queue) -> None:
        for source in Queue:
            self.counts[source, queue] -= i.wait >> source & 1

    def give(self, i: Instruction, queue: Queue, pc: int) -> None:
        for target in Queue:
            self.counts[queue, target] += i.signal >> target & 1
            if self.counts[queue, target] >> TOKEN_BITS:
                raise MachineError(ErrorCode.TOKEN_OVERFLOW, pc, f"tokens from {queue.name} to {target.name}")


class RandomChoice:
    """A random step. Each kind of step of each queue has a random weight, drawn again from time to time.

    With equal weights no queue would ever lag far, and a token that only matters then would not be missed.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._draw()

    def _draw(self) -> None:
        kinds = ("dispatch", "issue", "complete")
        self._weights = {(kind, q): 10.0 ** self._random.uniform(-3, 3) for kind in kinds for q in Queue}

    def __call__(self, steps: Sequence[Step]) -> Step:
        if self._random.random() < 1 / 32:
            self._draw()
        return self._random.choices(steps, [self._weights[step.kind, step.queue] for step in steps])[0]


class RankedChoice:
    """The step that an order other than ``random`` prefers."""

    def __init__(self, order: str) -> None:
        self._key = _rank(order)

    def __call__(self, steps: Sequence[Step]) -> Step:
        return min(steps, key=self._key)


def _rank(order: str) -> Callable[[Step], tuple[int, ...]]:
    """The key whose smallest step is taken."""
    if order == "program":
        kinds = {"complete": 0, "issue": 1, "dispatch": 2}
        return lambda step: (kinds[step.kind], step.pc)
    eager = {"dispatch": 0, "issue": 1, "complete": 2}
    if order == "late":
        return lambda step: (eager[step.kind], step.pc)
    name, when = order.split()
    favoured, last = Queue[name.upper()], when == "last"

    def key(step: Step) -> tuple[int, ...]:
        if step.kind == "dispatch":
            return (0,)
        if step.queue == favoured:  # issue before complete, so that two matrix instructions overlap
            return (3 if last else 1, eager[step.kind])
        return (2, -eager[step.kind], step.pc)

    return key


class Sequencer:
    """Runs one program: dispatches, issues and completes until END.

    program : None represents an opcode that does not exist.
    start : reads an instruction's operands and returns the call that writes its results. An error that it raises stops
        the machine when the instruction is the oldest of its queue, as the units do.
    """

    def __init__(
        self,
        program: Sequence[Instruction | None],
        start: Start,
        tokens: Tokens,
        *,
        depth: int,
        order: str,
        seed: int,
    ) -> None:
        if order not in ORDERS:
            raise GoldenError(f"Unknown order {order!r}; the orders are {', '.join(ORDERS)}")
        self._program = program
        self._start = start
        self._tokens = tokens
        self._depth = depth
        self._next = 0
        self._waiting: dict[Queue, deque[tuple[int, Instruction]]] = {q: deque() for q in Queue}
        self._active: dict[Queue, deque[Active]] = {q: deque() for q in Queue}
        self._choose = RandomChoice(seed) if order == "random" else RankedChoice(order)

    def run(self) -> None:
        """Raises MachineError on the first error, on DEADLOCK and on NO_END."""
        while True:
            idle = not any(self._waiting.values()) and not any(self._active.values())
            if self._next == len(self._program) and idle:
                raise MachineError(
                    ErrorCode.NO_END, max(0, self._next - 1), "the last instruction is not END"
                )
            if idle and self._at_end():
                return
            steps = self._possible()
            if not steps:
                heads = [queue[0][0] for queue in self._waiting.values() if queue]
                raise MachineError(
                    ErrorCode.DEADLOCK, min(heads), "every queue waits for tokens that nothing will give"
                )
            self._take(self._choose(steps))

    def _at_end(self) -> bool:
        i = self._program[self._next]
        return i is not None and i.opcode is Opcode.END

    def _possible(self) -> list[Step]:
        steps = []
        if self._next < len(self._program):
            i = self._program[self._next]
            if i is None:
                raise MachineError(ErrorCode.UNKNOWN_OPCODE, self._next, "no such opcode")
            if i.queue is not None and len(self._waiting[i.queue]) < self._depth:
                steps.append(Step("dispatch", i.queue, self._next))
        for queue in Queue:
            waiting, active = self._waiting[queue], self._active[queue]
            if waiting and len(active) < IN_FLIGHT[queue] and self._tokens.ready(waiting[0][1], queue):
                steps.append(Step("issue", queue, waiting[0][0]))
            if active:
                steps.append(Step("complete", queue, active[0].pc))
        return steps

    def _take(self, step: Step) -> None:
        queue = step.queue
        if step.kind == "dispatch":
            i = self._program[self._next]
            assert i is not None
            self._waiting[queue].append((self._next, i))
            self._next += 1
        elif step.kind == "issue":
            pc, i = self._waiting[queue].popleft()
            self._tokens.take(i, queue)
            self._active[queue].append(Active(pc, i, self._started(i, pc)))
        else:
            done = self._active[queue].popleft()
            done.finish()
            self._tokens.give(done.instruction, queue, done.pc)

    def _started(self, i: Instruction, pc: int) -> Finish:
        try:
            return self._start(i, pc)
        except MachineError as error:
            kept = error

        def stop() -> None:
            raise kept

        return stop
