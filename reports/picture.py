"""The picture of a schedule as SVG: four queues as lanes over time, and the layers above them.

Drawn here once at a fixed width, for print and for readers without scripts; ``schedule.js`` draws the same again
from the same data at the width of the screen, zoomed.
"""

from __future__ import annotations

from html import escape

from vitreous.reports.report import Schedule
from vitreous.spec.isa import Queue

WIDTH = 1120
LEFT = 64
"""Pixels for the lanes' names."""
LANE, GAP, BAND = 30, 8, 18
TOP = BAND + GAP
HEIGHT = TOP + 4 * (LANE + GAP) + 22
QUEUES = tuple(queue.name.lower() for queue in Queue)


def tick_step(cycles: int, wanted: int = 8) -> int:
    """The 1, 2 or 5 times a power of ten that gives at most ``wanted`` ticks over ``cycles``."""
    step = 1
    while cycles / step > wanted:
        for factor in (2, 5, 10):
            if cycles / (step * factor) <= wanted:
                return step * factor
        step *= 10
    return step


def layer_bands(schedule: Schedule) -> list[tuple[int, int, int]]:
    """(label, start, end) of the runs of one layer in the matrix queue; each begins when the one before is complete."""
    bands: list[tuple[int, int, int]] = []
    complete = 0
    for queue, _, start, end, _, label in schedule.spans:
        if queue != Queue.MATRIX:
            continue
        if bands and bands[-1][0] == label:
            bands[-1] = (label, bands[-1][1], end)
        else:
            bands.append((label, max(start, complete), end))
        complete = end
    return bands


def svg(schedule: Schedule) -> str:
    """The whole image's schedule; spans of one kind that touch at this resolution are drawn as one."""
    scale = (WIDTH - LEFT) / max(schedule.cycles, 1)
    parts = []
    for index, (label, start, end) in enumerate(layer_bands(schedule)):
        width = (end - start) * scale
        parts.append(
            f'<rect class="band{index % 2}" x="{LEFT + start * scale:.1f}" y="0" width="{max(width, 0.5):.1f}" '
            f'height="{BAND}"/>'
        )
        name = schedule.labels[label]
        if width > 7 * len(name):
            parts.append(
                f'<text x="{LEFT + (start + end) / 2 * scale:.1f}" y="13" class="middle">{escape(name)}</text>'
            )
    for queue, name in enumerate(QUEUES):
        y = TOP + queue * (LANE + GAP)
        parts.append(
            f'<rect class="lane" x="{LEFT}" y="{y}" width="{WIDTH - LEFT}" height="{LANE}"/>'
            f'<text x="{LEFT - 8}" y="{y + LANE / 2 + 4}" class="end">{name}</text>'
        )
        parts += [
            f'<rect class="k{kind}" x="{LEFT + a:.1f}" y="{y + 2}" width="{max(b - a, 0.5):.1f}" '
            f'height="{LANE - 4}"/>'
            for kind, a, b in _merged(schedule, queue, scale)
        ]
    step = tick_step(schedule.cycles)
    for tick in range(0, schedule.cycles + 1, step):
        x = LEFT + tick * scale
        if x < WIDTH - 24:
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 6}" class="tick">{tick:,}</text>')
    return (
        f'<svg id="schedule" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Schedule of one image: when each queue worked on what">{"".join(parts)}</svg>'
    )


def _merged(schedule: Schedule, queue: int, scale: float) -> list[tuple[int, float, float]]:
    """(kind, left, right) in pixels; a bar begins at its issue, or when the instruction before it is complete."""
    merged: list[tuple[int, float, float]] = []
    complete = 0
    for span in schedule.spans:
        if span[0] != queue:
            continue
        left, right = max(span[2], complete) * scale, span[3] * scale
        complete = max(span[3], complete)
        if merged and merged[-1][0] == span[4] and left - merged[-1][2] < 0.5:
            merged[-1] = (span[4], merged[-1][1], max(right, merged[-1][2]))
        else:
            merged.append((span[4], left, right))
    return merged
