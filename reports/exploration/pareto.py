"""The Pareto front, of points that no other dominates, and its picture: error against area, one for each function."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from vitreous.reports.draw.plot import contents, plotting
from vitreous.reports.tables import csv_table
from vitreous.spec.storage import write_bytes, write_text

FORMAT = "vitreous.approx/1"
COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#b83280", "#4a5568")
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of a unit, and how exact it is.

    largest, mean : absolute error against float64, on ``inputs``. table_bits : all bits of its table.
    """

    function: str
    group: str
    label: str
    settings: Mapping[str, Any]
    inputs: str
    largest: float
    mean: float
    table_bits: int


@dataclass(frozen=True, kw_only=True)
class Point(Setting):
    """A setting with what it costs.

    lut, ff, dsp, bram : of one lane, as ``reports.synthesis.synthesis`` counts, and ``depth``.
    area : ``lut`` plus a stated number for each DSP and block of memory.
    front : no other point has at most its area and at most its largest error, and less of one of them.
    """

    lut: float
    ff: float
    dsp: float
    bram: float
    depth: int
    area: float
    front: bool = False


def best(items: Iterable[tuple[_T, float, float]]) -> list[_T]:
    """The items than which no other has at most both numbers and less of one, ordered by the first number."""
    ordered = sorted(items, key=lambda entry: (entry[1], entry[2]))
    kept: list[_T] = []
    least = float("inf")
    for item, _, second in ordered:
        if second < least:
            kept.append(item)
            least = second
    return kept


def draw(points: Sequence[Point], path: Path, *, title: str, area: str) -> None:
    """Write a picture of ``points``, the Pareto front as a line; its format by the suffix of ``path`` (.svg, .png)."""
    with plotting("path") as pyplot:
        _draw(pyplot, points, path, title, area)


def _draw(pyplot: Any, points: Sequence[Point], path: Path, title: str, area: str) -> None:
    figure, axes = pyplot.subplots(figsize=(8, 5))
    groups = list(dict.fromkeys(point.group for point in points))
    for index, group in enumerate(groups):
        chosen = [point for point in points if point.group == group]
        colour = COLOURS[index % len(COLOURS)]
        axes.scatter(
            [p.area for p in chosen], [p.largest for p in chosen], s=28, color=colour, label=group, zorder=3
        )
    front = sorted((p for p in points if p.front), key=lambda p: p.area)
    axes.step(
        [p.area for p in front], [p.largest for p in front], where="post", color="#718096", lw=1, zorder=1
    )
    for point in front:
        axes.annotate(
            point.label, (point.area, point.largest), xytext=(4, 4), textcoords="offset points", fontsize=6
        )
    axes.set_yscale("log")
    axes.set_xlabel(area)
    axes.set_ylabel("largest error against float64")
    axes.set_title(title, fontsize=10)
    axes.grid(True, which="both", lw=0.3, alpha=0.5)
    if groups:
        axes.legend(fontsize=7)
    figure.tight_layout()
    write_bytes(path, contents(pyplot, figure, path.suffix.removeprefix(".")))


def save(points: Sequence[Point], folder: Path, name: str, about: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write ``name.json`` and ``name.csv``, each whole or not at all. ``about``: how the numbers were obtained."""
    data = {"format": FORMAT, **about, "points": [asdict(point) for point in points]}
    as_json, as_csv = folder / f"{name}.json", folder / f"{name}.csv"
    write_text(as_json, json.dumps(data, indent=1) + "\n")
    columns = [f for f in Point.__dataclass_fields__ if f != "settings"]
    settings = sorted({key for point in points for key in point.settings})
    rows = [
        [*(getattr(point, column) for column in columns), *(point.settings.get(key) for key in settings)]
        for point in points
    ]
    write_text(as_csv, csv_table([*columns, *settings], rows))
    return as_json, as_csv
