"""A Pareto front for readers: each trade-off once, and how well each of its figures is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vitreous.reports.exploration.exploration import ExploredPoint, Goal, Searched
from vitreous.reports.figures.interval import wilson

_SHARES = ("accuracy", "agreement")
_ENDS = {"energy_mj": ("energy_low_mj", "energy_high_mj"), "area": ("area_low", "area_high")}
"""The figures that hold the ends of another one's range."""


@dataclass(frozen=True, kw_only=True)
class FrontRow:
    """One trade-off of a front. others : points with the same figures in every objective; ``point`` is the first.

    intervals : of each objective, None where nothing is known of its error.
    """

    point: ExploredPoint
    others: tuple[int, ...]
    intervals: tuple[tuple[float, float] | None, ...]


def interval(goal: Goal, point: ExploredPoint, images: int) -> tuple[float, float] | None:
    """Of one figure: its range where the model states one, Wilson's interval of a share of ``images``."""
    if goal.figure in _SHARES:
        return wilson(round(point.figures[goal.figure] * images), images) if images else None
    low, high = _ENDS.get(goal.figure, ("", ""))
    if low in point.figures and high in point.figures:
        return point.figures[low], point.figures[high]
    return None


def rows(searched: Searched, goals: Sequence[Goal]) -> list[FrontRow]:
    """The front, best of the first objective first; points that no objective tells apart are one row."""
    same: dict[tuple[float, ...], list[ExploredPoint]] = {}
    for point in searched.front:
        same.setdefault(tuple(goal.loss(point) for goal in goals), []).append(point)
    found = []
    for _, points in sorted(same.items()):
        # One that was run in RTL stands for its equals.
        first = min(points, key=lambda p: (p.confirmation is None, p.number))
        found.append(
            FrontRow(
                point=first,
                others=tuple(p.number for p in points if p is not first),
                intervals=tuple(interval(goal, first, searched.images) for goal in goals),
            )
        )
    return found
