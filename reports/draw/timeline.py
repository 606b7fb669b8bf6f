"""The timeline of a schedule as SVG: four queues as lanes over time, and the layers above them.

Drawn here once at a fixed width, for print and for readers without scripts; ``schedule.js`` draws the same again
from the same data at the width of the screen, zoomed.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from vitreous.reports.draw.chart import tick_step
from vitreous.reports.figures.schedule import EMPTY, QUEUES, Schedule
from vitreous.reports.formatting import grouped
from vitreous.spec.isa import Queue

WIDTH = 1120
LEFT = 64
"""Pixels for the lanes' names."""
LANE, GAP, BAND = 30, 8, 18
TOP = BAND + GAP
HEIGHT = TOP + 4 * (LANE + GAP) + 22


def layer_bands(schedule: Schedule) -> list[tuple[int, int, int]]:
    """(label, start, end) of the runs of one layer in the matrix queue; each begins when the previous one retires."""
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


def _rect(name: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{name}" x="{x:.1f}" y="{y:g}" width="{max(width, 0.5):.1f}" height="{height:g}"/>'


def _bands(schedule: Schedule, scale: float) -> list[str]:
    parts = []
    for index, (label, start, end) in enumerate(layer_bands(schedule)):
        parts.append(_rect(f"band{index % 2}", LEFT + start * scale, 0, (end - start) * scale, BAND))
        name = schedule.labels[label]
        if (end - start) * scale > 7 * len(name):
            middle = LEFT + (start + end) / 2 * scale
            parts.append(f'<text x="{middle:.1f}" y="13" class="middle">{escape(name)}</text>')
    return parts


def _lane(schedule: Schedule, queue: int, scale: float) -> list[str]:
    y = TOP + queue * (LANE + GAP)
    parts = [
        _rect("lane", LEFT, y, WIDTH - LEFT, LANE),
        f'<text x="{LEFT - 8}" y="{y + LANE / 2 + 4:g}" class="end">{QUEUES[queue]}</text>',
    ]
    waits = [(cause, start * scale, end * scale) for q, start, end, cause in schedule.waits if q == queue]
    drawn = _merged([wait for wait in waits if wait[0] != EMPTY])
    parts += [_rect(f"w{cause}", LEFT + a, y + LANE / 2 - 3, b - a, 6) for cause, a, b in drawn]
    parts += [
        _rect(f"k{kind}", LEFT + a, y + 2, b - a, LANE - 4)
        for kind, a, b in _merged(_bars(schedule, queue, scale))
    ]
    return parts


def _bars(schedule: Schedule, queue: int, scale: float) -> list[tuple[int, float, float]]:
    """(kind, left, right) in pixels; a bar begins at its issue, or when the previous instruction retires."""
    bars, complete = [], 0
    for span in schedule.spans:
        if span[0] == queue:
            bars.append((span[4], max(span[2], complete) * scale, span[3] * scale))
            complete = max(span[3], complete)
    return bars


def _merged(bars: list[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    """Bars of one colour that touch at this resolution as one."""
    merged: list[tuple[int, float, float]] = []
    for kind, left, right in bars:
        if merged and merged[-1][0] == kind and left - merged[-1][2] < 0.5:
            merged[-1] = (kind, merged[-1][1], max(right, merged[-1][2]))
        else:
            merged.append((kind, left, right))
    return merged


def svg(schedule: Schedule) -> str:
    """The whole image's schedule."""
    scale = (WIDTH - LEFT) / max(schedule.cycles, 1)
    parts = _bands(schedule, scale)
    for queue in range(len(QUEUES)):
        parts += _lane(schedule, queue, scale)
    for tick in range(0, schedule.cycles + 1, tick_step(schedule.cycles)):
        x = LEFT + tick * scale
        if x < WIDTH - 60:
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 6}" class="tick">{grouped(tick)}</text>')
    return (
        f'<svg id="schedule" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Schedule of one image: when each queue worked on what">{"".join(parts)}</svg>'
    )


def data(schedule: Schedule) -> str:
    """The same for ``schedule.js``, as JSON that a script element can hold."""
    contents: dict[str, Any] = {
        "cycles": schedule.cycles,
        "labels": schedule.labels,
        "kinds": schedule.kinds,
        "causes": schedule.causes,
        "queues": QUEUES,
        "spans": schedule.spans,
        "waits": schedule.waits,
        "bands": layer_bands(schedule),
    }
    # "</" inside a script element would end it.
    return json.dumps(contents, separators=(",", ":")).replace("</", "<\\/")
