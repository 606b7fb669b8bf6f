"""What moves between chip and DRAM over time: the bytes of each load and store of the schedule."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from vitreous.reports.figures.events import Events, dram_bytes
from vitreous.reports.record.record import Record
from vitreous.spec.isa import Queue


@dataclass(frozen=True, slots=True)
class Transfer:
    """``bytes`` on the bus in cycles ``start`` to ``end``; ``pc`` says by which instruction."""

    queue: int
    pc: int
    start: int
    end: int
    bytes: int


def transfers(record: Record, events: Events) -> tuple[Transfer, ...]:
    """Loads and stores of the first image in the order of their issue; whole beats count. ``events`` : of its program.

    ``start`` is the issue, or the retirement of the previous one in the queue: at most one works at a time.
    """
    complete: dict[int, int] = defaultdict(int)
    found = []
    for queue, pc, start, end in record.simulation.spans:
        if queue not in (Queue.LOAD, Queue.STORE):
            continue
        size = dram_bytes(events.instructions[pc], record.accelerator)
        first, complete[queue] = max(start, complete[queue]), max(end, complete[queue])
        if size and end > first:
            found.append(Transfer(queue, pc, first, end, size))
    return tuple(found)
