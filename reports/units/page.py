"""The page of the nonlinear units: advice, tables and error plots, as Markdown with pictures, and as a part of HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vitreous.reports.draw.plot import contents, plotting
from vitreous.reports.tables import markdown_table
from vitreous.reports.units.tables import Table, number, points_of, tables
from vitreous.reports.units.units import UnitRow, Units
from vitreous.spec.storage import write_text
from vitreous.spec.variants import ActivationFunction

LANES = 8
"""Lanes of the accelerator for which costs are compared: what lanes share counts once."""
ERROR_LIMIT = 1 / 1024
"""Largest error of a probability for which a softmax is advised."""
SUM_LIMIT = 0.01
NORM_LIMIT = 0.51
"""Largest error of a norm, in steps of its result, for which it is advised; correct rounding is 0.5."""
POINTS_LIMIT = 0.2
"""Points of accuracy that an advised variant may lose against the same function in float64."""
_IDS = re.compile(r"""(\bid="|xlink:href="\#|url\(\#)""")
_FOREIGN = re.compile(r"<metadata>.*?</metadata>| xmlns(:\w+)?=\"[^\"]*\"", re.DOTALL)
"""Metadata and namespaces, which a page does without."""
_COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#b83280", "#4a5568", "#0987a0", "#744210")


def _area(row: UnitRow) -> float:
    """LUTs of ``LANES`` lanes and what they share, with the LUTs per DSP of a XCK26 for each DSP."""
    parts = [part for part in row.cost if part.family == "xcup"]
    if not parts:
        return float("inf")
    whole = {c: sum(LANES * part.lane[c] + part.shared[c] for part in parts) for c in ("lut", "dsp")}
    return whole["lut"] + 117120 / 1248 * whole["dsp"]


def _keeps_accuracy(units: Units, row: UnitRow) -> bool:
    exact = units.references.get(row.function)
    if row.correct is None or exact is None:
        return True
    return 100 * (exact - row.correct) / units.images <= POINTS_LIMIT + 1e-9


def _cheapest(rows: Sequence[UnitRow], fits: Callable[[UnitRow], bool]) -> UnitRow | None:
    return min((row for row in rows if fits(row)), key=_area, default=None)


def _softmax_fits(units: Units, row: UnitRow) -> bool:
    return (
        max(s.largest for s in row.scores) <= ERROR_LIMIT
        and all(abs(edge - 1) <= SUM_LIMIT for s in row.scores for edge in (s.sum_least, s.sum_largest))
        and max(int(s.distribution.rpartition("-")[2]) for s in row.scores if s.distribution != "real")
        >= 4096
        and _keeps_accuracy(units, row)
    )


def _what(row: UnitRow) -> str:
    total = row.total("xcup")
    cost = "" if total is None else f"; {total['lut']:.0f} LUT and {total['dsp']:g} DSP a lane on UltraScale+"
    return f"`{row.variant}` ({row.formats}{cost})"


def _unlike_default(units: Units, chosen: UnitRow) -> str:
    """What the default softmax does instead of the chosen one; nothing where they are the same."""
    default = next((row for row in units.of("softmax") if row.default), chosen)
    if default is chosen or not default.scores:
        return ""
    error = max(s.largest for s in default.scores)
    return f" (the default, {_what(default)}, errs by {number(error)}; it takes {default.safe})"


def advice(units: Units) -> str:
    """Which variant to choose and why, from the figures: the cheapest that keeps stated limits."""
    said = []
    softmax = _cheapest(units.of("softmax"), lambda row: _softmax_fits(units, row))
    if softmax is None:
        said.append(
            f"No softmax keeps its error within 1/1024 and row sums within {SUM_LIMIT:.0%} on all stated scores"
        )
    else:
        error = max(s.largest for s in softmax.scores)
        said.append(
            f"For softmax take {_what(softmax)}: the cheapest at {LANES} lanes that keeps its error "
            f"({number(error)}) within 1/1024 and row sums within {SUM_LIMIT:.0%} on every stated distribution up to "
            f"4096 keys{_unlike_default(units, softmax)}"
        )
    rows = units.of("gelu")
    fine = _cheapest(
        rows, lambda r: r.largest is not None and r.largest <= 1e-4 and _keeps_accuracy(units, r)
    )
    coarse = _cheapest(
        rows, lambda r: r.rounded is not None and r.rounded >= 0.999 and _keeps_accuracy(units, r)
    )
    if coarse is not None:
        said.append(
            f"For GELU with 8-bit results take {_what(coarse)}: the cheapest with at least 99.9 % of results correctly "
            f"rounded ({100 * (coarse.rounded or 0):.2f} %)"
        )
    if fine is not None:
        said.append(f"where results are wider, {_what(fine)}, whose largest error is {number(fine.largest)}")
    norms = units.of("layer norm")
    norm = _cheapest(
        norms,
        lambda r: r.largest is not None and r.largest <= NORM_LIMIT and _keeps_accuracy(units, r),
    )
    if norm is not None:
        others = [f"{number(r.largest, 3)} for `{r.variant}`, {r.throughput}" for r in norms]
        said.append(
            f"For layer norm take {_what(norm)}: the cheapest at {LANES} lanes that errs by at most {NORM_LIMIT:g} "
            f"steps of its result; correct rounding is 0.5 (largest error, throughput: {'; '.join(others)})"
        )
    exact = ", ".join(f"{name} {points_of(units, correct)}" for name, correct in units.references.items())
    said.append(f"Accuracies with one function in float64, to compare with: {exact}")
    return ". ".join(text[0].upper() + text[1:] for text in said) + "."


def markdown(units: Units) -> str:
    """The page."""
    parts = [
        "# Nonlinear units",
        advice(units),
        "Made by `make units`; every number is measured, and the last section says how. Bold: the default variant.",
    ]
    for table in tables(units):
        parts += [f"## {table.title}", table.note, _markdown_table(table)]
    parts.append("## Error over the inputs")
    parts += [f"![{what}](units/{name}.svg)" for name, (what, _) in PLOTS.items()]
    parts.append("## Distributions")
    parts.append("\n".join(f"- {name}: {what}" for name, what in units.distributions.items()))
    parts.append("## How each number was obtained")
    parts.append("\n".join(f"- {name}: {what}" for name, what in units.sources.items()))
    versions = ", ".join(f"{name} {value}" for name, value in units.versions.items())
    parts.append(f"{units.tool}; {versions}.")
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    rows = [
        (f"**{row[0]}**", *row[1:]) if strong else row
        for row, strong in zip(table.rows, table.strong, strict=True)
    ]
    return markdown_table(table.head, [[cell.replace("|", "\\|") for cell in row] for row in rows])


Lines = list[tuple[str, Sequence[tuple[float, float]]]]
"""Curves with their labels."""


def _activations(units: Units) -> Lines:
    return [(f"{r.function} {r.variant}, {r.formats}", r.curve) for r in units.of(*ActivationFunction)]


def _keys(units: Units) -> Lines:
    lines: Lines = []
    for row in units.of("softmax"):
        found = [s for s in row.scores if s.distribution.startswith("normal-2-")]
        curve = [(float(s.distribution.rpartition("-")[2]), s.largest) for s in found]
        lines.append((row.name.removeprefix("softmax_").replace("_", ", ") + " bits", curve))
    return lines


def _divisions(units: Units) -> Lines:
    return [(r.function, r.curve) for r in units.of("reciprocal", "reciprocal square root")]


def _norms(units: Units) -> Lines:
    return [(r.variant, r.curve) for r in units.of("layer norm")]


PLOTS: dict[str, tuple[str, Callable[[Units], Lines]]] = {
    "activations": ("Largest error of GELU and SiLU around each input", _activations),
    "softmax": (
        "Largest error of a probability over the keys of a row, scores of standard deviation 2",
        _keys,
    ),
    "norms": ("Largest error of layer norm, in steps of the result, over its value", _norms),
    "divisions": ("Largest relative error of the divisions over the normalized input", _divisions),
}
_LOG_INPUT = {"softmax"}


def plot(units: Units, name: str) -> str:
    """One of ``PLOTS`` as the text of an SVG, the same for the same data."""
    with plotting("none") as pyplot:
        return _plot(pyplot, units, name)


def _plot(pyplot: Any, units: Units, name: str) -> str:
    what, lines = PLOTS[name]
    figure, axes = pyplot.subplots(figsize=(9, 4.5))
    drawn = [(label, curve) for label, curve in lines(units) if curve]
    for index, (label, curve) in enumerate(drawn):
        x, y = zip(*curve, strict=True)
        axes.plot(x, y, lw=1, color=_COLOURS[index % len(_COLOURS)], label=label)
    axes.set_yscale("log")
    if name in _LOG_INPUT:
        axes.set_xscale("log", base=2)
    axes.set_title(what, fontsize=10)
    axes.grid(True, which="both", lw=0.3, alpha=0.5)
    if drawn:
        axes.legend(fontsize=6)
    figure.tight_layout()
    return contents(pyplot, figure, "svg").decode()


def write(units: Units, folder: Path) -> list[Path]:
    """Write ``units.md`` and ``units/*.svg`` into ``folder``; returns their paths."""
    pictures = folder / "units"
    written = []
    for name in PLOTS:
        written.append(write_text(pictures / f"{name}.svg", plot(units, name)))
    return [write_text(folder / "units.md", markdown(units)), *written]


def svg_elements(units: Units) -> list[tuple[str, str]]:
    """Every picture with its title, as an ``svg`` element for a page; their ids do not meet."""
    found = []
    for name, (what, _) in PLOTS.items():
        text = plot(units, name)
        body = _FOREIGN.sub("", text[text.index("<svg") :])
        found.append((what, _IDS.sub(rf"\g<1>{name}-", body)))
    return found
