"""An exploration's own page, and its front: each trade-off once, with what is known of its error."""

import dataclasses
from pathlib import Path

from tests.reports.page.test_page import Page
from tests.support.reports.explored import GOALS, exploration, point
from vitreous.reports.exploration import front, web
from vitreous.reports.exploration.exploration import ExploredPoint, Searched
from vitreous.reports.figures.interval import wilson


def searched(*points: ExploredPoint) -> Searched:
    return dataclasses.replace(exploration().searches[0], points=points)


def test_equal_points_are_one_row_and_the_confirmed_one_stands_for_them() -> None:
    twin = dataclasses.replace(point(1), number=50)
    unconfirmed = dataclasses.replace(point(0), number=51)
    rows = front.rows(searched(unconfirmed, point(2), twin, point(1), point(0)), GOALS)
    assert [(row.point.number, row.others) for row in rows] == [(0, (51,)), (1, (50,)), (2, ())]
    text = web.render(dataclasses.replace(exploration(), searches=(searched(point(0), unconfirmed),)))
    page = Page(text)
    assert "2 on the Pareto front, which are 1 different trade-offs" in " ".join(page.text.split())
    dots = [a for tag, a in page.elements if tag == "circle" and a.get("class") == "dot u-array"]
    assert len(dots) == 2 * 2, "one point in two charts of two sizes"


def test_intervals_come_from_the_figures_or_from_the_images() -> None:
    energy, accuracy = GOALS[1], GOALS[2]
    known = dataclasses.replace(
        point(0), figures={**point(0).figures, "energy_low_mj": 3.0, "energy_high_mj": 40.0}
    )
    assert front.interval(energy, known, 8) == (3.0, 40.0)
    assert front.interval(energy, point(0), 8) is None
    assert front.interval(accuracy, known, 8) == wilson(7, 8)
    assert front.interval(accuracy, known, 0) is None
    assert front.interval(GOALS[0], known, 8) is None, "the cycle model states no error"
    text = " ".join(
        Page(web.render(dataclasses.replace(exploration(), searches=(searched(known),)))).text.split()
    )
    assert "3.00 to 40.0" in text


def test_the_page_links_a_file_for_each_point_and_says_how_to_open_the_study(tmp_path: Path) -> None:
    links = {(0, number): f"points/{number}.toml" for number in range(4)}
    path = web.write(exploration(), tmp_path, links, "optuna-dashboard sqlite:///x/study.db")
    page = Page(path.read_text())
    assert page.open == []
    assert page.scripts == []
    targets = {str(a["href"]) for tag, a in page.elements if tag == "a"}
    assert {target for target in targets if not target.startswith("#")} == set(links.values())
    places = {a["id"] for _, a in page.elements if "id" in a}
    assert {target[1:] for target in targets if target.startswith("#")} <= places
    text = " ".join(page.text.split())
    assert "optuna-dashboard sqlite:///x/study.db" in text
    assert "lut over 1000" in text
    bare = web.render(exploration())
    assert "optuna" not in bare
    assert "points/" not in bare


def test_names_cannot_break_the_page() -> None:
    text = web.render(dataclasses.replace(exploration(), name="<script>x"))
    assert "<script>" not in text
    assert Page(text).open == []
