"""Pass 6: tokens. Every hazard between instructions that could overtake each other is ordered by a token,
and by no more than needed.

Within a queue instructions retire in order, one after another, except that the matrix unit begins an
instruction while an earlier one is still read out: there only read after write needs a token. Between queues all
three hazards do. The n-th signal from P to Q is taken by the n-th wait of Q on P, so the ordered pairs (i,
j) are placed with both i and j growing; a pair that follows from others is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vitreous.compiler.accesses import WordMap, accesses
from vitreous.compiler.errors import CompileError
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import TOKEN_BITS, Instruction, Queue

QUEUES = len(Queue)
Edge = tuple[Queue, int, Queue, int]
"""(queue, index) that must be complete before (queue, index) issues; indices count instructions of their queue."""


class _Order:
    """What is known to be complete when an instruction issues: for each queue the index of its last such
    instruction."""

    def __init__(self) -> None:
        self.edges: list[Edge] = []
        self._issued = np.full((QUEUES, QUEUES), -1, np.int64)
        self._complete: list[list[np.ndarray]] = [[] for _ in Queue]

    def last(self, queue: Queue) -> int:
        """Index of the last instruction of ``queue`` so far, -1 before the first."""
        return len(self._complete[queue]) - 1

    def add(self, queue: Queue, needed: np.ndarray) -> int:
        """Issue the next instruction of ``queue`` after those in ``needed`` (-1: none); its index."""
        index = len(self._complete[queue])
        known = self._issued[queue].copy()
        if queue is not Queue.MATRIX:
            known[queue] = index - 1
        # What one source is known to have waited for may cover what is needed of another.
        sources = [source for source in Queue if needed[source] > known[source]]
        for source in sources:
            others = [self._complete[other][needed[other]] for other in sources if other is not source]
            if any(other[source] >= needed[source] for other in others):
                continue
            self.edges.append((source, int(needed[source]), queue, index))
        for source in sources:
            np.maximum(known, self._complete[source][needed[source]], out=known)
        self._issued[queue] = known
        complete = known.copy()
        complete[queue] = index
        self._complete[queue].append(complete)
        return index


NO_SLOTS: Mapping[int, int] = {}


def dependencies(
    instructions: Sequence[Instruction], config: AcceleratorConfig, slots: Mapping[int, int] = NO_SLOTS
) -> list[Edge]:
    """The tokens that the program needs, in program order of the waiting instruction.

    slots : position of a transfer that represents a slot of S (``lowering.spill``) to the slot. Without
    ``schedule.double_buffer`` a load also waits for everything computed before it.
    """
    order, written, read = _Order(), WordMap(config, QUEUES), WordMap(config, QUEUES)
    for position, instruction in enumerate(instructions):
        queue = instruction.queue
        if queue is None:
            continue
        reads, writes = accesses(instruction, config, slots.get(position))
        needed = np.full(QUEUES, -1, np.int64)
        for region in reads:
            np.maximum(needed, written.latest(region), out=needed)
        own = needed[queue] if queue is Queue.MATRIX else -1
        for region in writes:
            np.maximum(needed, written.latest(region), out=needed)
            np.maximum(needed, read.latest(region), out=needed)
        needed[queue] = own
        if queue is Queue.LOAD and not config.schedule.double_buffer:
            for computing in (Queue.MATRIX, Queue.VECTOR):
                needed[computing] = order.last(computing)
        index = order.add(queue, needed)
        for region in reads:
            read.put(region, queue, index)
        for region in writes:
            written.put(region, queue, index)
    return order.edges


def place_tokens(
    instructions: Sequence[Instruction], config: AcceleratorConfig, slots: Mapping[int, int] = NO_SLOTS
) -> list[Instruction]:
    """The same instructions with their wait and signal masks; ``slots`` as in ``dependencies``.

    Raises CompileError when a counter could overflow.
    """
    positions: list[list[int]] = [[] for _ in Queue]
    for position, instruction in enumerate(instructions):
        if instruction.queue is not None:
            positions[instruction.queue].append(position)
    wait, signal = [0] * len(instructions), [0] * len(instructions)
    edges = dependencies(instructions, config, slots)
    for source, i, queue, j in edges:
        signal[positions[source][i]] |= 1 << queue
        wait[positions[queue][j]] |= 1 << source
    most = _most_tokens(np.array(edges, np.int64).reshape(-1, 4), [len(each) for each in positions])
    if most >= 1 << TOKEN_BITS:
        raise CompileError(
            f"The program may leave {most} tokens between two queues; a counter holds {(1 << TOKEN_BITS) - 1}"
        )
    return [
        instruction.with_tokens(wait=wait[position], signal=signal[position])
        for position, instruction in enumerate(instructions)
    ]


def _most_tokens(edges: NDArray[np.int64], lengths: Sequence[int]) -> int:
    """No counter between two queues ever holds more: of ``edges`` as rows (source, i, queue, j), each a token.

    When instruction p of the source has been issued, those up to p have given at most their tokens, and the other queue
    has issued all up to the last one that the source had to wait for; of the source itself, all up to p.
    """
    most = 0
    for source, queue in itertools.product(range(QUEUES), repeat=2):
        given = edges[(edges[:, 0] == source) & (edges[:, 2] == queue)]
        if not len(given):
            continue
        reached = np.arange(lengths[source])
        if source != queue:
            back = edges[(edges[:, 0] == queue) & (edges[:, 2] == source)]
            reached = np.full(lengths[source], -1)
            np.maximum.at(reached, back[:, 3], back[:, 1])
            reached = np.maximum.accumulate(reached)
        taken = np.concatenate([np.bincount(given[:, 3], minlength=lengths[queue]).cumsum(), [0]])
        left = np.bincount(given[:, 1], minlength=lengths[source]).cumsum() - taken[reached]
        most = max(most, int(left.max()))
    return most
