from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

from vitreous.reports.exploration.pareto import Point, best, draw, save

POINT = Point(
    function="gelu", group="delta", label="delta 1/32", settings={"step_bits": 5}, inputs="all",
    largest=1e-4, mean=1e-5, table_bits=100, lut=200.0, ff=90.0, dsp=1.0, bram=0.0, depth=5, area=294.0,
)  # fmt: skip


def test_best_keeps_what_no_other_beats() -> None:
    items = [("a", 1, 9), ("b", 2, 5), ("c", 2, 6), ("d", 3, 5), ("e", 4, 1)]
    assert best(items) == ["a", "b", "e"]


def test_of_equal_items_one_stays() -> None:
    assert best([("a", 1, 1), ("b", 1, 1)]) == ["a"]


def test_files_hold_every_point_and_setting(tmp_path: Path) -> None:
    points = [POINT, replace(POINT, label="poly", settings={"variant": "poly"}, front=True)]
    as_json, as_csv = save(points, tmp_path / "new", "gelu", {"family": "xcup"})
    data = json.loads(as_json.read_text())
    assert data["family"] == "xcup"
    assert [p["label"] for p in data["points"]] == ["delta 1/32", "poly"]
    rows = list(csv.DictReader(as_csv.read_text().splitlines()))
    assert [row["step_bits"] for row in rows] == ["5", ""]
    assert [row["variant"] for row in rows] == ["", "poly"]
    assert float(rows[0]["area"]) == 294
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["gelu.csv", "gelu.json"]


def test_pictures_are_written_whole_and_name_the_front(tmp_path: Path) -> None:
    points = [
        replace(POINT, front=True),
        replace(POINT, group="poly", label="the other", area=100, largest=1e-2),
    ]
    for suffix in ("svg", "png"):
        draw(points, tmp_path / f"a.{suffix}", title="GELU", area="LUT")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg"]
    first = (tmp_path / "a.svg").read_text()
    assert "<!-- delta 1/32 -->" in first
    assert "<!-- the other -->" not in first
    draw(points, tmp_path / "a.svg", title="GELU", area="LUT")
    assert (tmp_path / "a.svg").read_text() == first
