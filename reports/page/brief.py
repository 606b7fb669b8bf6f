"""What a run's page prints on two sheets: a fixed number of rows, whatever the size of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vitreous.reports.energy.page import Placed, log_axis, placed
from vitreous.reports.energy.technology import ZERO, Range
from vitreous.reports.formatting import group_name
from vitreous.reports.report import Report

LAYERS = 10
UNITS = 8
"""Rows of the tables; what is left is one more row."""
OTHERS = "all others"


@dataclass(frozen=True)
class LayerSum:
    """Layers whose names differ only by a number: cycles, their share of the image, MAC over what the array could do
    in these cycles (None without products)."""

    name: str
    cycles: int
    share: float
    utilization: float | None


@dataclass(frozen=True)
class UnitSum:
    """Energy of a unit, in joules, and where its range lies on the page's axis."""

    name: str
    joules: Range
    share: float
    range: Placed


def layer_sums(report: Report) -> list[LayerSum]:
    """The groups with most cycles first, the rest as one."""
    sums: dict[str, list[int]] = {}
    for row in report.layers:
        entry = sums.setdefault(group_name(row.label) or "(no layer)", [0, 0])
        entry[0] += row.cycles
        entry[1] += row.macs
    ordered = sorted(((n, s) for n, s in sums.items() if s[0]), key=lambda entry: -entry[1][0])
    kept, left = ordered[:LAYERS], ordered[LAYERS:]
    if left:
        kept.append((OTHERS, [sum(entry[1][n] for entry in left) for n in (0, 1)]))
    whole = sum(row.cycles for row in report.layers)
    rate = report.roofline.peak / (report.clock_mhz * 1e6)
    return [
        LayerSum(name, cycles, cycles / whole, macs / (cycles * rate) if macs and cycles else None)
        for name, (cycles, macs) in kept
    ]


def unit_sums(report: Report) -> list[UnitSum]:
    """The units with most energy first, the rest as one."""
    ordered = sorted(report.energy.units, key=lambda unit: -unit.share)
    kept = [(unit.unit, unit.joules) for unit in ordered[:UNITS]]
    if ordered[UNITS:]:
        kept.append((OTHERS, sum((unit.joules for unit in ordered[UNITS:]), start=ZERO)))
    total = report.energy.total
    axis = log_axis([total, *(joules for _, joules in kept)])
    kept.append(("all", total))
    return [
        UnitSum(name, joules, joules.typical / total.typical, placed(joules, axis)) for name, joules in kept
    ]


def words(report: Report) -> dict[str, Any]:
    """What the template of the two sheets needs beside those of the sections."""
    return {"brief_layers": layer_sums(report), "brief_units": unit_sums(report)}
