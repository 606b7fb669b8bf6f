"""The schedule of one image: when each queue worked on what, and what it waited for in between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vitreous.reports.figures import figures
from vitreous.reports.record.record import Record
from vitreous.spec.isa import Instruction, Queue

QUEUES = tuple(queue.name.lower() for queue in Queue)
EMPTY = len(QUEUES)
"""The cause of a gap that no token explains: nothing was queued, or the instruction was being issued."""
CAUSES = (*(f"waits for {name}" for name in QUEUES), "nothing queued")

Span = tuple[int, int, int, int]
Wait = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Work and waits of the four queues in the first image, in cycles.

    spans : (queue, pc, start, end, kind, label); the last two are indices into ``kinds`` and ``labels``.
    waits : (queue, start, end, cause); ``cause`` is an index into ``causes``.
    """

    kinds: tuple[str, ...]
    labels: tuple[str, ...]
    causes: tuple[str, ...]
    spans: tuple[tuple[int, int, int, int, int, int], ...]
    waits: tuple[Wait, ...]
    cycles: int


def arrivals(program: Sequence[Instruction], spans: Sequence[Span]) -> dict[int, dict[int, int]]:
    """For each instruction by program counter: the cycle at which the token of each queue in its ``wait`` was there.

    Tokens from one queue to another are alike and both sides are in order: the n-th wait takes the n-th signal, which
    is given when its instruction retires. A token whose giver has no span is left out.
    """
    ends = {pc: end for _, pc, _, end in spans}
    given: Mapping[tuple[int, int], list[int | None]] = defaultdict(list)
    for pc, instruction in enumerate(program):
        for target in Queue:
            if instruction.queue is not None and instruction.signal >> target & 1:
                given[instruction.queue, target].append(ends.get(pc))
    taken: dict[tuple[int, int], int] = defaultdict(int)
    found: dict[int, dict[int, int]] = {}
    for pc, instruction in enumerate(program):
        found[pc] = {}
        for source in Queue:
            if instruction.queue is None or not instruction.wait >> source & 1:
                continue
            line, number = (source, instruction.queue), taken[source, instruction.queue]
            taken[line] += 1
            when = given[line][number] if number < len(given[line]) else None
            if when is not None:
                found[pc][source] = when
    return found


def waits(program: Sequence[Instruction], spans: Sequence[Span]) -> tuple[Wait, ...]:
    """(queue, start, end, cause) of every gap between two instructions of a queue, by what the second one lacked.

    Where it lacked tokens of several queues, the lowest one counts, as in the hardware's counters.
    """
    there = arrivals(program, spans)
    complete = [0] * len(QUEUES)
    found: list[Wait] = []
    for queue, pc, start, end in sorted(spans, key=lambda span: span[1]):
        now = complete[queue]
        for source, when in sorted(there[pc].items()):
            until = min(when, start)
            if until > now:
                found.append((queue, now, until, source))
                now = until
        if start > now:
            found.append((queue, now, start, EMPTY))
        complete[queue] = max(complete[queue], end)
    return tuple(found)


def schedule(record: Record) -> Schedule:
    """The first image's spans with what each instruction does and which layer it serves, and the waits between."""
    labels = tuple(dict.fromkeys(i.label for i in record.program))
    label_index = {label: index for index, label in enumerate(labels)}
    kind_index = {name: index for index, name in enumerate(figures.KINDS)}
    spans = tuple(
        (
            queue,
            pc,
            start,
            end,
            kind_index[figures.kind(record.program[pc])],
            label_index[record.program[pc].label],
        )
        for queue, pc, start, end in record.simulation.spans
    )
    cycles = record.simulation.images[0].counters["cycles"]
    return Schedule(
        kinds=figures.KINDS,
        labels=labels,
        causes=CAUSES,
        spans=spans,
        waits=waits(record.program, record.simulation.spans),
        cycles=max([cycles, *(span[3] for span in spans)]),
    )
