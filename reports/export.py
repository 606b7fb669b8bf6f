"""The report for other programs: tables as CSV, and the schedule in the trace-event format of Perfetto and Chrome.

The trace: one track for each queue with its instructions, one beside it with what it waited for, and counters of the
bytes a cycle on the bus. Time stamps are microseconds at the report's clock, rounded to a nanosecond; the exact cycles
are in each event's arguments. An instruction's bar begins when the previous one in its queue retires, or at its
issue if that is later (``issued``), so that bars of a track do not overlap.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from typing import Any

from vitreous.reports.energy.energy import TIME
from vitreous.reports.energy.technology import Range
from vitreous.reports.figures.figures import MEANING
from vitreous.reports.figures.schedule import QUEUES
from vitreous.reports.report import Report
from vitreous.reports.tables import csv_table
from vitreous.spec.isa import Queue

LAYERS, ENERGY, COUNTERS, TRACE = "layers.csv", "energy.csv", "counters.csv", "schedule.trace.json"
DRAM = "dram.csv"
PROCESS = 1
WAITS = 10
"""Track of a queue's waits: its number and this."""

Event = dict[str, Any]


def _range_names(name: str) -> list[str]:
    return [f"{name}_{end}_j" for end in ("low", "typical", "high")]


def _cells(value: Range) -> tuple[float, float, float]:
    return value.low, value.typical, value.high


def layers_csv(report: Report) -> str:
    """A row for each layer: the layer table, and its energy in joules."""
    joules = {row.label: (*_cells(row.dynamic), *_cells(row.static)) for row in report.energy.layers}
    columns = (
        [field.name for field in dataclasses.fields(type(report.layers[0]))] if report.layers else ["label"]
    )
    rows = [(*dataclasses.astuple(row), *joules[row.label]) for row in report.layers]
    return csv_table([*columns, *_range_names("dynamic"), *_range_names("static")], rows)


def energy_csv(report: Report) -> str:
    """A row for each unit and event: joules of the first image, and the formula."""
    detail = report.energy.detail
    header = ["technology", "dram", "unit", "events", "count", *_range_names("energy"), "how"]
    counts = report.counters[0]
    rows = [
        (
            detail.technology,
            detail.dram,
            p.unit,
            p.events,
            None if p.events == TIME else counts[p.events],
            *_cells(p.joules),
            p.how,
        )
        for p in detail.parts
    ]
    return csv_table(header, rows)


def dram_csv(report: Report) -> str:
    """A row for each tensor of a layer and each cause: bytes between DRAM and the chip; none without causes."""
    rows = () if report.dram_bytes is None else report.dram_bytes.tensors
    columns = ("layer", "tensor", "cause", "transfers", "read", "written", "minimum")
    return csv_table(columns, [[getattr(row, name) for name in columns] for row in rows])


def counters_csv(report: Report) -> str:
    """A row for each image and counter."""
    rows = [
        (image, name, value, MEANING[name])
        for image, counters in enumerate(report.counters)
        for name, value in counters.items()
    ]
    return csv_table(["image", "counter", "value", "meaning"], rows)


def _track(number: int, name: str, place: int) -> list[Event]:
    about = {"ph": "M", "pid": PROCESS, "tid": number}
    return [
        {**about, "name": "thread_name", "args": {"name": name}},
        {**about, "name": "thread_sort_index", "args": {"sort_index": place}},
    ]


class _Clock:
    """Cycles to microseconds in whole nanoseconds: the end of a bar is never after the start of the next."""

    def __init__(self, mhz: float) -> None:
        self._mhz = mhz

    def nanoseconds(self, cycle: int) -> int:
        return round(cycle * 1e3 / self._mhz)

    def bar(self, track: int, name: str, category: str, start: int, end: int, **args: object) -> Event:
        first, last = self.nanoseconds(start), self.nanoseconds(end)
        return {
            "ph": "X",
            "pid": PROCESS,
            "tid": track,
            "name": name,
            "cat": category,
            "ts": first / 1e3,
            "dur": (last - first) / 1e3,
            "args": {"start": start, "end": end, **args},
        }


def _instructions(report: Report, clock: _Clock) -> list[Event]:
    schedule = report.schedule
    complete: dict[int, int] = defaultdict(int)
    events = []
    for queue, pc, start, end, kind, label in sorted(schedule.spans, key=lambda span: (span[0], span[1])):
        first = max(start, complete[queue])
        complete[queue] = max(complete[queue], end)
        if end > first:
            name, what = schedule.labels[label] or schedule.kinds[kind], schedule.kinds[kind]
            events.append(clock.bar(queue, name, what, first, end, kind=what, pc=pc, issued=start))
    return events


def _waits(report: Report, clock: _Clock) -> list[Event]:
    schedule = report.schedule
    return [
        clock.bar(WAITS + queue, schedule.causes[cause], "wait", start, end, queue=QUEUES[queue])
        for queue, start, end, cause in schedule.waits
    ]


def _bus(report: Report, clock: _Clock) -> list[Event]:
    """Counter events where the rate changes: a transfer's bytes, spread evenly over its time."""
    names = {Queue.LOAD: "loaded", Queue.STORE: "stored"}
    rates: dict[int, dict[str, float]] = defaultdict(dict)
    for transfer in report.transfers:  # one after the other in each queue
        name = names[Queue(transfer.queue)]
        rates[transfer.start][name] = round(transfer.bytes / (transfer.end - transfer.start), 6)
        rates[transfer.end].setdefault(name, 0.0)
    level = dict.fromkeys(names.values(), 0.0)
    events = []
    for cycle in sorted(rates):
        level |= rates[cycle]
        events.append(
            {
                "ph": "C",
                "pid": PROCESS,
                "tid": 0,
                "name": "bus, bytes a cycle",
                "ts": clock.nanoseconds(cycle) / 1e3,
                "args": dict(level),
            }
        )
    return events


def trace_json(report: Report) -> str:
    """The trace of the first image, for ui.perfetto.dev or chrome://tracing."""
    clock = _Clock(report.clock_mhz)
    title = f"{report.model} on {report.accelerator}"
    events: list[Event] = [
        {"ph": "M", "pid": PROCESS, "tid": 0, "name": "process_name", "args": {"name": title}}
    ]
    for queue in Queue:
        events += _track(queue, QUEUES[queue], 2 * queue)
        events += _track(WAITS + queue, f"{QUEUES[queue]}, waiting", 2 * queue + 1)
    timed = _instructions(report, clock) + _waits(report, clock) + _bus(report, clock)
    timed.sort(key=lambda event: (event["ts"], event["tid"]))
    about = {
        "clock_mhz": report.clock_mhz,
        "clock": report.clock_source,
        "cycles": report.schedule.cycles,
        "time": "microseconds at clock_mhz; cycles in args",
        "bus, bytes a cycle": "bytes of each load and store, evenly over its time; instruction fetch not included",
    }
    contents = {"traceEvents": events + timed, "displayTimeUnit": "ns", "otherData": about}
    return json.dumps(contents, separators=(",", ":")) + "\n"


def exports(report: Report) -> dict[str, str]:
    """File name -> contents."""
    return {
        LAYERS: layers_csv(report),
        ENERGY: energy_csv(report),
        COUNTERS: counters_csv(report),
        DRAM: dram_csv(report),
        TRACE: trace_json(report),
    }
