"""Which points of a front run in RTL, and what is kept of them."""

from vitreous.explore.confirm import chosen
from vitreous.reports.exploration.exploration import ExploredPoint, Goal

GOALS = [
    Goal(name=name, figure=name, unit="", maximize=False, how="modelled", meaning="") for name in ("a", "b")
]


def test_the_ends_and_then_the_farthest() -> None:
    front = [
        ExploredPoint(number=n, settings={}, figures={"a": 10.0 + n, "b": 20.0 - n}, front=True)
        for n in range(9)
    ]
    assert [p.number for p in chosen(front, GOALS, 2)] == [0, 8]
    assert [p.number for p in chosen(front, GOALS, 3)] == [0, 4, 8]
    assert chosen(front, GOALS, 9) == front
