"""An exploration as one HTML page of its own, in the style of a run's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from vitreous.reports.exploration.exploration import Exploration, Goal, Searched
from vitreous.reports.exploration.page import reason_of
from vitreous.reports.exploration.words import Links, words
from vitreous.reports.page.page import environment, style
from vitreous.spec.storage import write_text

PAGE_NAME = "exploration.html"


def _best(searched: Searched, goal: Goal) -> tuple[float, int] | None:
    point = min(searched.front, key=goal.loss, default=None)
    return None if point is None else (point.figures[goal.figure], point.number)


def render(found: Exploration, links: Links | None = None, dashboard: str = "") -> str:
    """Self-contained but for ``links``. ``dashboard``: the command that opens the study."""
    refused = Counter(reason_of(p) for s in found.searches for p in s.points if not p.feasible)
    return (
        environment()
        .get_template("exploration.html")
        .render(
            words(found, links or {}, lambda _: False, "measured"),
            e=found,
            best=[(s.label, [_best(s, goal) for goal in found.goals]) for s in found.searches],
            confirmed=[(s.label, p) for s in found.searches for p in s.points if p.confirmation is not None],
            refused=refused.most_common(12),
            dashboard=dashboard,
            style=style(),
        )
    )


def write(found: Exploration, folder: Path, links: Links | None = None, dashboard: str = "") -> Path:
    """``exploration.html`` in ``folder``, whole or not at all."""
    return write_text(folder / PAGE_NAME, render(found, links, dashboard))
