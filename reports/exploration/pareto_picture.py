"""The points of a search as a picture: one objective against each of the others, and the Pareto front of each pair."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vitreous.reports.exploration.exploration import Exploration, ExploredPoint, Goal, Searched
from vitreous.reports.exploration.pareto import COLOURS, best
from vitreous.spec.storage import write_bytes

_OTHER, _OVER = "#a0aec0", "#e2b4ae"


def draw(found: Exploration, searched: Searched, path: Path) -> None:
    """Write the picture of one search; its format by the suffix of ``path`` (.svg, .png)."""
    import matplotlib

    matplotlib.use("Agg")
    with matplotlib.rc_context({"svg.hashsalt": "vitreous", "svg.fonttype": "path"}):
        _draw(found, searched, path)


def _draw(found: Exploration, searched: Searched, path: Path) -> None:
    from matplotlib import pyplot

    first, *others = found.goals
    others = others or [first]
    figure, panels = pyplot.subplots(1, len(others), figsize=(4.6 * len(others), 4.2), squeeze=False)
    for axes, goal in zip(panels[0], others, strict=True):
        _panel(axes, first, goal, searched.points)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, fontsize=8, frameon=False)
    figure.suptitle(
        f"{searched.label}: {searched.estimated} points, {len(searched.front)} on the Pareto front",
        fontsize=10,
    )
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    metadata = {"Date": None} if path.suffix == ".svg" else None
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix.removeprefix("."), metadata=metadata, dpi=120)
    pyplot.close(figure)
    write_bytes(path, picture.getvalue())


def _panel(axes: Any, across: Goal, up: Goal, points: Sequence[ExploredPoint]) -> None:
    from matplotlib import ticker

    known = [p for p in points if p.figures]
    feasible = [p for p in known if p.feasible]
    kinds = (
        (
            "breaks a limit",
            [p for p in known if not p.feasible],
            {"color": _OVER, "marker": "x", "s": 16, "lw": 0.8},
        ),
        ("dominated in every objective", [p for p in feasible if not p.front], {"color": _OTHER, "s": 14}),
        (
            "on the Pareto front",
            [p for p in feasible if p.front],
            {"color": COLOURS[0], "s": 22, "zorder": 3},
        ),
        (
            "Pareto front, confirmed in RTL",
            [p for p in feasible if p.confirmation],
            {"facecolor": "none", "edgecolor": COLOURS[1], "s": 70, "lw": 1.4, "zorder": 4},
        ),
    )
    for label, members, style in kinds:
        if members:
            x, y = [p.figures[across.figure] for p in members], [p.figures[up.figure] for p in members]
            axes.scatter(x, y, label=label, **style)
    edge = best((p, across.loss(p), up.loss(p)) for p in feasible)
    x, y = [p.figures[across.figure] for p in edge], [p.figures[up.figure] for p in edge]
    axes.step(x, y, where="post", color="#718096", lw=0.8, zorder=1)
    for goal, scale, axis in ((across, axes.set_xscale, axes.xaxis), (up, axes.set_yscale, axes.yaxis)):
        values = [p.figures[goal.figure] for p in known]
        if values and min(values) > 0 and max(values) > 4 * min(values):
            scale("log")
            wide = max(values) > 100 * min(values)
            axis.set_major_locator(ticker.LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
            axis.set_minor_formatter(ticker.NullFormatter())
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.set_xlabel(across.title)
    axes.set_ylabel(up.title)
    axes.grid(True, which="both", lw=0.3, alpha=0.5)
