"""Measurements of activity as they ship: whole, and their page says what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.tree import DOCS
from vitreous.reports.activity import activity
from vitreous.reports.activity import page as activity_page
from vitreous.reports.errors import ReportError

TOOLS = {"verilator": "Verilator 5.48", "yosys": "Yosys 0.70"}


def measured(part: str, data: str, events: int, registers: int, combinational: int) -> dict[str, Any]:
    toggles = {"combinational": combinational, "other registers": registers}
    return {"part": part, "data": data, "events": events, "cycles": events + 4, "toggles": toggles}


def made(**changes: Any) -> dict[str, Any]:
    """A unit with two parts: 100 and 300 events of real data."""
    data: dict[str, Any] = {
        "format": activity.FORMAT,
        "unit": "adder",
        "title": "an adder",
        "event": "array_busy",
        "accelerator": "edge64",
        "level": "words",
        "model": "fashion-vit",
        "images": 1,
        "date": "2026-11-22",
        "command": "make activity",
        "rtl": "0123456789abcdef" * 4,
        "tools": TOOLS,
        "nets": {"combinational": 30, "other registers": 10},
        "measurements": [
            measured("first", "real", 100, 200, 600),
            measured("first", "random", 100, 400, 1200),
            measured("first", "zero", 100, 0, 0),
            measured("second", "real", 300, 600, 1800),
            measured("second", "random", 300, 400, 1200),
            measured("second", "zero", 300, 0, 0),
        ],
    }
    return data | changes


def test_rows_follow_the_formula() -> None:
    rows = {(row.part, row.data): row for row in activity.rows(made())}
    whole, first, second = (rows[part, "real"] for part in (activity.WHOLE, "first", "second"))
    assert (whole.events, whole.total, whole.registers) == (400, 8.0, 2.0)
    assert whole.ratio == pytest.approx(1.0)  # 3200 of 400 events, both ways
    assert (first.ratio, first.registers_ratio, first.deviation) == pytest.approx((0.5, 0.5, 1.0))
    assert second.ratio == pytest.approx(1.5)
    assert second.deviation == pytest.approx(1 / 1.5 - 1)
    assert rows["first", "random"].ratio == 1.0
    assert rows["first", "random"].deviation == 0.0
    assert rows["first", "zero"].deviation is None
    assert rows["first", "zero"].total == 0
    assert {row.how for row in rows.values()} == {"elsewhere"}
    assert whole.source == ("Verilator 5.48, SAIF, 400 events, make activity, 2026-11-22, RTL 0123456789ab")


def test_a_unit_without_parts_has_one_row_for_each_kind_of_data() -> None:
    found = activity.rows(
        made(measurements=[measured("", "real", 5, 5, 5), measured("", "random", 5, 10, 5)])
    )
    assert [(row.part, row.data) for row in found] == [("all", "real"), ("all", "random")]
    assert found[0].group_ratio("other registers") == 0.5


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"format": "vitreous.units/1"},
            "x.json has format 'vitreous.units/1'; expected 'vitreous.activity/1'",
        ),
        (
            {"measurements": [measured("", "real", 5, 5, 5)]},
            "x.json: part '' was not measured on random data",
        ),
        ({"measurements": [measured("", "warm", 5, 5, 5)]}, "x.json: part '', data 'warm' is damaged"),
        ({"measurements": [measured("", "real", 0, 5, 5)]}, "x.json: part '', data 'real' is damaged"),
        ({"nets": {"combinational": 3}}, "x.json: part 'first', data 'real' is damaged"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    (tmp_path / "x.json").write_text(json.dumps(made(**changes)))
    with pytest.raises(ReportError) as caught:
        activity.activities(tmp_path)
    assert str(caught.value) == sentence


def test_a_file_without_a_date_or_without_an_end_is_refused(tmp_path: Path) -> None:
    data = made()
    del data["date"]
    with pytest.raises(ReportError, match=r"^x\.json has no date$"):
        activity.check(data, "x.json")
    (tmp_path / "x.json").write_text(json.dumps(made())[:-9])
    with pytest.raises(ReportError, match=r"^x\.json is not a measurement of activity: "):
        activity.load(tmp_path / "x.json")


def test_the_verdict_names_the_direction() -> None:
    rows = {(row.part, row.data): row for row in activity.rows(made())}
    assert (
        "makes 0.50 times the toggles of one on random data (registers alone 0.50)"
        in activity_page.verdict(rows["first", "real"])
    )
    assert activity_page.verdict(rows["first", "real"]).endswith("overstates its dynamic energy by 100%.")
    assert activity_page.verdict(rows["second", "real"]).endswith("understates its dynamic energy by 33%.")
    with pytest.raises(ValueError, match="an adder: nothing toggles on zero data"):
        activity_page.verdict(rows["first", "zero"])


def test_the_shipped_measurements_are_whole() -> None:
    rows = [row for row in activity.activities() if row.part == activity.WHOLE]
    real = {row.unit: row for row in rows if row.data == "real"}
    assert {"array-8x8x4", "array-4x4x4", "gelu-delta", "softmax-probabilities", "softmax-statistics"} <= set(
        real
    )
    for row in rows:
        assert set(row.nets) == set(row.toggles)
        assert sum(row.nets.values()) >= row.total > 0
    for row in real.values():
        zero = next(r for r in rows if r.unit == row.unit and r.data == "zero")
        assert row.deviation == pytest.approx(sum(row.random.values()) / row.total - 1)
        assert zero.total < row.total
        assert zero.total < sum(row.random.values())


@pytest.mark.parametrize("unit", ["array-8x8x4", "array-4x4x4"])
def test_random_operands_toggle_half_of_their_registers(unit: str) -> None:
    """Each bit of an operand changes in every second word, but for the readout's pauses: counted right, or not at
    all."""
    rows = [row for row in activity.activities() if row.unit == unit and row.data == "random"]
    assert rows
    for row in rows:
        share = row.toggles["operand registers"] / row.nets["operand registers"]
        assert share == pytest.approx(0.5, abs=0.02), row.part


def test_the_page_is_that_of_the_shipped_files(tmp_path: Path) -> None:
    written = activity_page.write(activity.FOLDER, tmp_path).read_text()
    assert written == (DOCS / "activity.md").read_text()
    assert not list(tmp_path.glob("*.partial"))
