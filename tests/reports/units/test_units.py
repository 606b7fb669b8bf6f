"""The comparison of the nonlinear units: data, advice, tables and page, on figures that are made up."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.reports.recorded import record
from vitreous.reports import summarize
from vitreous.reports.errors import ReportError
from vitreous.reports.page import page
from vitreous.reports.page.page import render
from vitreous.reports.units import page as unit_page
from vitreous.reports.units import tables as unit_tables
from vitreous.reports.units import units
from vitreous.reports.units.units import PartCost, ScoreError, UnitRow, Units, from_dict, load
from vitreous.spec.config import AcceleratorConfig, SoftmaxConfig


def cost(part: str, lut: float, dsp: float = 0, family: str = "xcup") -> PartCost:
    lane = {"lut": lut, "ff": lut / 2, "dsp": dsp, "bram": 0.0}
    return PartCost(part=part, family=family, lane=lane, shared=dict.fromkeys(lane, 7.0), depth=5)


def score(distribution: str, error: float, least: float = 1.0) -> ScoreError:
    return ScoreError(
        distribution=distribution, what=f"scores {distribution}", largest=error * 1.5, unit=error, mean=error / 10,
        sum_least=least, sum_largest=1.001,
    )  # fmt: skip


def softmax(
    variant: str, lut: float, error: float, *, keys: int = 4096, least: float = 1.0, correct: int = 450
) -> UnitRow:
    scores = (score("flat-16", error), score(f"normal-2-{keys}", error, least), score("real", error / 2))
    return UnitRow(
        name=f"softmax_{variant}_16", function="softmax", variant=variant, formats="16 bits", default=variant == "good",
        latency="9 + N", throughput="1 a cycle", safe=f"1 to {keys} keys", error_unit="a probability",
        largest=error * 1.5, mean={"all": error / 10}, rounded=None, scores=scores,
        cost=(cost(f"{variant}_statistics", lut), cost("prologue", 30)), correct=correct, layer=0.01,
    )  # fmt: skip


def activation(variant: str, lut: float, error: float, rounded: float) -> UnitRow:
    return UnitRow(
        name=f"activation_{variant}", function="gelu", variant=variant, formats="Q6.14", default=False, latency="5",
        throughput="1 a cycle", safe="all", error_unit="the function", largest=error, mean={"uniform": error / 4},
        rounded=rounded, scores=(), cost=(cost(f"activation_{variant}", lut, 1),), correct=450, layer=0.001,
        curve=((-1.0, error), (1.0, error / 2)),
    )  # fmt: skip


UNITS = Units(
    rows=(
        softmax("good", 300, 5e-4),
        softmax("wrong", 100, 5e-3),
        softmax("lossy", 110, 5e-4, least=0.97),
        softmax("short", 120, 5e-4, keys=256),
        softmax("inaccurate", 130, 5e-4, correct=440),
        softmax("dear", 301, 1e-5),
        activation("rough", 100, 1e-3, 0.9995),
        activation("fine", 140, 4e-5, 0.9999),
    ),
    images=500,
    references={"float": 452, "softmax": 451, "gelu": 450},
    distributions={"scores": "many"},
    tool="Yosys of the test",
    sources={"cost": "Yosys"},
)


def test_data_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "units.json"
    path.write_text(json.dumps(UNITS.as_dict()))
    assert load(path) == UNITS
    assert load(tmp_path / "none.json") is None


@pytest.mark.parametrize(
    "damage",
    ["{", "[]", '{"format": "vitreous.units/0"}', '{"format": "vitreous.units/1"}'],
)
def test_damaged_data_are_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "units.json"
    path.write_text(damage)
    with pytest.raises(ReportError):
        load(path)


def test_unknown_fields_are_refused() -> None:
    data = UNITS.as_dict()
    data["rows"][0]["colour"] = "red"
    with pytest.raises(ReportError, match="The comparison of units is damaged: .*colour"):
        from_dict(data)


def test_costs_of_the_parts_add_up() -> None:
    assert UNITS.rows[0].total("xcup") == {"lut": 330, "ff": 165, "dsp": 0, "bram": 0, "depth": 5}
    assert UNITS.rows[0].total("ecp5") is None


def test_advice_is_the_cheapest_within_the_limits() -> None:
    text = unit_page.advice(UNITS)
    assert "For softmax take `good`" in text
    assert "For GELU with 8-bit results take `rough`" in text
    assert "Where results are wider, `fine`" in text


@pytest.mark.parametrize("loser", ["wrong", "lossy", "short", "inaccurate"])
def test_each_limit_of_the_advice_decides(loser: str) -> None:
    kept = [replace(row, variant="chosen") if row.variant == loser else row for row in UNITS.rows]
    best = UNITS.rows[0]
    mended = [
        replace(row, scores=best.scores, correct=best.correct) if row.variant == "chosen" else row
        for row in kept
    ]
    assert "take `chosen`" not in unit_page.advice(replace(UNITS, rows=kept))
    assert "take `chosen`" in unit_page.advice(replace(UNITS, rows=mended))


def test_advice_says_what_the_default_does_instead() -> None:
    assert "the default" not in unit_page.advice(UNITS)
    rows = [replace(row, default=row.variant == "wrong") for row in UNITS.rows]
    text = unit_page.advice(replace(UNITS, rows=rows))
    assert (
        "(the default, `wrong` (16 bits; 130 LUT and 0 DSP a lane on UltraScale+), errs by 7.5e-03; it takes 1 to"
        in text
    )


def test_without_a_fit_the_advice_says_so() -> None:
    rows = [row for row in UNITS.rows if row.variant == "wrong"]
    assert unit_page.advice(replace(UNITS, rows=rows)).startswith("No softmax keeps its error within 1/1024")


@pytest.mark.slow
def test_page_has_every_row_number_and_source(tmp_path: Path) -> None:
    page, *pictures = unit_page.write(UNITS, tmp_path)
    text = page.read_text()
    assert "| **softmax good** | 16 bits | 7.5e-04 | 5.0e-04 | 5.0e-05 | 1.000 to 1.001 | 3.8e-04 |" in text
    assert "330 / 165 / 0 / 0" in text
    assert "90.0 %" in text
    assert "- cost: Yosys" in text
    assert all(f"](units/{picture.name})" in text for picture in pictures)
    assert not list(tmp_path.rglob("*partial*"))
    first = [picture.read_bytes() for picture in pictures]
    unit_page.write(UNITS, tmp_path)
    assert [picture.read_bytes() for picture in pictures] == first


def test_tables_are_rectangular() -> None:
    for table in unit_tables.tables(UNITS):
        assert all(len(row) == len(table.head) for row in table.rows), table.title
        assert len(table.strong) == len(table.rows)


def test_rows_that_a_variant_does_not_allow_are_dashes() -> None:
    table = unit_tables.score_table(UNITS)
    line = next(row for row in table.rows if row[0] == "scores normal-2-256")
    assert line.count("–") == 5


def test_report_has_the_section_and_marks_the_accelerator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "units.json").write_text(json.dumps(UNITS.as_dict()))
    uncached = (
        page._shipped_units.__wrapped__
    )  # pages of other tests may have kept the comparison of the project
    monkeypatch.setattr(page, "_shipped_units", uncached)
    monkeypatch.setattr(units, "load", lambda: load(tmp_path / "units.json"))
    text = render(summarize(record()))
    assert "For softmax take <code>good</code>" in text
    assert "How these numbers were obtained" in text
    assert text.count("<svg") >= 1 + len(unit_page.PLOTS)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    monkeypatch.setattr(units, "load", lambda: None)
    assert "Nonlinear units" not in render(summarize(record()))


def test_the_variants_of_an_accelerator_are_marked() -> None:
    config = AcceleratorConfig(softmax=SoftmaxConfig(variant="online"))
    rows = [replace(row, variant="online") if row.variant == "dear" else row for row in UNITS.rows]
    marked = units.of_accelerator(replace(UNITS, rows=rows), config)
    assert [row.variant for row in marked.rows if row.default] == ["online"]
