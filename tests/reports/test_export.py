"""Exports: tables whose sums are the report's, and a trace that Perfetto and Chrome accept."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections import defaultdict
from typing import Any

import pytest

from tests.support.reports.recorded import large_record, record
from vitreous.reports import summarize
from vitreous.reports.export import COUNTERS, DRAM, ENERGY, LAYERS, TRACE, WAITS, exports
from vitreous.reports.report import Report
from vitreous.spec.isa import COUNTERS as HARDWARE
from vitreous.spec.isa import Queue
from vitreous.spec.opcodes.causes import Cause


@pytest.fixture(scope="module", params=["small", "large"])
def report(request: pytest.FixtureRequest) -> Report:
    # 3 cycles are 10 ns: cycles fall between the trace's nanoseconds.
    return summarize(record() if request.param == "small" else large_record(), clock_mhz=300)


@pytest.fixture(scope="module")
def files(report: Report) -> dict[str, str]:
    return exports(report)


@pytest.fixture(scope="module")
def events(files: dict[str, str]) -> list[dict[str, Any]]:
    found = json.loads(files[TRACE])["traceEvents"]
    assert isinstance(found, list)
    return found


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_layers_add_up_to_the_report(report: Report, files: dict[str, str]) -> None:
    rows = table(files[LAYERS])
    assert [row["label"] for row in rows] == [row.label for row in report.layers]
    assert sum(int(row["cycles"]) for row in rows) == report.counters[0]["cycles"]
    assert sum(int(row["macs"]) for row in rows) == sum(row.macs for row in report.layers)
    for end in ("low", "typical", "high"):
        joules = sum(float(row[f"dynamic_{end}_j"]) + float(row[f"static_{end}_j"]) for row in rows)
        assert joules == pytest.approx(sum(getattr(row.total, end) for row in report.energy.layers))


def test_energy_adds_up_to_the_report(report: Report, files: dict[str, str]) -> None:
    rows = table(files[ENERGY])
    for end in ("low", "typical", "high"):
        joules = sum(float(row[f"energy_{end}_j"]) for row in rows)
        assert joules == pytest.approx(getattr(report.energy.total, end))
    assert {row["unit"] for row in rows} == {unit.unit for unit in report.energy.units}
    counts = {row["events"]: int(row["count"]) for row in rows if row["count"]}
    assert all(report.counters[0][name] == count for name, count in counts.items())
    assert all(row["how"] for row in rows)


def test_bytes_of_dram_add_up_to_the_counters(report: Report, files: dict[str, str]) -> None:
    rows = table(files[DRAM])
    counts, beat = report.counters[0], report.config["bus"]["data_bits"] // 8
    assert sum(int(row["read"]) for row in rows) == (counts["load_beats"] + counts["fetch_beats"]) * beat
    assert sum(int(row["written"]) for row in rows) == counts["store_beats"] * beat
    assert {row["cause"] for row in rows} <= set(Cause)


def test_counters_are_those_of_each_image(report: Report, files: dict[str, str]) -> None:
    rows = table(files[COUNTERS])
    assert len(rows) == len(report.counters) * len(HARDWARE)
    for row in rows:
        assert int(row["value"]) == report.counters[int(row["image"])][row["counter"]]
        assert row["meaning"]


def test_every_event_has_the_fields_of_its_phase(events: list[dict[str, Any]]) -> None:
    for event in events:
        assert isinstance(event["name"], str)
        assert event["name"]
        assert (type(event["pid"]), type(event["tid"])) == (int, int)
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
            continue
        assert event["ph"] in ("X", "C")
        assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] >= 0
            assert event["cat"]
        else:
            assert all(isinstance(value, float) and value >= 0 for value in event["args"].values())


def test_times_rise_and_bars_of_a_track_do_not_overlap(events: list[dict[str, Any]]) -> None:
    timed = [event for event in events if event["ph"] != "M"]
    assert [event["ts"] for event in timed] == sorted(event["ts"] for event in timed)
    complete: dict[int, int] = defaultdict(int)
    for event in timed:
        if event["ph"] == "X":
            # A reader keeps nanoseconds, so compare in them.
            start, length = round(event["ts"] * 1e3), round(event["dur"] * 1e3)
            assert start >= complete[event["tid"]], event
            complete[event["tid"]] = start + length


def test_every_track_is_named_and_every_name_used_once(events: list[dict[str, Any]]) -> None:
    named = [event["tid"] for event in events if event["name"] == "thread_name"]
    assert len(named) == len(set(named)) == 2 * len(Queue)
    assert {event["tid"] for event in events if event["ph"] == "X"} <= set(named)


def test_the_bars_are_the_schedule(report: Report, events: list[dict[str, Any]]) -> None:
    bars = [event for event in events if event["ph"] == "X"]
    instructions = {event["args"]["pc"]: event for event in bars if event["tid"] < WAITS}
    for queue, pc, start, end, kind, label in report.schedule.spans:
        bar = instructions[pc]
        assert (bar["tid"], bar["args"]["end"], bar["args"]["issued"]) == (queue, end, start)
        assert bar["name"] == report.schedule.labels[label]
        assert bar["args"]["kind"] == report.schedule.kinds[kind]
        assert bar["ts"] == pytest.approx(bar["args"]["start"] / 300, abs=6e-4)
        assert bar["ts"] + bar["dur"] == pytest.approx(end / 300, abs=1.2e-3)
    waits = [event for event in bars if event["tid"] >= WAITS]
    assert sum(event["args"]["end"] - event["args"]["start"] for event in waits) == sum(
        end - start for _, start, end, _ in report.schedule.waits
    )


def test_the_bus_moves_the_bytes_of_the_beats(report: Report, events: list[dict[str, Any]]) -> None:
    """Rate times time, from one counter event to the next, is what loads and stores move; it ends at zero."""
    levels = [event for event in events if event["ph"] == "C"]
    moved = 0.0
    for event, after in itertools.pairwise(levels):
        moved += sum(event["args"].values()) * (after["ts"] - event["ts"]) * 300
    total = sum(transfer.bytes for transfer in report.transfers)
    assert total > 0
    assert moved == pytest.approx(total, rel=0.01)
    assert set(levels[-1]["args"].values()) == {0.0}


def test_the_trace_says_what_its_time_is(files: dict[str, str]) -> None:
    about = json.loads(files[TRACE])["otherData"]
    assert (about["clock_mhz"], about["clock"]) == (300, "given")


def test_without_spans_the_tables_are_still_there() -> None:
    from tests.support.reports.recorded import record_data
    from vitreous.reports.record.record import from_dict

    data = record_data()
    data["simulation"]["spans"] = []
    found = exports(summarize(from_dict(data)))
    assert table(found[LAYERS]) == []
    assert len(table(found[ENERGY])) > 10
    assert [event for event in json.loads(found[TRACE])["traceEvents"] if event["ph"] != "M"] == []
