"""The points of an exploration as pictures for a page: the first objective across, each of the others upwards."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from vitreous.reports.draw import chart
from vitreous.reports.draw.chart import Axis
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
    for point in sorted(points, key=lambda p: (p.front, p.feasible)):
        cx, cy = x(point.figures[across.figure]), y(point.figures[up.figure])
        name = "dot u-array" if point.front else "dot u-static" if point.feasible else "dot u-dram pale"
        about = (
            f"point {point.number}: {across.name} {figures3(point.figures[across.figure])}, {up.name} "
            f"{figures3(point.figures[up.figure])}"
        )
        radius = 4.5 if point.front else 3
        parts.append(
            f'<circle class="{name}" cx="{cx:.1f}" cy="{cy:.1f}" r="{radius}">'
            f"<title>{escape(about)}</title></circle>"
        )
        if point.confirmation is not None:
            parts.append(f'<circle class="confirmed" cx="{cx:.1f}" cy="{cy:.1f}" r="7.5"/>')
    return "".join(parts)


def draw(searched: Searched, across: Goal, up: Goal, name: str, width: float, height: float) -> str:
    """One picture at one size; empty without points. ``name``: ``wide`` or ``narrow``."""
    known = [point for point in searched.points if point.figures]
    if not known:
        return ""
    x = _axis([p.figures[across.figure] for p in known], 62, width - 24)
    y = _axis([p.figures[up.figure] for p in known], height - 40, 22)
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
