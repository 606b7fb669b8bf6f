"""The comparison of the nonlinear units as tables of text, the same for Markdown and HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vitreous.reports.units.units import COLUMNS, PartCost, UnitRow, Units
from vitreous.spec.variants import ActivationFunction

NONE = "–"


@dataclass(frozen=True)
class Table:
    """A table as text: the first column is left-aligned, ``strong`` rows are the defaults."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: tuple[bool, ...]


def number(value: float | None, digits: int = 2) -> str:
    """Two significant digits, small ones with an exponent; a dash for None."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    return f"{value:.{digits - 1}e}" if abs(value) < 1e-2 else f"{value:.{digits + 1}g}"


def _amount(value: float) -> str:
    return f"{value:.0f}" if abs(value - round(value)) < 0.05 or value >= 20 else f"{value:.1f}"


def cost_text(total: Mapping[str, float] | None) -> str:
    """``LUT / FF / DSP / BRAM``."""
    return NONE if total is None else " / ".join(_amount(total[c]) for c in COLUMNS)


def points_of(units: Units, correct: int | None) -> str:
    """Accuracy in percent."""
    return NONE if correct is None else f"{100 * correct / units.images:.1f} %"


def _label(row: UnitRow) -> str:
    return f"{row.function} {row.variant}"


def activation_table(units: Units) -> Table:
    """GELU and SiLU."""
    rows = units.of(*ActivationFunction)
    return Table(
        "GELU and SiLU",
        "Largest error over all 65536 inputs; mean errors on the distributions named; rounded: share of 8-bit results "
        "that are those of float64. Cost: LUT / FF / DSP / BRAM of one lane, UltraScale+.",
        (
            "unit",
            "formats",
            "largest",
            "mean, uniform",
            "mean, normal",
            "mean, real",
            "rounded",
            "cycles",
            "cost",
            "levels",
            "accuracy",
            "layer",
        ),
        tuple(
            (
                _label(r),
                r.formats,
                number(r.largest),
                *(number(r.mean.get(n)) for n in ("uniform", "normal", "real")),
                NONE if r.rounded is None else f"{100 * r.rounded:.2f} %",
                r.latency,
                cost_text(r.total("xcup")),
                _depth(r, "xcup"),
                points_of(units, r.correct),
                number(r.layer),
            )
            for r in rows
        ),
        tuple(r.default for r in rows),
    )


def _depth(row: UnitRow, family: str) -> str:
    total = row.total(family)
    return NONE if total is None else f"{total['depth']:.0f}"


def softmax_table(units: Units) -> Table:
    """Softmax: the worst of all distributions, and what real attention sees."""
    rows = units.of("softmax")

    def line(r: UnitRow) -> tuple[str, ...]:
        real = [s for s in r.scores if s.distribution == "real"]
        sums = f"{min(s.sum_least for s in r.scores):.3f} to {max(s.sum_largest for s in r.scores):.3f}"
        own = max(s.unit for s in r.scores)
        return (
            _label(r),
            r.formats,
            number(r.largest),
            number(own),
            number(r.mean.get("all")),
            sums,
            number(real[0].largest) if real else NONE,
            r.latency,
            r.throughput,
            cost_text(r.total("xcup")),
            _depth(r, "xcup"),
            points_of(units, r.correct),
            number(r.layer),
        )

    return Table(
        "Softmax",
        "Largest and mean absolute error of a probability against float64 softmax of the real scores, worst of all "
        "stated distributions; own: against the scores as the unit gets them. N: lanes. Cost: statistics of one row "
        "and one probability a cycle, LUT / FF / DSP / BRAM, UltraScale+.",
        (
            "unit",
            "formats",
            "largest",
            "own",
            "mean",
            "row sums",
            "largest, real",
            "cycles",
            "throughput",
            "cost",
            "levels",
            "accuracy",
            "layer",
        ),
        tuple(line(r) for r in rows),
        tuple(r.default for r in rows),
    )


def norm_table(units: Units) -> Table:
    """Layer norm and the units that are shared."""
    rows = units.of("layer norm", "requantize", "reciprocal", "row scale", "reciprocal square root")
    return Table(
        "Layer norm, and the units that others are made of",
        "Errors of layer norm in steps of its 8-bit result (0.5 is correct rounding), of the divisions relative. "
        "Cost of one lane where there are lanes, else of the unit: LUT / FF / DSP / BRAM, UltraScale+.",
        (
            "unit",
            "formats",
            "largest",
            "mean",
            "error in",
            "cycles",
            "throughput",
            "cost",
            "levels",
            "accuracy",
            "layer",
        ),
        tuple(
            (
                _label(r),
                r.formats,
                number(r.largest, 3),
                number(r.mean.get("all"), 3),
                r.error_unit or NONE,
                r.latency,
                r.throughput,
                cost_text(r.total("xcup")),
                _depth(r, "xcup"),
                points_of(units, r.correct),
                number(r.layer),
            )
            for r in rows
        ),
        tuple(r.default for r in rows),
    )


def cost_table(units: Units) -> Table:
    """Every part in every family: a lane and what the lanes share."""
    seen: dict[str, dict[str, PartCost]] = {}
    for row in units.rows:
        for part in row.cost:
            seen.setdefault(part.part, {})[part.family] = part
    families = ("xcup", "ecp5", "ice40")
    rows = []
    for name, by_family in seen.items():
        line = [name]
        for family in families:
            found = by_family.get(family)
            line.append(cost_text(found.lane if found else None))
            line.append(cost_text(found.shared if found else None))
            line.append(f"{found.depth}" if found else NONE)
        rows.append(tuple(line))
    head = tuple(f"{family}: {what}" for family in families for what in ("lane", "shared", "levels"))
    note = (
        "LUT / FF / DSP / BRAM by Yosys: of a lane (slope between two widths), and of what lanes share (the rest; a "
        "unit without lanes is in `lane`). A dash: not synthesized. Negative: the wider unit maps better."
    )
    return Table("Cost in three families", note, ("part", *head), tuple(rows), tuple(False for _ in rows))


def score_table(units: Units) -> Table:
    """Softmax by distribution: largest error and row sums of each variant."""
    rows = units.of("softmax")
    names = list(dict.fromkeys(s.distribution for r in rows for s in r.scores))
    lines = []
    for name in names:
        what = next(s.what for r in rows for s in r.scores if s.distribution == name)
        line = [what]
        for r in rows:
            found = [s for s in r.scores if s.distribution == name]
            line.append(
                f"{number(found[0].largest)}; {found[0].sum_least:.3f}–{found[0].sum_largest:.3f}"
                if found
                else NONE
            )
        lines.append(tuple(line))
    head = ("scores", *(r.name.removeprefix("softmax_").replace("_", ", ") for r in rows))
    note = (
        "Largest error of a probability; least and largest sum of a row. A dash: the rows are longer than the variant "
        "allows."
    )
    return Table("Softmax on each distribution", note, head, tuple(lines), tuple(False for _ in lines))


def safe_table(units: Units) -> Table:
    """The safe range of every unit."""
    rows = tuple((_label(r), r.formats, r.safe) for r in units.rows)
    return Table(
        "Safe ranges",
        "Inputs for which a unit keeps its error.",
        ("unit", "formats", "safe range"),
        rows,
        tuple(r.default for r in units.rows),
    )


def tables(units: Units) -> list[Table]:
    """All tables, in the order of the page."""
    made = (activation_table, softmax_table, norm_table, cost_table, safe_table, score_table)
    return [make(units) for make in made]
