"""An exploration as Markdown: how it was run, Pareto fronts as tables, what the RTL said; ``python -m`` prints it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vitreous.reports.exploration.exploration import Exploration, ExploredPoint, Searched, load
from vitreous.reports.tables import markdown_table


def page(found: Exploration) -> str:
    """The whole exploration; every front, every confirmation, and why designs were infeasible."""
    head = [
        f"# Exploration of {found.name}",
        "",
        f"{found.date}; seed {found.seed}; {found.combinations:,} combinations around {found.accelerator}; search "
        f"{found.seconds:,.0f} s wall time, {found.cpu_seconds:,.0f} s processor time of all processes.",
        "",
        f"Searched: {', '.join(f'`{name}`' for name in found.dimensions)}.",
        "",
        markdown_table(
            ("objective", "unit", "how", "what"), ((g.name, g.unit, g.how, g.meaning) for g in found.goals)
        ),
        "",
    ]
    return "\n".join([*head, *(line for searched in found.searches for line in _searched(found, searched))])


def _searched(found: Exploration, searched: Searched) -> list[str]:
    refusals = Counter(reason_of(point) for point in searched.points if not point.feasible)
    varying = _varying(searched.front)
    figures = [goal.figure for goal in found.goals]
    extra = [f for f in ("lut", "ff", "dsp", "bram", "um2") if any(f in p.figures for p in searched.front)]
    lines = [
        f"## {searched.label}",
        "",
        f"{searched.estimated} designs estimated, {len(searched.front)} on the Pareto front, "
        f"{len(searched.points) - searched.estimated} infeasible combinations. Accuracy on {searched.measured_on}.",
        "",
        *(f"- {count} × {reason}" for reason, count in refusals.most_common(8)),
        "",
        "Settings that all points of the front share:  "
        + (", ".join(f"`{k}` {v}" for k, v in _shared(searched.front).items()) or "none")
        + ".",
        "",
        markdown_table(
            ("point", *varying, *(g.title for g in found.goals), *extra, "RTL"),
            (
                (
                    str(point.number),
                    *(str(point.settings[name]) for name in varying),
                    *(_number(point.figures[figure]) for figure in (*figures, *extra)),
                    "" if point.confirmation is None else f"{point.confirmation.deviation:+.3%}",
                )
                for point in sorted(searched.front, key=lambda p: [g.loss(p) for g in found.goals])
            ),
        ),
        "",
    ]
    return [*lines, *_confirmed(searched)]


def _confirmed(searched: Searched) -> list[str]:
    seen = [(p.number, p.confirmation) for p in searched.points if p.confirmation is not None]
    if not seen:
        return ["No point was run in RTL.", ""]
    rows = []
    for number, c in seen:
        event, off = c.worst_event
        worst = "none differs" if off == 0 else f"`{event}` {off:+.3%}"
        rows.append(
            (
                str(number), f"{c.cycles:,}", f"{c.predicted:,}", f"{c.deviation:+.3%}", worst,
                f"{c.different:,} of {c.compared:,}", f"{c.seconds:,.0f}",
            )
        )  # fmt: skip
    head = ("point", "cycles, RTL", "cycles, model", "deviation", "worst event", "values that differ", "s")
    return [
        f"{len(seen)} of the {len(searched.front)} points in RTL, one image each:",
        "",
        markdown_table(head, rows),
        "",
    ]


def reason_of(point: ExploredPoint) -> str:
    """The reason against a design, without sizes: what counts designs of one kind together."""
    if point.refusal.startswith("Layer"):
        return f"does not fit: {point.refusal.split(':')[0]}"
    if " is more than the " in point.refusal or " is less than the " in point.refusal:
        return f"{point.refusal.split()[0]} breaks its limit"
    return point.refusal


def _varying(points: Sequence[ExploredPoint]) -> list[str]:
    names = points[0].settings if points else {}
    return [name for name in names if len({point.settings[name] for point in points}) > 1]


def _shared(points: Sequence[ExploredPoint]) -> dict[str, object]:
    names = points[0].settings if points else {}
    return {name: points[0].settings[name] for name in names if len({p.settings[name] for p in points}) == 1}


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


if __name__ == "__main__":
    print(page(load(Path(sys.argv[1]))))
