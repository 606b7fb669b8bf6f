"""The on-chip memories over time as a picture: one strip each, a rectangle for each buffer of the compiler.

Across: from the issue of the first instruction that names the buffer to the retirement of the last. Upwards: its words.
A rectangle has its name, or the end of it, where there is room, and all that is known of it as a tooltip where a
pointer can find it.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from vitreous.reports.draw import chart
from vitreous.reports.draw.chart import Axis, Box
from vitreous.reports.figures.memory_map import ChipMemory
from vitreous.reports.formatting import grouped
from vitreous.reports.record.memory import BufferRecord
from vitreous.reports.report import Report

STRIP, GAP, LEFT = 84, 26, 14
ROOM = 15
"""Pixels of height that a name needs."""
LARGEST = 5
"""Buffers of each memory in the table beside the picture."""


@dataclass(frozen=True)
class Life:
    """A buffer and when it lives: cycles, or instructions where there is no trace. ``bytes`` it takes."""

    buffer: BufferRecord
    start: float
    end: float
    bytes: int

    @property
    def weight(self) -> float:
        """Bytes times time: what it takes of its memory."""
        return self.bytes * (self.end - self.start)


def times(report: Report) -> tuple[dict[int, float], dict[int, float], float]:
    """(start by instruction, end by instruction, length); instructions themselves where there is no trace."""
    if report.schedule.spans:
        starts = {span[1]: float(span[2]) for span in report.schedule.spans}
        ends = {span[1]: float(span[3]) for span in report.schedule.spans}
        return starts, ends, float(report.schedule.cycles)
    last = max((b.last_pc for m in report.memory_map.chip for b in m.buffers), default=0)
    numbers = {pc: float(pc) for pc in range(last + 1)}
    return numbers, {pc: pc + 1.0 for pc in numbers}, last + 1.0


def lives(report: Report, memory: ChipMemory) -> list[Life]:
    """Of the buffers of one memory, in the order of its record."""
    starts, ends, length = times(report)
    return [
        Life(
            b,
            min(starts.get(b.first_pc, 0.0), length),
            min(ends.get(b.last_pc, length), length),
            b.words * memory.word_bytes,
        )
        for b in memory.buffers
    ]


def largest(report: Report) -> list[Life]:
    """Of each memory the buffers that take most of it, over time."""
    found = []
    for memory in report.memory_map.chip:
        found += sorted(lives(report, memory), key=lambda life: -life.weight)[:LARGEST]
    return found


def about(life: Life, unit: str) -> str:
    """A tooltip: name, layer, words, time."""
    b = life.buffer
    layer = f" of {b.layer}" if b.layer and b.layer != b.name else ""
    return (
        f"{b.name}{layer}: words {grouped(b.base)} to {grouped(b.base + b.words - 1)} of {b.memory}, "
        f"{grouped(life.bytes)} bytes; {unit} {grouped(life.start)} to {grouped(life.end)}"
    )


def short(name: str, width: float) -> str:
    """``name``, or as many of its last parts as ``width`` pixels hold; empty where that is none."""
    parts = name.split(".")
    ends = (".".join(parts[first:]) for first in range(len(parts)))
    return next((end for end in ends if chart.CHARACTER * len(end) <= width), "")


def _buffer(life: Life, shade: str, x: Axis, y: Axis, unit: str, taken: list[Box]) -> str:
    """``taken`` : by names; where this one is written, too, it is added."""
    b = life.buffer
    left, right, upper, lower = x(life.start), x(life.end), y(b.base + b.words), y(b.base)
    width, height = max(right - left, 0.6), max(lower - upper, 0.6)
    box = f'<rect class="{shade}" x="{left:.1f}" y="{upper:.1f}" width="{width:.1f}" height="{height:.1f}"'
    if width < 1:
        return f"{box}/>"
    drawn = f"{box}><title>{escape(about(life, unit))}</title></rect>"
    name, middle = short(b.name, width - 8), (upper + lower) / 2
    place = left + 4, middle - ROOM / 2, left + 4 + chart.CHARACTER * len(name), middle + ROOM / 2
    if name and height >= ROOM and not any(chart.meets(place, other) for other in taken):
        taken.append(place)
        drawn += chart.text("inside", left + 4, middle + 4, name)
    return drawn


def _strip(report: Report, memory: ChipMemory, top: float, x: Axis) -> str:
    y = Axis(0, max(memory.highest, 1), top + STRIP, top)
    unit = "cycles" if report.schedule.spans else "instructions"
    parts = [f'<rect class="lane" x="{LEFT}" y="{top:g}" width="{x.end - x.start:.1f}" height="{STRIP}"/>']
    taken: list[Box] = []
    for index, life in enumerate(lives(report, memory)):
        shade = f"u-{memory.name.lower()}{' pale' if index % 2 else ''}"
        parts.append(_buffer(life, shade, x, y, unit, taken))
    words = f"{memory.name}: words 0 to {grouped(memory.highest)} of {grouped(memory.words)}"
    return chart.text("label", LEFT, top - 6, words) + "".join(parts)


def draw(report: Report, name: str, width: float) -> str:
    """All memories that have buffers, at one width; empty without any."""
    memories = [memory for memory in report.memory_map.chip if memory.buffers]
    if not memories:
        return ""
    length = times(report)[2]
    x = Axis(0, length, LEFT, width - 8)
    body = [_strip(report, m, GAP - 6 + index * (STRIP + GAP), x) for index, m in enumerate(memories)]
    height = GAP + len(memories) * (STRIP + GAP) + 6
    step = chart.tick_step(length, 4 if width < 600 else 8)
    body += [
        chart.text("tick", x(tick), height - 8, grouped(tick))
        for tick in range(0, int(length) + 1, step)
        if x(tick) < width - 8 - chart.CHARACTER * len(grouped(tick))
    ]
    return chart.svg(name, width, height, "On-chip memories: which words are taken when", "".join(body))
