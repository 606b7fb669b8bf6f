"""The trace that the bench writes: which instruction issued and retired in which cycle."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import NamedTuple

from vitreous.spec.isa import PC_BITS, Queue

_DIGITS = PC_BITS // 4
"""Hexadecimal, of a program counter."""


class Span(NamedTuple):
    """One instruction's life: issued (tokens taken) at ``start``, retired at ``end``, in cycles since the
    image began.
    """

    queue: Queue
    pc: int
    start: int
    end: int


def read_trace(path: Path, first_cycle: int, last_cycle: int) -> tuple[Span, ...]:
    """Spans of the instructions that issued between the two cycles, by start.

    Each line is: cycle (decimal), issue mask, done mask, program counters of the four queues (hexadecimal, LOAD
    lowest).
    Instructions of a queue retire in order, so the n-th done belongs to the n-th issue.
    """
    waiting: dict[Queue, deque[tuple[int, int]]] = {queue: deque() for queue in Queue}
    spans = []
    with path.open() as lines:
        for line in lines:
            cycle_text, issue_text, done_text, pc_text = line.split()
            cycle = int(cycle_text)
            if not first_cycle <= cycle <= last_cycle:
                continue
            issue, done = int(issue_text, 16), int(done_text, 16)
            for queue in Queue:
                if issue >> queue & 1:
                    # One queue's alone: of one that is empty a simulator with unknown values may write x.
                    pc = int(pc_text[::-1][_DIGITS * queue : _DIGITS * (queue + 1)][::-1], 16)
                    waiting[queue].append((pc, cycle - first_cycle))
                if done >> queue & 1:
                    pc, start = waiting[queue].popleft()
                    spans.append(Span(queue, pc, start, cycle - first_cycle))
    return tuple(sorted(spans, key=lambda span: (span.start, span.queue)))
