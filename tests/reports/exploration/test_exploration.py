"""Explorations as data: the front, the confirmation, and that what is written is read again."""

import csv
import json
import math
from pathlib import Path

import pytest

from vitreous.reports.errors import ReportError
from vitreous.reports.exploration.exploration import (
    Confirmation,
    Exploration,
    ExploredPoint,
    Goal,
    Searched,
    load,
    nondominated,
    save,
)
from vitreous.reports.exploration.pareto_picture import draw


def exploration() -> Exploration:
    goals = (
        Goal(name="latency", figure="latency_ms", unit="ms", maximize=False, how="modelled", meaning="time"),
        Goal(name="accuracy", figure="accuracy", unit="", maximize=True, how="measured", meaning="share"),
    )
    seen = Confirmation(
        cycles=1000,
        counters={"cycles": (1000, 1005), "x_reads": (50, 49), "load_busy": (10, 90)},
        compared=10,
        different=0,
        seconds=1.5,
    )
    points = (
        ExploredPoint(number=0, settings={"array.lanes": 4}, figures={"latency_ms": 2.0, "accuracy": 0.9}, front=True,
                      config={"name": "a"}, confirmation=seen),
        ExploredPoint(number=1, settings={"array.lanes": 8}, figures={"latency_ms": 1.0, "accuracy": 0.8},
                      refusal="lut 9 is more than the 5"),
        ExploredPoint(number=3, settings={"array.lanes": 16}, figures={}, refusal="does not fit, it says"),
    )  # fmt: skip
    searched = Searched(
        model="m", technology="t", dram="d", clock_mhz=200.0, area="xcup", memory_latency=40, memory_throughput=100,
        measured_on="8 images", images=8, points=points,
    )  # fmt: skip
    return Exploration(
        name="space", date="today", combinations=3, dimensions={"array.lanes": [4, 8, 16]}, fixed={},
        accelerator="edge256", limits={"lut": 5}, goals=goals, seed=0, seconds=1.0, cpu_seconds=2.0,
        versions={"python": "3"}, searches=(searched,),
    )  # fmt: skip


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    as_json, as_csv = save(exploration(), tmp_path)
    again = load(tmp_path)
    assert again.searches == exploration().searches
    assert json.dumps(json.loads(as_json.read_text())) == json.dumps(
        json.loads(save(again, tmp_path / "again")[0].read_text())
    )
    rows = list(csv.DictReader(as_csv.open()))
    assert [row["point"] for row in rows] == ["0", "1", "3"]
    assert (rows[0]["front"], rows[0]["rtl_cycles"], rows[0]["rtl_deviation"]) == ("1", "1000", "0.005000")
    assert (rows[2]["latency_ms"], rows[2]["refusal"]) == ("", "does not fit, it says")


def test_points_and_confirmation() -> None:
    searched = exploration().searches[0]
    assert [p.feasible for p in searched.points] == [True, False, False]
    assert searched.estimated == 2
    assert searched.front == (searched.points[0],)
    seen = searched.points[0].confirmation
    assert seen is not None
    assert seen.deviation == pytest.approx(0.005)
    assert seen.worst_event == ("x_reads", pytest.approx(-0.02))
    assert [goal.loss(searched.points[0]) for goal in exploration().goals] == [2.0, -0.9]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([(1, 2), (2, 1), (2, 2)], [True, True, False]),
        ([(1, 1), (1, 1)], [True, True]),
        ([(1, 1), (1, 2)], [True, False]),
        ([(3,), (1,), (2,)], [False, True, False]),
        ([(0, math.inf), (1, 5)], [True, True]),
        ([], []),
    ],
)
def test_the_front(losses: list[tuple[float, ...]], expected: list[bool]) -> None:
    assert nondominated(losses) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "Cannot read the exploration"),
        ("{", "is not valid JSON"),
        ("{}", "is not an exploration in the format"),
        ('{"format": "vitreous.exploration/2"}', "is not a complete exploration"),
    ],
)
def test_what_is_no_exploration(tmp_path: Path, text: str | None, sentence: str) -> None:
    if text is not None:
        (tmp_path / "exploration.json").write_text(text)
    with pytest.raises(ReportError, match=sentence):
        load(tmp_path)


def test_the_picture(tmp_path: Path) -> None:
    found = exploration()
    for name in ("a.svg", "b.svg"):
        draw(found, found.searches[0], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "<svg" in (tmp_path / "a.svg").read_text()
