"""What the templates of an exploration need: on a page of its own, and on a run's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vitreous.reports.exploration import chart, front
from vitreous.reports.exploration.exploration import Exploration, ExploredPoint

Links = Mapping[tuple[int, int], str]
"""(number of the search, number of the point) to the path of its accelerator file, relative to the page."""


def words(
    found: Exploration | None, links: Links, same_machine: Callable[[ExploredPoint], bool], rtl_how: str
) -> dict[str, Any]:
    """``same_machine``: whether a point is the accelerator of the page; ``rtl_how``: what a measured cycle is there."""
    searches = found.searches if found else ()
    goals = found.goals if found else ()
    drawn = [(s, chart.pictures(s, goals), front.rows(s, goals)) for s in searches]
    return {
        "explored": drawn,
        "links": links,
        "same_machine": same_machine,
        "rtl_how": rtl_how,
        "whiskers": chart.whiskered(searches, goals),
    }
