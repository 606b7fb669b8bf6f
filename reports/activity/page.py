"""docs/activity.md: the measurements of switching activity, and what they say about the event model of energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vitreous.reports.activity import activity
from vitreous.reports.activity.activity import COMBINATIONAL, WHOLE, Activity
from vitreous.reports.tables import markdown_table
from vitreous.spec.storage import write_text

_HEAD = """# Switching activity: the event model against real data

The energy model gives each event (a word pair of the array, a column of GELU) one energy, that of uniformly random
data. `make activity` checks how far that is from real data: it simulates single units in Verilator, counts how often
each net toggles, and compares. Every figure on this page is measured; the command writes it.
"""
_METHOD = """
## How it is counted

- Units: the RTL of the accelerator, elaborated for the unit alone. Yosys flattens it and gives each net one name.
  Verilator simulates that netlist and writes the toggles of each bit as SAIF (`--trace-saif`); a net that is missing
  in it is an error.
- Level "words": a product, a sum, a multiplexer is one cell, so nets inside a multiplier are not counted. Only bits
  that nothing reads are optimised away.
- Level "gates": the same RTL in gates of one bit, as Yosys maps it without ABC, the products and sums of an element as
  one tree of full adders; it also sees the inside of multipliers.
- Counted: nets that a cell of the unit drives and a cell or an output reads, each bit once. Not counted: clock, reset,
  the unit's inputs (whoever drives them), copies of a net under another name.
- Registers are the robust part: any implementation has them. Combinational nets depend on the mapping.
- Real data: {model} on {images}. The compiled program runs in the functional machine one instruction at a time; before
  each MATMUL its panels are read from the memories and given to the unit in the machine's order: row tiles, column
  tiles, byte planes of probabilities, words; a tile takes at least N cycles. Padded lanes and keys are included, as in
  the machine. Instructions of one part of the network follow each other without a pause; idle cycles toggle next to
  nothing.
- Random data: the same instructions with every operand byte uniform in -128..127 (GELU: 16 bits; scores: all
  their values).
- Zero: the same with zeros; what is left is control (in softmax also the statistics of equal scores).
- In every run the unit's outputs are compared with golden: a wrong value ends the measurement.
- Deviation of the event model: random / real - 1 of toggles per event. Above 0 the model overstates.

It is a proxy for switched capacitance: every net has the same capacitance, and a net toggles at most once a cycle,
while glitches in a real multiplier grow with the activity of its operands. Clock pins and leakage do not depend on
data: they dilute the deviation in a whole design.
"""


def write(data: Path, docs: Path) -> Path:
    """Write ``activity.md`` from the files in ``data``. Raises ReportError where one is damaged."""
    files = [activity.load(path) for path in sorted(data.glob("*.json"))]
    path = docs / "activity.md"
    return write_text(path, text(files))


def text(files: Sequence[Mapping[str, Any]]) -> str:
    """The page."""
    found = {file["unit"]: activity.rows(file) for file in files}
    parts = [_HEAD, *_summary(found), *_groups(found), *_layers(found)]
    parts.append(_METHOD.format(model=_either(files, "model"), images=_images(files)))
    return "\n".join([*parts, *_made(files)]) + "\n"


def verdict(row: Activity) -> str:
    """What the deviation of a row on real data means, as a sentence. Raises ValueError where nothing toggles."""
    if row.deviation is None:
        raise ValueError(f"{row.title}: nothing toggles on {row.data} data")
    word = "overstates" if row.deviation >= 0 else "understates"
    return (
        f"{row.title}: an event on real data makes {row.ratio:.2f} times the toggles of one on random data (registers "
        f"alone {row.registers_ratio:.2f}), so the event model {word} its dynamic energy by {abs(row.deviation):.0%}."
    )


def _either(files: Sequence[Mapping[str, Any]], key: str) -> str:
    return ", ".join(sorted({str(file[key]) for file in files})) or "nothing"


def _images(files: Sequence[Mapping[str, Any]]) -> str:
    counts = sorted({file["images"] for file in files})
    return f"{' or '.join(map(str, counts))} test image{'s' if counts[-1:] != [1] else ''}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:+.0%}"


def _summary(found: Mapping[str, Sequence[Activity]]) -> list[str]:
    whole = [row for rows in found.values() for row in rows if row.part == WHOLE]
    head = ("unit", "level", "event", "data", "events", "toggles per event", "registers", "combinational")
    lines = [
        (
            row.title,
            row.level,
            f"`{row.event}`",
            row.data,
            f"{row.events:,}",
            f"{row.total:,.1f}",
            f"{row.registers:,.1f}",
            f"{row.toggles.get(COMBINATIONAL, 0.0):,.1f}",
            f"{row.ratio:.2f}",
            _percent(row.deviation if row.data == "real" else None),
        )
        for row in whole
    ]
    sentences = [f"- {verdict(row)}" for row in whole if row.data == "real"]
    return [*sentences, "", markdown_table((*head, "to random", "event model"), lines)]


def _groups(found: Mapping[str, Sequence[Activity]]) -> list[str]:
    """Units whose registers are told apart."""
    lines = []
    for rows in found.values():
        real = next(row for row in rows if row.part == WHOLE and row.data == "real")
        for group in real.toggles if len(real.toggles) > 2 else ():
            ratio = real.group_ratio(group)
            numbers = (f"{real.nets[group]:,}", f"{real.toggles[group]:,.1f}", f"{real.random[group]:,.1f}")
            lines.append((real.title, group, *numbers, "" if ratio is None else f"{ratio:.2f}"))
    head = ("unit", "nets", "number", "real, toggles per event", "random", "ratio")
    return ["\n## By group of nets\n", markdown_table(head, lines)]


def _layers(found: Mapping[str, Sequence[Activity]]) -> list[str]:
    """Units that were measured part by part."""
    lines = []
    for rows in found.values():
        for row in rows:
            if row.part != WHOLE and row.data == "real":
                shares = (
                    f"{row.events:,}",
                    f"{row.total:,.1f}",
                    f"{row.ratio:.2f}",
                    f"{row.registers_ratio:.2f}",
                )
                lines.append((row.title, row.part, *shares, _percent(row.deviation)))
    head = ("unit", "part", "events", "toggles per event", "to random", "registers to random", "event model")
    return ["\n## By part of the network\n", markdown_table(head, lines)]


def _made(files: Sequence[Mapping[str, Any]]) -> list[str]:
    head = ("unit", "accelerator", "images", "nets", "RTL (SHA-256)", "date")
    lines = [
        (
            file["title"],
            file["accelerator"],
            str(file["images"]) + (f", every {file['every']}th MATMUL" if file.get("every", 1) > 1 else ""),
            f"{sum(file['nets'].values()):,}",
            f"`{file['rtl'][:16]}`",
            file["date"],
        )
        for file in files
    ]
    tools = sorted({tool for file in files for tool in file["tools"].values()})
    return [
        "\n## Made by\n",
        markdown_table(head, lines),
        f"\n`{_either(files, 'command')}`; {', '.join(tools)}.",
    ]
