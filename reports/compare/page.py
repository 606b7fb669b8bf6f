"""The comparison of runs as one HTML page, in the style of a run's own page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from vitreous.reports.compare.compare import Comparison, Row
from vitreous.reports.draw import colours
from vitreous.reports.page.page import contents, environment, style
from vitreous.spec.storage import write_text

PAGE_NAME, DATA_NAME = "comparison.html", "comparison.json"

CONTENTS = {
    "summary": "Summary",
    "configuration": "What differs",
    "time": "Time",
    "layers": "Layers",
    "energy": "Energy",
    "area": "Area",
    "traffic": "Bytes moved",
}


def _most(rows: Sequence[Row]) -> float:
    return max((value for row in rows for value in row.values if value is not None), default=1) or 1


def _totals(rows: Sequence[Row], count: int) -> list[float]:
    return [sum(row.values[run] or 0 for row in rows) for run in range(count)]


def render(comparison: Comparison) -> str:
    """Self-contained, light and dark, for screens of any width and for paper."""
    made = environment()
    count = len(comparison.names)
    totals = _totals(comparison.stalls, count)
    words = {
        "c": comparison,
        "stall_colours": colours.STALLS,
        "unit_colour": colours.unit,
        "totals": totals,
        "longest": max(totals) or 1,
        "most_group": _most(comparison.groups),
        "most_bytes": _most(comparison.traffic),
        "energy_totals": _totals(comparison.energy, count),
        "group_totals": _totals(comparison.groups, count),
    }
    body = made.get_template("comparison_body.html").render(words)
    return made.get_template("comparison.html").render(
        words, body=body, contents=contents(body, CONTENTS), style=style()
    )


def write(comparison: Comparison, folder: str | Path) -> tuple[Path, Path]:
    """Write ``comparison.html`` and ``comparison.json`` into ``folder``, each whole or not at all."""
    folder = Path(folder)
    page, data = render(comparison), json.dumps(comparison.as_dict(), indent=1)
    return write_text(folder / PAGE_NAME, page), write_text(folder / DATA_NAME, data)
