"""The on-chip memories over time as a picture: one strip each, a rectangle for each buffer of the compiler."""

from __future__ import annotations

from vitreous.reports.draw import chart
from vitreous.reports.draw.chart import Axis
from vitreous.reports.figures.memory_map import ChipMemory
from vitreous.reports.formatting import grouped
from vitreous.reports.report import Report

STRIP, GAP, LEFT = 64, 26, 14


def _times(report: Report) -> tuple[dict[int, float], dict[int, float], float]:
    """(start by instruction, end by instruction, length); instructions themselves where there is no trace."""
    if report.schedule.spans:
        starts = {span[1]: float(span[2]) for span in report.schedule.spans}
        ends = {span[1]: float(span[3]) for span in report.schedule.spans}
        return starts, ends, float(report.schedule.cycles)
    last = max((b.last_pc for m in report.memory_map.chip for b in m.buffers), default=0)
    numbers = {pc: float(pc) for pc in range(last + 1)}
    return numbers, {pc: pc + 1.0 for pc in numbers}, last + 1.0


def _strip(
    memory: ChipMemory, top: float, x: Axis, times: tuple[dict[int, float], dict[int, float], float]
) -> str:
    starts, ends, length = times
    y = Axis(0, max(memory.highest, 1), top + STRIP, top)
    parts = [f'<rect class="lane" x="{LEFT}" y="{top:g}" width="{x.end - x.start:.1f}" height="{STRIP}"/>']
    for index, b in enumerate(memory.buffers):
        left, right = x(starts.get(b.first_pc, 0)), x(min(ends.get(b.last_pc, length), length))
        upper, lower = y(b.base + b.words), y(b.base)
        parts.append(
            f'<rect class="u-{memory.name.lower()}{" pale" if index % 2 else ""}" x="{left:.1f}" y="{upper:.1f}" '
            f'width="{max(right - left, 0.6):.1f}" height="{max(lower - upper, 0.6):.1f}"/>'
        )
    words = f"{memory.name}: words 0 to {grouped(memory.highest)} of {grouped(memory.words)}"
    return chart.text("label", LEFT, top - 6, words) + "".join(parts)


def draw(report: Report, name: str, width: float) -> str:
    """All memories that have buffers, at one width; empty without any."""
    memories = [memory for memory in report.memory_map.chip if memory.buffers]
    if not memories:
        return ""
    times = _times(report)
    x = Axis(0, times[2], LEFT, width - 8)
    body = [_strip(m, GAP - 6 + index * (STRIP + GAP), x, times) for index, m in enumerate(memories)]
    height = GAP + len(memories) * (STRIP + GAP) + 6
    step = chart.tick_step(times[2], 4 if width < 600 else 8)
    body += [
        chart.text("tick", x(tick), height - 8, grouped(tick))
        for tick in range(0, int(times[2]) + 1, step)
        if x(tick) < width - 8 - chart.CHARACTER * len(grouped(tick))
    ]
    return chart.svg(name, width, height, "On-chip memories: which words are taken when", "".join(body))
