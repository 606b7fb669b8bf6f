"""Clocks that ship or are kept are taken for the RTL that they are of, and for no other."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.support.reports.cells import ff, lut, module
from tests.support.reports.recorded import CONFIG
from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis.kept import write_kept
from vitreous.reports.timing import measured
from vitreous.reports.timing.delays import load_delays, named_delays
from vitreous.reports.timing.measured import Measured, estimates, shipped
from vitreous.reports.timing.result import Timing
from vitreous.reports.timing.section import clock_note, too_fast
from vitreous.reports.timing.timing import timing

UP = "xcup-2"


def found() -> Timing:
    names = {"*halt": [2], "*load.level": [4]}
    return timing(
        module(ff("0", 2), lut(2, "0", o=3), ff(3, 4), names=names), load_delays(UP), tool="Yosys 1.0"
    )


def ship(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    facts = {
        "accelerator": CONFIG.name,
        "configuration": CONFIG.digest,
        "sources": measured.sources(),
        **changed,
    }
    monkeypatch.setattr(measured, "shipped", lambda: (Measured(**facts, timing=found()),))


def row(cache: Path | None = None) -> measured.ClockEstimate:
    return next(one for one in estimates(CONFIG, cache) if one.target == UP)


def test_what_ships_is_whole() -> None:
    runs = shipped()
    assert {(run.accelerator, run.timing.target) for run in runs} >= {("edge64", UP), ("edge256", UP)}
    for run in runs:
        assert run.timing.low <= run.timing.clock_mhz <= run.timing.high
        assert run.timing.paths
        assert run.timing.rtl


def test_every_target_has_a_row_and_one_without_a_result_says_what_measures_it() -> None:
    rows = estimates(CONFIG)
    assert tuple(one.target for one in rows) == named_delays()
    assert all(one.clock_mhz is None for one in rows)
    assert row().reason == "`vitreous timing --accelerator tiny --target xcup-2` estimates it"


def test_a_result_of_this_rtl_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    ship(monkeypatch)
    one = row()
    assert (one.clock_mhz, one.reason) == (found().clock_mhz, "")
    assert "halt -> load.level (D)" in one.worst
    assert "Yosys 1.0" in one.how
    assert one.how.endswith("shipped")


def test_a_result_of_another_rtl_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    ship(monkeypatch, sources="0" * 16)
    assert row().clock_mhz is None
    assert row().reason.startswith("what ships is of another RTL, `vitreous timing")


def test_a_result_with_other_delays_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Measured(
        accelerator=CONFIG.name,
        configuration=CONFIG.digest,
        sources=measured.sources(),
        timing=dataclasses.replace(found(), delays="0" * 16),
    )
    monkeypatch.setattr(measured, "shipped", lambda: (old,))
    assert row().clock_mhz is None


def test_a_kept_result_is_taken(tmp_path: Path) -> None:
    write_kept(measured.kept_path(CONFIG, load_delays(UP), tmp_path), found(), measured.KEPT_FORMAT)
    assert row(tmp_path).clock_mhz == found().clock_mhz
    assert row(tmp_path).how.endswith("kept in the cache of this user")
    other = dataclasses.replace(CONFIG, bus=dataclasses.replace(CONFIG.bus, data_bits=128))
    assert all(one.clock_mhz is None for one in estimates(other, tmp_path))


def test_a_clock_above_the_range_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    ship(monkeypatch)
    rows, high = estimates(CONFIG), found().high
    technology = "fpga-ultrascale-plus"
    assert clock_note(rows, high, technology).startswith("estimated on UltraScale+, speed grade -2: ")
    assert not too_fast(rows, high, technology)
    assert clock_note(rows, high + 1, technology).startswith("above the range of what is estimated on")
    assert too_fast(rows, high + 1, technology)
    assert not too_fast(rows, high + 1, "asic-28nm")
    assert clock_note(rows, high, "asic-28nm") == "no clock is estimated for asic-28nm"


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    with pytest.raises(ReportError, match="Cannot read the timings"):
        shipped(path)
    path.write_text(json.dumps({"format": "vitreous.timings/9"}))
    with pytest.raises(ReportError, match="expected 'vitreous.timings/1'"):
        shipped(path)
