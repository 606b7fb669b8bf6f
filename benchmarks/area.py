"""``python -m benchmarks.area``: the area composed of pieces against one run of the whole machine.

For each case: Yosys on every piece, added up; Yosys on the whole accelerator, flattened; and the deviation of each
column. ``--table FILE`` puts the tables into the page. Exit status 1 when a sum is off by more than ``MOST``. Results
are kept in the user's cache folder; without them it takes an hour. Without the library standard cells are left out.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from vitreous.area import area
from vitreous.area import cut as area_cut
from vitreous.reports.synthesis.cells import library
from vitreous.reports.synthesis.synthesis import tool
from vitreous.spec.config import load_accelerator
from vitreous.spec.folders import SYNTHESIS

COMMAND = "python -m benchmarks.area --table docs/results/area.md"
MARK = "<!-- results -->"
CASES = (("edge64", "xcup"), ("edge64", "ecp5"), ("edge64", "cells"), ("edge256", "xcup"))
OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
MOST = {"lut": 0.2, "ff": 0.05, "dsp": 0.02, "bram": 0.02, "um2": 0.15, "bits": 0.0, "cells": 0.2}
"""The largest deviation of each column that counts as agreement; those of timing are shown only."""


@dataclass(frozen=True)
class Case:
    """One accelerator on one target: the sum over the pieces, and the whole."""

    accelerator: str
    target: str
    composed: Mapping[str, float]
    whole: Mapping[str, float]
    described: str

    @property
    def deviation(self) -> dict[str, float | None]:
        return area.deviation(self.composed, self.whole)


def measure(accelerator: str, name: str, liberty: Path, cache: Path) -> Case:
    """Both ways of one case, or their kept results."""
    target = (
        library(liberty, name="osu018" if liberty == OSU018 else "") if name == "cells" else area.family(name)
    )
    label = area.target_name(target)
    text = area_cut.whole(load_accelerator(accelerator), cache, target=label)
    composed = area.added(area.measure(text, target, cache=cache))
    whole = area.measure_whole(text, target, cache=cache).cost
    described = "" if isinstance(target, str) else target.described
    case = Case(accelerator, label, composed, whole, described)
    print(f"{accelerator}, {label}: {case.deviation}", file=sys.stderr, flush=True)
    return case


def failures(cases: Sequence[Case]) -> list[str]:
    """Where a sum is further from the whole than ``MOST``, one sentence each."""
    return [
        f"{case.accelerator} on {case.target}: {column} of the pieces is {off:+.1%} off, more than {MOST[column]:.0%}"
        for case in cases
        for column, off in case.deviation.items()
        if off is not None and column in MOST and abs(off) > MOST[column]
    ]


def tables(cases: Sequence[Case]) -> str:
    """How they were made, and a table for each case, in Markdown."""
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    lines = [f"`{COMMAND}` on {date.today().isoformat()}, {machine}, {tool()}."]
    for case in cases:
        columns = list(case.whole)
        lines += [
            "",
            f"| {case.accelerator}, {case.target} | {' | '.join(columns)} |",
            "| --- " * (len(columns) + 1) + "|",
        ]
        for label, cost in (("pieces, added up", case.composed), ("whole machine", case.whole)):
            lines.append(f"| {label} | {' | '.join(f'{cost[c]:,.0f}' for c in columns)} |")
        off = case.deviation
        cells = ("–" if off[c] is None else f"{off[c]:+.1%}" for c in columns)
        lines.append(f"| deviation | {' | '.join(cells)} |")
        if case.described:
            lines += ["", f"Library: {case.described}."]
    return "\n".join(lines)


def main() -> int:
    """0 when every sum agrees with its whole."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.area", description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=SYNTHESIS, metavar="DIR")
    parser.add_argument("--liberty", type=Path, default=OSU018, metavar="FILE")
    parser.add_argument(
        "--case", action="append", metavar="NAME:TARGET", help="only this case; may be repeated"
    )
    parser.add_argument("--table", type=Path, metavar="FILE", help="put the tables into this page")
    chosen = parser.parse_args()
    wanted = [tuple(case.partition(":")[::2]) for case in chosen.case or ()] or CASES
    wanted = [case for case in wanted if case[1] != "cells" or chosen.liberty.exists()]
    cases = [measure(name, target, chosen.liberty, chosen.cache) for name, target in wanted]
    text = tables(cases)
    if chosen.table:
        before, _, rest = chosen.table.read_text(encoding="utf-8").partition(MARK)
        page = f"{before}{MARK}\n{text}\n{MARK}{rest.partition(MARK)[2]}"
        chosen.table.write_text(page, encoding="utf-8")
    else:
        print(text)
    found = failures(cases)
    for sentence in found:
        print(sentence, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
