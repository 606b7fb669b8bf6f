"""The roofline as a picture: ceilings, a point for each layer, a number for each group of layers that are alike."""

from __future__ import annotations

import math
from collections import defaultdict
from html import escape

from vitreous.reports.draw import chart
from vitreous.reports.draw.chart import Axis, Box
from vitreous.reports.figures.roofline import LayerPoint
from vitreous.reports.figures.schedule import QUEUES
from vitreous.reports.formatting import figures3, group_name, grouped
from vitreous.reports.report import Report

_MATRIX = QUEUES.index("matrix")


def groups(report: Report) -> dict[str, list[LayerPoint]]:
    """The points that have an intensity, by group, in the order of the program."""
    found: dict[str, list[LayerPoint]] = defaultdict(list)
    for point in report.roofline.points:
        if point.intensity is not None:
            found[group_name(point.label)].append(point)
    return dict(found)


def kind_of(report: Report) -> dict[str, int]:
    """For each layer's label what its last matrix instruction does: the index of its colour."""
    names = report.schedule.labels
    return {names[span[5]]: span[4] for span in report.schedule.spans if span[0] == _MATRIX}


def _axes(report: Report, width: float, height: float) -> tuple[Axis, Axis]:
    line = report.roofline
    inner = [p.panel_intensity for p in line.points if p.panel_intensity]
    outer = [p.intensity for p in line.points if p.intensity]
    crossings = [line.ridge, line.peak / line.slopes[1].bytes_per_second]
    across = [*inner, *outer, *crossings]
    x = Axis(min(across) / 2.5, max(across) * 2.5, 46, width - 28, log=True)
    y_low = min(p.attained for p in line.points) / 2.5
    return x, Axis(y_low, line.peak * 2.2, height - 40, 26, log=True)


def _slope(name: str, x: Axis, y: Axis, bandwidth: float, peak: float) -> str:
    left, right = max(x.low, y.low / bandwidth), min(x.high, peak / bandwidth)
    if left >= right:
        return ""
    return chart.line(name, [(x(left), y(left * bandwidth)), (x(right), y(right * bandwidth))])


def _ceilings(report: Report, x: Axis, y: Axis, taken: list[Box]) -> str:
    line = report.roofline
    dram, panels = line.slopes[0], line.slopes[1]
    parts = [
        _slope("slope", x, y, dram.bytes_per_second, line.peak),
        _slope("inner", x, y, panels.bytes_per_second, line.peak),
        chart.line(
            "roof",
            [(x(max(x.low, line.peak / panels.bytes_per_second)), y(line.peak)), (x.end, y(line.peak))],
        ),
    ]
    taken += _under_lines(report, x, y)
    words = f"array {figures3(line.peak / 1e9)} GMAC/s"
    left = x.end - chart.CHARACTER * len(words)
    parts.append(chart.text("label right", x.end, y(line.peak) - 6, words))
    taken.append((left, y(line.peak) - 20, x.end, y(line.peak) + 2))
    return "".join(parts)


def _under_lines(report: Report, x: Axis, y: Axis) -> list[Box]:
    """Small boxes along the ceilings, so that no label is put on a line."""
    line, boxes = report.roofline, []
    for pixel in range(int(x.start), int(x.end), 4):
        value = x.low * (x.high / x.low) ** ((pixel - x.start) / (x.end - x.start))
        for slope in line.slopes[:2]:
            roof = min(line.peak, value * slope.bytes_per_second)
            if roof > y.low:
                boxes.append((pixel - 2.0, y(roof) - 2.0, pixel + 2.0, y(roof) + 2.0))
    return boxes


def _points(report: Report, x: Axis, y: Axis, taken: list[Box]) -> str:
    kinds, parts, dots = kind_of(report), [], []
    for point in report.roofline.points:
        if point.panel_intensity:
            parts.append(
                f'<circle class="ring" cx="{x(point.panel_intensity):.1f}" cy="{y(point.attained):.1f}" r="3"/>'
            )
    for members in groups(report).values():
        for point in members:
            cx, cy = x(point.intensity or 1), y(point.attained)
            dots.append(
                f'<circle class="dot k{kinds[point.label]}" cx="{cx:.1f}" cy="{cy:.1f}" r="4.5">'
                f"<title>{escape(point.label)}: {figures3(point.intensity or 0)} MAC a byte, "
                f"{figures3(point.attained / 1e9)} GMAC/s</title></circle>"
            )
            taken.append((cx - 5, cy - 5, cx + 5, cy + 5))
    for number, members in enumerate(groups(report).values(), 1):
        center = (
            math.exp(sum(math.log(p.intensity or 1) for p in members) / len(members)),
            math.exp(sum(math.log(p.attained) for p in members) / len(members)),
        )
        cx, cy = x(center[0]), y(center[1])
        left, base, far = chart.place(cx, cy, str(number), taken, (x.start, y.end, x.end, y.start))
        if far:
            parts.append(chart.line("lead", [(cx, cy), (left + 4, base - 4)]))
        dots.append(chart.text("label", left + 1, base, str(number)))
    return "".join(parts + dots)


def draw(report: Report, name: str, width: float, height: float) -> str:
    """The chart at one size. ``name`` : ``wide`` or ``narrow``, the page's class that shows it."""
    x, y = _axes(report, width, height)
    taken: list[Box] = []
    x_ticks = [(v, grouped(v) if v >= 1 else f"{v:g}") for v in x.ticks(4 if width < 600 else 8)]
    y_ticks = [(v, f"{v / 1e9:g}") for v in y.ticks()]
    body = [
        chart.frame(x, y, x_ticks, y_ticks),
        chart.text("center", (x.start + x.end) / 2, height - 6, "MAC for each byte"),
        chart.text("", 4, 10, "GMAC/s"),
        _ceilings(report, x, y, taken),
        _points(report, x, y, taken),
    ]
    return chart.svg(
        name, width, height, "Roofline: what each layer attains under this design's ceilings", "".join(body)
    )
