"""Where a program can stop, from its tokens and its instructions' fields alone.

No data decides what the machine does next, so this needs no memory: a queue whose oldest instruction has an error never
gets past it, all others go on as far as their tokens allow. What is reached then is reached in every order. Which of
several queues' errors comes first is a matter of cycles, and each of them a possible end.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import NamedTuple

from vitreous.golden.machine.errors import MachineError
from vitreous.golden.machine.faults import Windows, first_fault
from vitreous.golden.machine.queues import IN_FLIGHT
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import INSTRUCTION_BYTES, ErrorCode, Instruction, Opcode, Queue

ADDRESS_SPACE = 1 << 32
"""Bytes that the bus can address."""


class Stop(NamedTuple):
    """STATUS after a run: ``code`` NONE (and ``pc`` 0) where the program is done."""

    code: ErrorCode
    pc: int


DONE = Stop(ErrorCode.NONE, 0)


def window_stop(bases: Windows, sizes: Windows, offset: int, length: int) -> Stop | None:
    """What stops the machine before it runs anything: a window that ends beyond the address space (instruction 0), a
    program that does not lie in the read window (its first instruction outside)."""
    if any(base + size > ADDRESS_SPACE for base, size in zip(bases, sizes, strict=True)):
        return Stop(ErrorCode.WINDOW, 0)
    if length and offset + length * INSTRUCTION_BYTES > sizes.read:
        return Stop(ErrorCode.WINDOW, max(0, sizes.read - offset) // INSTRUCTION_BYTES)
    return None


def possible_stops(
    code: Sequence[Instruction | None],
    config: AcceleratorConfig,
    windows: Windows,
    tokens: Counter[tuple[Queue, Queue]] | None = None,
) -> set[Stop]:
    """Every end that some order of the queues leads to; one alone is the machine's. ``code`` : None represents an
    opcode that does not exist."""
    walk = _Walk(code, config, windows, Counter(tokens or ()))
    while walk.step():
        pass
    return walk.ends()


class _Walk:
    """The furthest that every queue gets."""

    def __init__(
        self,
        code: Sequence[Instruction | None],
        config: AcceleratorConfig,
        windows: Windows,
        tokens: Counter[tuple[Queue, Queue]],
    ) -> None:
        self._code, self._config, self._windows, self._tokens = code, config, windows, tokens
        self._next = 0
        self._waiting: dict[Queue, deque[tuple[int, Instruction]]] = {queue: deque() for queue in Queue}
        self._stopped: dict[Queue, MachineError] = {}
        self._behind: Counter[Queue] = Counter()  # instructions that are in flight behind one with an error

    def step(self) -> bool:
        """Dispatch and issue what can be; whether anything was."""
        moved = self._dispatch()
        for queue in Queue:
            while self._issue(queue):
                moved = True
        return moved

    def _dispatch(self) -> bool:
        moved = False
        while self._next < len(self._code):
            i = self._code[self._next]
            if i is None or i.queue is None or len(self._waiting[i.queue]) == self._config.queue.depth:
                break
            self._waiting[i.queue].append((self._next, i))
            self._next += 1
            moved = True
        return moved

    def _issue(self, queue: Queue) -> bool:
        waiting = self._waiting[queue]
        if not waiting or (queue in self._stopped and self._behind[queue] + 1 >= IN_FLIGHT[queue]):
            return False
        pc, i = waiting[0]
        sources = [source for source in Queue if i.wait >> source & 1]
        if not all(self._tokens[source, queue] for source in sources):
            return False
        waiting.popleft()
        for source in sources:
            self._tokens[source, queue] -= 1
        if queue in self._stopped:
            self._behind[queue] += 1
            return True
        fault = first_fault(i, pc, self._config, self._windows)
        if fault is not None:
            self._stopped[queue] = fault
            return True
        for target in Queue:
            self._tokens[queue, target] += i.signal >> target & 1
        return True

    def ends(self) -> set[Stop]:
        found = {Stop(error.code, error.pc) for error in self._stopped.values()}
        at = self._code[self._next] if self._next < len(self._code) else None
        if self._next < len(self._code) and at is None:
            found.add(Stop(ErrorCode.UNKNOWN_OPCODE, self._next))
        if found:
            return found
        heads = [waiting[0][0] for waiting in self._waiting.values() if waiting]
        if heads:
            return {Stop(ErrorCode.DEADLOCK, min(heads))}
        if at is not None and at.opcode is Opcode.END:
            return {DONE}
        return {Stop(ErrorCode.NO_END, max(0, self._next - 1))}
