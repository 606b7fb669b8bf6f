"""Two or more runs side by side: the same figures, ratios to the first run, and how the machines differ.

Layers are matched by label; layers whose names differ only by a number (``blocks.3.mlp``) also as one group, so that
models of different depth can be compared. What a run does not have is None, and no ratio is made of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.reports.errors import ReportError
from vitreous.reports.formatting import group_name
from vitreous.reports.report import Report

FORMAT = "vitreous-comparison-2"


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One figure of every run. ``how``: by run, how it was obtained. ``better``: ``less``, ``more``, or empty."""

    name: str
    unit: str
    better: str
    values: tuple[float | None, ...]
    how: tuple[str, ...]

    @property
    def ratios(self) -> tuple[float | None, ...]:
        """Each value over the first run's; None where one of them is missing or the first is 0."""
        first = self.values[0]
        return tuple(value / first if value is not None and first else None for value in self.values)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One name with a number for each run; None for a run without it."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A field of the configuration, of the simulated memory or of the run that is not the same in all runs."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """``names``: one for each run, unique. Cycles and bytes are of one image, energy in mJ, typical.

    equal : ``Report.verdict`` of each run, ``compared`` how many values and bytes that was found on.
    clocks : each run's own, with how it was obtained, as text: figures in seconds are at these.
    """

    names: tuple[str, ...]
    titles: tuple[str, ...]
    equal: tuple[str, ...]
    compared: tuple[int, ...]
    clocks: tuple[str, ...]
    quantities: tuple[Quantity, ...]
    groups: tuple[Row, ...]
    layers: tuple[Row, ...]
    stalls: tuple[Row, ...]
    traffic: tuple[Row, ...]
    energy: tuple[Row, ...]
    area: tuple[Row, ...]
    differences: tuple[Difference, ...]
    equal_fields: int

    def as_dict(self) -> dict[str, Any]:
        """The contents of comparison.json."""
        data = {"format": FORMAT, **dataclasses.asdict(self)}
        for entry, quantity in zip(data["quantities"], self.quantities, strict=True):
            entry["ratios"] = quantity.ratios
        return data


Value = Callable[[Report], float | None]
_QUANTITIES: tuple[tuple[str, str, str, str, Value], ...] = (
    ("accuracy, integer", "%", "more", "accuracy_int", lambda r: _percent(r.accuracy_int)),
    ("accuracy, float", "%", "more", "accuracy_float", lambda r: _percent(r.accuracy_float)),
    ("cycles for one image", "cycles", "less", "cycles_per_image", lambda r: r.cycles_per_image),
    ("latency", "ms", "less", "latency_ms", lambda r: r.latency_ms),
    ("clock", "MHz", "more", "clock_mhz", lambda r: r.clock_mhz),
    ("energy of one image, typical", "mJ", "less", "energy", lambda r: 1e3 * r.energy.total.typical),
    ("energy of one image, low", "mJ", "less", "energy", lambda r: 1e3 * r.energy.total.low),
    ("energy of one image, high", "mJ", "less", "energy", lambda r: 1e3 * r.energy.total.high),
    ("mean power, typical", "W", "less", "energy", lambda r: r.energy.power_w.typical),
    ("multiply-accumulates", "MAC", "", "macs_per_image", lambda r: r.macs_per_image),
    ("array", "MAC a cycle", "", "macs_per_image", lambda r: r.roofline.peak / (r.clock_mhz * 1e6)),
    ("utilization", "%", "more", "utilization", lambda r: _percent(r.utilization)),
    ("occupancy", "%", "more", "occupancy", lambda r: _percent(r.occupancy)),
    ("DRAM bytes", "bytes", "less", "traffic", lambda r: _dram(r)),
    ("instructions", "", "less", "counters", lambda r: r.counters[0]["instructions"]),
)
"""(name, unit, better, figure whose ``how`` it has, value)."""


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _dram(report: Report) -> float:
    return sum(row.bytes for row in report.traffic if row.where == "DRAM")


