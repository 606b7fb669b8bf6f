"""``benchmarks.cases`` on the tree of today: nothing of either kind goes wrong any more."""

from __future__ import annotations

import sys

import pytest

from benchmarks import cases


@pytest.mark.slow
@pytest.mark.parametrize("title", cases.RANGES)
def test_a_range_that_calibration_sees(title: str) -> None:
    right, text = cases.judge_range(cases.RANGES[title])
    assert right, text


@pytest.mark.slow
@pytest.mark.parametrize("title", cases.ROUTES)
def test_two_routes_to_one_model(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cases", cases)
    right, text = cases.judge_route(cases.ROUTES[title])
    assert right, text
