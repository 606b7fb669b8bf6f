import copy
import json
from pathlib import Path

import pytest

from tests.support.reports.recorded import record, record_data
from vitreous.reports import ReportError, summarize, write
from vitreous.reports.record.provenance import HOW, HOWS, SOURCES, hows, worst
from vitreous.reports.record.record import from_dict

REQUIRED = [
    "model",
    "accelerator",
    "images_simulated",
    "values_compared",
    "values_different",
    "accuracy_float",
    "accuracy_int",
    "cycles_per_image",
    "macs_per_image",
    "utilization",
    "sim_cycles_per_second",
    "simulate_seconds",
    "build_seconds",
]


def test_figures_by_hand() -> None:
    report = summarize(record(), clock_mhz=250)
    assert (report.model, report.accelerator, report.images_simulated) == ("two-layers", "tiny", 2)
    assert report.equal
    assert (report.values_compared, report.values_different) == (6, 0)
    assert (report.bytes_compared, report.bytes_different) == (48, 0)
    assert (report.accuracy_float, report.accuracy_int, report.agreement) == (0.875, 0.75, 0.875)
    assert report.cycles_per_image == 101  # the mean of 100 and 102
    assert report.utilization == pytest.approx(800 / (101 * 4 * 4 * 2 * 1))
    assert report.occupancy == pytest.approx(60 / 202)
    assert report.latency_ms == pytest.approx(101 / 250e6 * 1e3)
    assert report.images_per_second == pytest.approx(250e6 / 101)
    assert (report.clock_mhz, report.clock_source) == (250, "given")
    assert report.sim_cycles_per_second == pytest.approx((104 + 106) / 0.75)
    assert (report.simulate_seconds, report.build_seconds, report.build_original_seconds) == (1.5, 0, 21.5)


def test_a_clock_that_nobody_gave_is_marked_as_assumed() -> None:
    report = summarize(record())
    assert (report.clock_mhz, report.clock_source) == (200, "assumed")
    with pytest.raises(ReportError, match="The clock must be a positive number of MHz, not 0"):
        summarize(record(), clock_mhz=0)


def test_json_has_the_promised_entries_and_a_source_for_each_figure(tmp_path: Path) -> None:
    _, path = write(summarize(record()), tmp_path)
    data = json.loads(path.read_text())
    assert [name for name in REQUIRED if name not in data] == []
    assert data["cycles_per_image"] == 101
    assert isinstance(data["cycles_per_image"], int)
    figures = [name for name, value in data.items() if isinstance(value, (int, float, list))]
    described = {
        "equal": "values_different",
        "accuracy_images": "accuracy_float",
        "accuracy_caution": "accuracy_test",
        "output_error_images": "output_error",
        "build_cached": "build_seconds",
    }
    described |= {"checks": "values_compared", "memory_latency": "config", "memory_throughput": "config"}
    silent = [name for name in figures if name not in SOURCES and name not in described]
    assert silent == []
    files = ["counters.csv", "dram.csv", "energy.csv", "index.html", "layers.csv", "report.json"]
    files.append("schedule.trace.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == files


@pytest.mark.parametrize(("which", "name"), [(0, "values_different"), (1, "bytes_different")])
def test_one_difference_anywhere_is_not_equal(which: int, name: str) -> None:
    data = copy.deepcopy(record_data())
    data["checks"][which]["tensors"][0]["different"] = 1
    report = summarize(from_dict(data))
    assert not report.equal
    assert getattr(report, name) == 1


def test_nothing_compared_is_not_equal() -> None:
    data = record_data()
    data["checks"] = []
    assert not summarize(from_dict(data)).equal


def test_accuracy_without_labels_is_null_with_a_reason(tmp_path: Path) -> None:
    data = record_data()
    data["accuracy"] = {
        "images": 8,
        "correct_float": None,
        "correct_int": None,
        "agree": 8,
        "reason": "no labels",
        "test": {"origin": "synthetic", "source": "noise"},
        "calibration": {"origin": "synthetic", "source": "noise"},
    }
    _, path = write(summarize(from_dict(data)), tmp_path)
    written = json.loads(path.read_text())
    assert (written["accuracy_float"], written["accuracy_int"]) == (None, None)
    assert (written["accuracy_note"], written["agreement"]) == ("no labels", 1)


def test_impossible_accuracy_is_refused() -> None:
    data = record_data()
    data["accuracy"]["correct_int"] = 9
    with pytest.raises(ReportError, match="accuracy.correct_int is 9 of 8 images"):
        summarize(from_dict(data))


def test_every_source_says_in_one_word_how_its_figure_was_obtained() -> None:
    assert set(HOW) == set(SOURCES)
    assert set(HOW.values()) <= set(HOWS)
    assert summarize(record()).how["latency_ms"] == "assumed"
    assert summarize(record(), clock_mhz=250).how["latency_ms"] == "given"
    assert hows("given")["cycles_per_image"] == hows("assumed")["cycles_per_image"] == "measured"
    assert worst("measured", "assumed", "modelled") == "assumed"
