"""The points of an exploration as pictures for a page: the first objective across, each of the others upwards."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from vitreous.reports.draw import chart
from vitreous.reports.draw.chart import Axis
from vitreous.reports.exploration import front
from vitreous.reports.exploration.exploration import ExploredPoint, Goal, Searched
from vitreous.reports.exploration.pareto import best
from vitreous.reports.formatting import figures3, grouped


def _axis(values: Sequence[float], start: float, end: float) -> Axis:
    """Logarithmic where the values span a factor of 4 or more; a little wider than the values."""
    low, high = min(values), max(values)
    if low > 0 and high > 4 * low:
        return Axis(low / 1.25, high * 1.25, start, end, log=True)
    margin = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return Axis(low - margin, high + margin, start, end)


def title(goal: Goal) -> str:
    """The objective with its unit."""
    return f"{goal.name}, {goal.unit}" if goal.unit else goal.name


def tick(value: float) -> str:
    """A round number without the zeros that it does not need."""
    return grouped(value) if value >= 1000 else f"{value:g}"


def _dots(points: Sequence[ExploredPoint], x: Axis, y: Axis, across: Goal, up: Goal) -> str:
    parts = []
    drawn: set[tuple[str, str, str]] = set()
    for point in sorted(points, key=lambda p: (p.front, p.feasible)):
        cx, cy = x(point.figures[across.figure]), y(point.figures[up.figure])
        name = "dot u-array" if point.front else "dot u-static" if point.feasible else "dot u-dram pale"
        about = (
            f"point {point.number}: {across.name} {figures3(point.figures[across.figure])}, {up.name} "
            f"{figures3(point.figures[up.figure])}"
        )
        place = (name, f"{cx:.1f}", f"{cy:.1f}")
        if place in drawn and point.confirmation is None:
            continue
        drawn.add(place)
        radius = 4.5 if point.front else 3
        parts.append(
            f'<circle class="{name}" cx="{cx:.1f}" cy="{cy:.1f}" r="{radius}">'
            f"<title>{escape(about)}</title></circle>"
        )
        if point.confirmation is not None:
            parts.append(f'<circle class="confirmed" cx="{cx:.1f}" cy="{cy:.1f}" r="7.5"/>')
    return "".join(parts)


COMMON = ("energy_mj",)
"""Figures whose range moves all points together: it says nothing about one against another, so it is not drawn."""


def _interval(goal: Goal, point: ExploredPoint, images: int) -> tuple[float, float] | None:
    return None if goal.figure in COMMON else front.interval(goal, point, images)


def whiskered(searches: Sequence[Searched], goals: Sequence[Goal]) -> list[str]:
    """The objectives whose intervals the pictures draw."""
    points = [(p, s.images) for s in searches for p in s.front]
    return [g.name for g in goals if any(_interval(g, p, images) for p, images in points)]


def _whiskers(searched: Searched, x: Axis, y: Axis, across: Goal, up: Goal) -> str:
    """The intervals of the front's points, one after the other."""
    parts = []
    for row in front.rows(searched, (across, up)):
        cx, cy = x(row.point.figures[across.figure]), y(row.point.figures[up.figure])
        for goal, axis in ((across, x), (up, y)):
            ends = _interval(goal, row.point, searched.images)
            if ends is not None:
                low, high = axis(ends[0]), axis(ends[1])
                level = axis is x
                parts.append(
                    chart.line("whisker", [(low, cy), (high, cy)] if level else [(cx, low), (cx, high)])
                )
    return "".join(parts)


def _values(searched: Searched, known: Sequence[ExploredPoint], goal: Goal) -> list[float]:
    """All that an axis must hold."""
    ends = [_interval(goal, p, searched.images) for p in searched.front]
    return [*(p.figures[goal.figure] for p in known), *(end for pair in ends if pair for end in pair)]


def draw(searched: Searched, across: Goal, up: Goal, name: str, width: float, height: float) -> str:
    """One picture at one size; empty without points. ``name``: ``wide`` or ``narrow``."""
    known = [point for point in searched.points if point.figures]
    if not known:
        return ""
    x = _axis(_values(searched, known, across), 62, width - 24)
    y = _axis(_values(searched, known, up), height - 40, 22)
    edge = best((p, across.loss(p), up.loss(p)) for p in known if p.feasible)
    ticks = 4 if width < 400 else 6
    body = [
        chart.frame(
            x,
            y,
            [(v, tick(v)) for v in x.ticks(ticks)],
            [(v, tick(v)) for v in y.ticks(6)],
        ),
        chart.text("center", (x.start + x.end) / 2, height - 6, title(across)),
        chart.text("", 4, 12, title(up)),
        chart.line("lead", [(x(p.figures[across.figure]), y(p.figures[up.figure])) for p in edge]),
        _whiskers(searched, x, y, across, up),
        _dots(known, x, y, across, up),
    ]
    about = f"{searched.label}: {title(up)} over {title(across)} of {len(known)} designs"
    return chart.svg(name, width, height, about, "".join(body))


def pictures(searched: Searched, goals: Sequence[Goal]) -> list[str]:
    """One for each objective after the first, each in two sizes."""
    first, *others = goals
    return [
        draw(searched, first, goal, "wide", 540, 340) + draw(searched, first, goal, "narrow", 340, 300)
        for goal in others or [first]
    ]