def _areas(report: Report) -> dict[str, float]:
    """Totals by target and column: ``xcup, lut``."""
    return {
        f"{target.target}, {column}": getattr(target.total, column)
        for target in report.area
        for column in target.columns
        if getattr(target.total, column) is not None
    }


def _flat(report: Report) -> dict[str, str]:
    """Every setting that can explain a difference, as text."""
    fields = {"model": report.model, "accelerator": report.accelerator}
    for part, values in report.config.items():
        if isinstance(values, Mapping):
            fields |= {f"{part}.{name}": str(value) for name, value in values.items()}
    fields |= {
        "memory latency, cycles": str(report.memory_latency),
        "memory, beats for every 100 cycles": str(report.memory_throughput),
        "clock, MHz": f"{report.clock_mhz:g}",
        "technology": report.energy.technology,
        "DRAM": report.energy.dram,
    }
    return fields


def _rows(tables: Sequence[Mapping[str, float]]) -> tuple[Row, ...]:
    """One row for each name in any of ``tables``, in the order in which they first come."""
    names = dict.fromkeys(name for table in tables for name in table)
    return tuple(Row(name=name, values=tuple(table.get(name) for table in tables)) for name in names)


def _summed(pairs: Sequence[tuple[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for name, value in pairs:
        sums[name] = sums.get(name, 0) + value
    return sums


def compare(runs: Sequence[tuple[str, Report]]) -> Comparison:
    """``runs``: (name, report), two or more. Raises ReportError for fewer, or when two have the same name."""
    names, reports = tuple(name for name, _ in runs), [report for _, report in runs]
    if len(runs) < 2:
        raise ReportError(f"A comparison needs at least two runs, not {len(runs)}")
    if len(set(names)) < len(names):
        raise ReportError(f"The runs must have different names, not {', '.join(names)}")
    flat = [_flat(report) for report in reports]
    fields = list(dict.fromkeys(field for one in flat for field in one))
    differing = [field for field in fields if len({one.get(field) for one in flat}) > 1]
    owned = [[(row.label, float(row.cycles)) for row in report.layers if row.cycles] for report in reports]
    return Comparison(
        names=names,
        titles=tuple(f"{report.model} on {report.accelerator}" for report in reports),
        equal=tuple(report.verdict for report in reports),
        compared=tuple(report.values_compared + report.bytes_compared for report in reports),
        clocks=tuple(f"{report.clock_mhz:g} MHz ({report.clock_source})" for report in reports),
        quantities=tuple(
            Quantity(
                name=name,
                unit=unit,
                better=better,
                values=tuple(value(report) for report in reports),
                how=tuple(report.how[figure] for report in reports),
            )
            for name, unit, better, figure, value in _QUANTITIES
        ),
        groups=_rows([_summed([(group_name(name), cycles) for name, cycles in rows]) for rows in owned]),
        layers=_rows([_summed(rows) for rows in owned]),
        stalls=_rows([{row.name: row.cycles for row in report.stalls} for report in reports]),
        traffic=_rows([{row.port: row.bytes for row in report.traffic} for report in reports]),
        energy=_rows([{u.unit: 1e3 * u.joules.typical for u in r.energy.units} for r in reports]),
        area=_rows([_areas(report) for report in reports]),
        differences=tuple(
            Difference(field=field, values=tuple(one.get(field, "–") for one in flat)) for field in differing
        ),
        equal_fields=len(fields) - len(differing),
    )


def run_names(folders: Sequence[Path]) -> list[str]:
    """A short unique name for each folder: its own name, or as much of its path as tells them apart."""
    parts = [folder.resolve().parts for folder in folders]
    if len(set(parts)) < len(parts):
        raise ReportError(
            f"A run is compared with another one, not with itself: {', '.join(map(str, folders))}"
        )
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise AssertionError("paths that differ have names that differ")
