"""``python -m campaigns.upsets.cost``: what ``[protect] parity`` costs, piece by piece, by Yosys; writes
docs/results/protection.md.

Pieces are those of ``reports.area.pieces``; one whose RTLIL is the same with and without protection costs nothing and
is not synthesized.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tests.support.tree import DOCS
from vitreous.area import area
from vitreous.area.cut import cut, whole
from vitreous.reports.synthesis.synthesis import Family, tool
from vitreous.spec.config import ProtectConfig, load_accelerator

_COLUMNS = ("lut", "ff")


def compare(
    name: str, target: Family, cache: Path
) -> list[tuple[str, int, dict[str, float], dict[str, float]]]:
    """The pieces that protection changes: name, copies, cost without and with it. Raises ReportError."""
    config = load_accelerator(name)
    texts = [
        whole(one, cache, target=target)
        for one in (config, replace(config, name=f"{name}-parity", protect=ProtectConfig(parity=True)))
    ]
    parts = [cut(text) for text in texts]
    changed = [piece for piece, part in parts[0].items() if part.text != parts[1][piece].text]
    plain, protected = (
        area.measure(
            text, target, names=changed, cache=cache, progress=lambda what, *_: print(what, flush=True)
        )
        for text in texts
    )
    return [
        (before.piece.name, before.copies, dict(before.cost), dict(after.cost))
        for before, after in zip(plain, protected, strict=True)
        if before.piece is not None
    ]


def page(
    name: str, target: str, rows: list[tuple[str, int, dict[str, float], dict[str, float]]], command: str
) -> str:
    """The Markdown page."""
    lines = [
        "# What protection costs",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, `{command}`, {tool()}, {platform.machine()}, {os.cpu_count()} cores.",
        "",
        f"`{name}` on `{target}`, with `[protect] parity` and without, by the pieces of `reports/area/pieces.py`, each",
        "mapped as it stands in the machine. Pieces that are not here have the same text. Depth: levels of logic.",
        "",
        "| piece | LUT | with parity | FF | with parity | depth | with parity |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    totals = {(column, protected): 0.0 for column in _COLUMNS for protected in (False, True)}
    for piece, copies, before, after in rows:
        for column in _COLUMNS:
            totals[column, False] += copies * before[column]
            totals[column, True] += copies * after[column]
        label = piece if copies == 1 else f"{piece} ({copies} of them, each)"
        cells = [f"{cost[c]:,.0f}" for c in (*_COLUMNS, "depth") for cost in (before, after)]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    sums = " | ".join(f"{totals[c, protected]:,.0f}" for c in _COLUMNS for protected in (False, True))
    lines.append(f"| all of these | {sums} | | |")
    more = {column: totals[column, True] - totals[column, False] for column in _COLUMNS}
    lines += ["", f"Protection adds {more['lut']:,.0f} LUT and {more['ff']:,.0f} FF."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Exit status 0 when both machines are measured."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.upsets.cost", description=__doc__)
    parser.add_argument("--accelerator", default="edge64", metavar="NAME", help="a preset")
    parser.add_argument("--target", default="xcup")
    parser.add_argument("--cache", type=Path, default=Path("build/synthesis"))
    parser.add_argument("--page", type=Path, default=DOCS / "results" / "protection.md")
    chosen = parser.parse_args()
    rows = compare(chosen.accelerator, area.family(chosen.target), chosen.cache)
    command = f"python -m campaigns.upsets.cost --accelerator {chosen.accelerator} --target {chosen.target}"
    text = page(chosen.accelerator, chosen.target, rows, command)
    chosen.page.write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
