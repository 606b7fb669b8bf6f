"""docs/results/validate.md from the rows of ``benchmarks.validate``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Protocol

WORST = 20
"""Rows of the table of errors."""


class Measured(Protocol):
    """What the page says of a row (``benchmarks.validate.Row``)."""

    @property
    def program(self) -> str: ...
    @property
    def accelerator(self) -> str: ...
    @property
    def bus_bits(self) -> int: ...
    @property
    def latency(self) -> int: ...
    @property
    def throughput(self) -> int: ...
    @property
    def instructions(self) -> int: ...
    @property
    def rtl_cycles(self) -> int: ...
    @property
    def model_cycles(self) -> int: ...
    @property
    def rtl_seconds(self) -> float: ...
    @property
    def model_seconds(self) -> float: ...
    @property
    def error(self) -> float: ...
    @property
    def speed_up(self) -> float: ...
    @property
    def long(self) -> bool: ...
    @property
    def fails(self) -> bool: ...


COLUMNS: tuple[tuple[str, Callable[[Measured], str]], ...] = (
    ("program", lambda row: row.program),
    ("accelerator", lambda row: row.accelerator),
    ("bus", lambda row: str(row.bus_bits)),
    ("latency", lambda row: f"{row.latency}" + ("" if row.throughput == 100 else f" ({row.throughput} %)")),
    ("RTL cycles", lambda row: f"{row.rtl_cycles:,}"),
    ("model", lambda row: f"{row.model_cycles:,}"),
    ("error %", lambda row: f"{100 * row.error:+.3f}"),
)
SPEED: tuple[tuple[str, Callable[[Measured], str]], ...] = (
    ("RTL s", lambda row: f"{row.rtl_seconds:.1f}"),
    ("model s", lambda row: f"{row.model_seconds:.3f}"),
    ("faster", lambda row: f"{row.speed_up:.0f}×"),
)


def table(rows: Iterable[Measured], columns: Sequence[tuple[str, Callable[[Measured], str]]]) -> list[str]:
    """A Markdown table."""
    return [
        "| " + " | ".join(title for title, _ in columns) + " |",
        "| " + " | ".join("---" for _ in columns) + " |",
        *("| " + " | ".join(text(row) for _, text in columns) + " |" for row in rows),
    ]


def _summary(rows: Sequence[Measured]) -> list[str]:
    """By accelerator: rows, how many are exact, the largest error and the speed."""
    lines = [
        "| accelerator | rows | exact | median error % | largest error % | model s, at most | faster, at least |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in dict.fromkeys(row.accelerator for row in rows):
        own = [row for row in rows if row.accelerator == name]
        long = [row for row in own if row.long]
        worst = max(own, key=lambda row: abs(row.error))
        lines.append(
            f"| {name} | {len(own)} | {sum(row.error == 0 for row in own)} "
            f"| {100 * median(abs(row.error) for row in own):.3f} | {100 * worst.error:+.3f} "
            + (
                f"| {max(row.model_seconds for row in long):.3f} | {min(row.speed_up for row in long):.0f}× |"
                if long
                else "| – | – |"
            )
        )
    return lines


def page(rows: Sequence[Measured], how: str) -> str:
    """The whole page: summary, worst rows, speed of the long programs, every row."""
    failed = sum(row.fails for row in rows)
    by_error = sorted(rows, key=lambda row: -abs(row.error))
    long = sorted((row for row in rows if row.long), key=lambda row: row.speed_up)
    order = sorted(rows, key=lambda row: (row.accelerator, row.bus_bits, row.program, row.latency))
    lines = [
        "# The cycle model against RTL",
        "",
        "Written by `make validate`. Each row is one compiled program on one accelerator, bus width and memory, run in "
        "RTL (measured: the hardware's own counter) and on the cycle model. Seconds are of the processor: of the "
        "simulation from start to interrupt, without its start-up, and of the best of three predictions in the same "
        "process. The speed counts for programs of more than a million cycles.",
        "",
        how,
        "",
        f"**{len(rows)} rows, {failed} over** (over: error above 1 %, or a long program less than 50 times faster or a "
        "second long).",
        "",
        *_summary(rows),
        "",
        "## The largest errors",
        "",
        *table(by_error[:WORST], COLUMNS),
        "",
        "## Speed, slowest first",
        "",
        *table(long, (*COLUMNS, *SPEED)),
        "",
        "## Every row",
        "",
        *table(order, COLUMNS),
    ]
    return "\n".join(lines) + "\n"
