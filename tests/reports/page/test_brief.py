"""The two printed sheets: as many rows for a large model as for a small one, and nothing left out of their sums."""

import pytest

from tests.support.reports.recorded import large_record, record
from vitreous.reports import summarize
from vitreous.reports.page import brief


def test_layers_are_grouped_and_add_up() -> None:
    report = summarize(large_record(blocks=12))
    rows = brief.layer_sums(report)
    assert [row.name for row in rows][:2] == ["blocks.*.mlp.fc1", "blocks.*.mlp.fc2"]
    assert sum(row.cycles for row in rows) == sum(row.cycles for row in report.layers)
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert all(row.utilization is None or 0 < row.utilization <= 1 for row in rows)
    small = {row.name: row for row in brief.layer_sums(summarize(record()))}
    assert small["second"].utilization == pytest.approx(200 / (43 * 32))
    assert "norm" not in small, "it has no cycles of the array"


def test_what_has_no_row_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brief, "LAYERS", 2)
    report = summarize(large_record(blocks=2))
    rows = brief.layer_sums(report)
    assert [row.name for row in rows][2:] == [brief.OTHERS]
    assert sum(row.cycles for row in rows) == sum(row.cycles for row in report.layers)


def test_units_add_up_to_the_last_row() -> None:
    report = summarize(record())
    *units, whole = brief.unit_sums(report)
    assert len(units) == brief.UNITS + 1
    assert whole.joules == report.energy.total
    assert sum(unit.share for unit in units) == pytest.approx(1)
    assert sum(unit.joules.high for unit in units) == pytest.approx(whole.joules.high)
