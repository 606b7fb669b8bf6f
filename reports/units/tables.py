"""The comparison of the nonlinear units as tables of text, the same for Markdown and HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


def _depth(row: UnitRow, family: str) -> str:
    total = row.total(family)
    return NONE if total is None else f"{total['depth']:.0f}"


Column = tuple[str, Callable[[UnitRow], str]]
"""A heading, and a row's text below it."""
FIRST: tuple[Column, ...] = (("unit", _label), ("formats", lambda r: r.formats))
CYCLES: Column = ("cycles", lambda r: r.latency)
THROUGHPUT: Column = ("throughput", lambda r: r.throughput)


def _last(units: Units) -> tuple[Column, ...]:
    """What a unit costs, and what it does to the shipped model."""
    return (
        ("cost", lambda r: cost_text(r.total("xcup"))),
        ("levels", lambda r: _depth(r, "xcup")),
        ("accuracy", lambda r: points_of(units, r.correct)),
        ("layer", lambda r: number(r.layer)),
    )


def _of_rows(title: str, note: str, rows: Sequence[UnitRow], columns: Sequence[Column]) -> Table:
    """A row for each unit."""
    return Table(
        title,
        note,
        tuple(head for head, _ in columns),
        tuple(tuple(text(row) for _, text in columns) for row in rows),
        tuple(row.default for row in rows),
    )


def activation_table(units: Units) -> Table:
    """GELU and SiLU."""
    return _of_rows(
        "GELU and SiLU",
        "Largest error over all 65536 inputs; mean errors on the distributions named; rounded: share of 8-bit results "
        "that are those of float64. Cost: LUT / FF / DSP / BRAM of one lane, UltraScale+.",
        units.of(*ActivationFunction),
        (
            *FIRST,
            ("largest", lambda r: number(r.largest)),
            ("mean, uniform", lambda r: number(r.mean.get("uniform"))),
            ("mean, normal", lambda r: number(r.mean.get("normal"))),
            ("mean, real", lambda r: number(r.mean.get("real"))),
            ("rounded", lambda r: NONE if r.rounded is None else f"{100 * r.rounded:.2f} %"),
            CYCLES,
            *_last(units),
        ),
    )


def _sums(row: UnitRow) -> str:
    return f"{min(s.sum_least for s in row.scores):.3f} to {max(s.sum_largest for s in row.scores):.3f}"


def _on_real_scores(row: UnitRow) -> str:
    real = [s for s in row.scores if s.distribution == "real"]
    return number(real[0].largest) if real else NONE


def softmax_table(units: Units) -> Table:
    """Softmax: the worst of all distributions, and what real attention sees."""
    return _of_rows(
        "Softmax",
        "Largest and mean absolute error of a probability against float64 softmax of the real scores, worst of all "
        "stated distributions; own: against the scores as the unit gets them. N: lanes. Cost: statistics of one row "
        "and one probability a cycle, LUT / FF / DSP / BRAM, UltraScale+.",
        units.of("softmax"),
        (
            *FIRST,
            ("largest", lambda r: number(r.largest)),
            ("own", lambda r: number(max(s.unit for s in r.scores))),
            ("mean", lambda r: number(r.mean.get("all"))),
            ("row sums", _sums),
            ("largest, real", _on_real_scores),
            CYCLES,
            THROUGHPUT,
            *_last(units),
        ),
    )


def norm_table(units: Units) -> Table:
    """Layer norm and the units that are shared."""
    return _of_rows(
        "Layer norm, and the units that others are made of",
        "Errors of layer norm in steps of its 8-bit result (0.5 is correct rounding), of the divisions relative. "
        "Cost of one lane where there are lanes, else of the unit: LUT / FF / DSP / BRAM, UltraScale+.",
        units.of("layer norm", "requantize", "reciprocal", "row scale", "reciprocal square root"),
        (
            *FIRST,
            ("largest", lambda r: number(r.largest, 3)),
            ("mean", lambda r: number(r.mean.get("all"), 3)),
            ("error in", lambda r: r.error_unit or NONE),
            CYCLES,
            THROUGHPUT,
            *_last(units),
        ),
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
    columns = (*FIRST, ("safe range", lambda r: r.safe))
    return _of_rows("Safe ranges", "Inputs for which a unit keeps its error.", units.rows, columns)


def tables(units: Units) -> list[Table]:
    """All tables, in the order of the page."""
    made = (activation_table, softmax_table, norm_table, cost_table, safe_table, score_table)
    return [make(units) for make in made]
