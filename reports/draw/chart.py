"""What the drawn charts share: axes, ticks, and labels that do not overlap; colours are classes of CSS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels."""
CHARACTER = 6.8
"""Pixels of a character of the page's labels: what a text is estimated to take."""


def tick_step(span: float, wanted: int = 8) -> int:
    """The 1, 2 or 5 times a power of ten, at least 1, that gives at most ``wanted`` ticks over ``span``."""
    step = 1
    while span / step > wanted:
        for factor in (2, 5, 10):
            if span / (step * factor) <= wanted:
                return step * factor
        step *= 10
    return step


@dataclass(frozen=True)
class Axis:
    """From values ``low``..``high`` to pixels ``start``..``end``; logarithmic or linear."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        if self.log:
            low, high, value = math.log10(self.low), math.log10(self.high), math.log10(value)
        else:
            low, high = self.low, self.high
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, wanted: int = 6) -> list[float]:
        """Decades of a logarithmic axis, 1, 2 and 5 of them where they are few; round numbers of a linear one."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            if last - first < 2:  # too few decades to read a value by
                steps = [m * 10.0**n for n in range(first - 1, last + 1) for m in (1, 2, 5)]
                return [step for step in steps if self.low <= step <= self.high]
            every = max(1, math.ceil((last - first) / wanted))
            return [10.0**n for n in range(first, last + 1, every)]
        span = self.high - self.low
        scale = 10.0 ** (math.floor(math.log10(span)) - 1)
        step = tick_step(span / scale, wanted) * scale
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def line(name: str, points: Sequence[tuple[float, float]]) -> str:
    """An open polyline of class ``name``."""
    return f'<polyline class="{name}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def text(name: str, x: float, y: float, words: str) -> str:
    """``words`` at a point; the class decides their side."""
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'


def meets(a: Box, b: Box) -> bool:
    """Whether two boxes share more than an edge."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def place(x: float, y: float, words: str, taken: list[Box], limits: Box) -> tuple[float, float, bool]:
    """(left, baseline, far) for a label beside the point: the nearest place that meets nothing in ``taken``.

    The place is added to ``taken``. ``far`` is whether a line should lead to it.
    """
    width, height = CHARACTER * len(words) + 2, 14.0
    best: tuple[float, float, Box, bool] | None = None
    for radius in (9.0, 20.0, 34.0, 50.0, 68.0, 90.0):
        for angle in (0, 180, 315, 45, 225, 135, 270, 90):
            cx = x + radius * math.cos(math.radians(angle))
            cy = y - radius * math.sin(math.radians(angle))
            left = cx if angle in (0, 45, 315) else cx - width if angle in (135, 180, 225) else cx - width / 2
            box = (left, cy - height / 2, left + width, cy + height / 2)
            inside = (
                limits[0] <= box[0] and box[2] <= limits[2] and limits[1] <= box[1] and box[3] <= limits[3]
            )
            if inside and not any(meets(box, other) for other in taken):
                best = (left, cy + 4, box, radius > 20)
                break
            if best is None and inside:
                best = (left, cy + 4, box, False)
        else:
            continue
        break
    if best is None:
        best = (x, y, (x, y - height, x + width, y), False)
    taken.append(best[2])
    return best[0], best[1], best[3]


def frame(
    x: Axis, y: Axis, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]]
) -> str:
    """Grid, axes and the numbers beside them."""
    parts = []
    for value, words in y_ticks:
        parts.append(line("grid", [(x.start, y(value)), (x.end, y(value))]))
        parts.append(text("right", x.start - 6, y(value) + 4, words))
    for value, words in x_ticks:
        parts.append(line("grid", [(x(value), y.start), (x(value), y.end)]))
        parts.append(text("center", x(value), y.start + 16, words))
    parts.append(line("axis", [(x.start, y.end), (x.start, y.start), (x.end, y.start)]))
    return "".join(parts)


def svg(name: str, width: float, height: float, about: str, body: str) -> str:
    """A whole picture of class ``name`` with its description for those who do not see it."""
    return (
        f'<svg class="chart {name}" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{escape(about)}">{body}</svg>'
    )
