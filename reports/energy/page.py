"""The energy of a run as a section of its page: shares, and ranges on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vitreous.reports.draw import colours
from vitreous.reports.energy.event_costs import REQUANTIZATION
from vitreous.reports.energy.section import LayerEnergyRow
from vitreous.reports.energy.technology import ZERO, Range
from vitreous.reports.formatting import group_name, with_prefix
from vitreous.reports.report import Report


@dataclass(frozen=True)
class Placed:
    """A range as percent of a logarithmic axis: where its line begins, how long it is, where its typical value is."""

    left: float
    width: float
    at: float


def log_axis(ranges: Iterable[Range]) -> tuple[float, float]:
    """Whole decades, as exponents of 10, that hold every positive end of ``ranges``; at most nine of them."""
    ends = [value for r in ranges for value in (r.low, r.typical, r.high) if value > 0]
    if not ends:
        return 0.0, 1.0
    high = math.ceil(math.log10(max(ends)))
    return max(math.floor(math.log10(min(ends))), high - 9), high


def placed(value: Range, axis: tuple[float, float]) -> Placed:
    """Where ``value`` lies on ``axis``; what is below it lies at its start."""
    low, high = axis

    def at(x: float) -> float:
        return 100 * max(0.0, (math.log10(x) - low) / (high - low)) if x > 0 else 0.0

    return Placed(at(value.low), at(value.high) - at(value.low), at(value.typical))


@dataclass(frozen=True)
class LayerGroup:
    """Layers whose names differ only by a number, together; joules."""

    name: str
    dynamic: Range
    static: Range
    total: Range


def layer_groups(rows: Iterable[LayerEnergyRow]) -> list[LayerGroup]:
    """In the order in which the groups first come."""
    found: dict[str, LayerGroup] = {}
    for row in rows:
        name = group_name(row.label) or "(no layer)"
        before = found.get(name, LayerGroup(name, ZERO, ZERO, ZERO))
        found[name] = LayerGroup(
            name, before.dynamic + row.dynamic, before.static + row.static, before.total + row.total
        )
    return list(found.values())


def _ticks(axis: tuple[float, float]) -> list[tuple[str, float]]:
    """The decades of an axis in words, and where they are in percent."""
    low, high = axis
    exponents = range(int(low), int(high) + 1)
    return [(with_prefix(10.0**n, "J"), 100 * (n - low) / (high - low)) for n in exponents]


def words(report: Report) -> dict[str, Any]:
    """What the template needs beside the report."""
    section = report.energy
    axis = log_axis([section.total, *(unit.joules for unit in section.units)])
    others = log_axis(row.joules for row in section.technologies)
    alone = log_axis([section.total])
    groups = layer_groups(section.layers)
    return {
        "unit_colour": colours.unit,
        "energy_units": [(unit, placed(unit.joules, axis)) for unit in section.units],
        "energy_all": placed(section.total, axis),
        "energy_axis": _ticks(axis),
        "energy_alone": placed(section.total, alone),
        "energy_technologies": [(row, placed(row.joules, others)) for row in section.technologies],
        "technology_axis": _ticks(others),
        "requantization": REQUANTIZATION,
        "energy_groups": groups,
        "most_energy": max((group.total.typical for group in groups), default=1.0) or 1.0,
    }
