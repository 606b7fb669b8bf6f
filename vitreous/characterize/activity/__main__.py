"""``python -m vitreous.characterize.activity``: toggles of the array, the softmax and GELU on real, random and zero
data.

Programs and counts are kept in the cache: a second run, or one after an interruption, does what is missing or changed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from vitreous.characterize.activity.measure import MODEL, Bench, Network, measure
from vitreous.characterize.activity.units import UNITS, Unit
from vitreous.flow.display import Display
from vitreous.flow.steps import require_toolchain
from vitreous.reports.activity import activity
from vitreous.reports.activity import page as activity_page
from vitreous.reports.synthesis.synthesis import tool
from vitreous.sim.activity.bench import DEFAULT_FOLDER
from vitreous.sim.run.toolchain import verilator
from vitreous.spec.storage import write_text

COMMAND = "make activity"


def record(unit: Unit, made: Bench, measurements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A unit's file. Raises ReportError when it would not be a whole one."""
    data = {
        "format": activity.FORMAT,
        "unit": unit.name,
        "title": unit.title,
        "event": unit.event,
        "accelerator": unit.accelerator,
        "level": unit.level,
        "model": MODEL,
        "images": unit.images,
        "every": unit.every,
        "date": datetime.date.today().isoformat(),
        "command": COMMAND,
        "rtl": made.rtl,
        "tools": {"verilator": str(verilator()), "yosys": tool()},
        "nets": made.nets(),
        "measurements": list(measurements),
    }
    activity.check(data, unit.name)
    return data


def main(arguments: Sequence[str] | None = None) -> None:
    """Write one file for each unit to ``--data`` and ``activity.md`` to ``--docs``."""
    parser = argparse.ArgumentParser(
        prog="python -m vitreous.characterize.activity", description=main.__doc__
    )
    parser.add_argument(
        "--docs", type=Path, default=Path("docs"), help="folder of activity.md (default: docs)"
    )
    parser.add_argument("--data", type=Path, default=activity.FOLDER, help="default: that of the report")
    parser.add_argument("--cache", type=Path, default=DEFAULT_FOLDER, help="folder of results that are kept")
    parser.add_argument("--unit", action="append", choices=[u.name for u in UNITS], help="may be repeated")
    chosen = parser.parse_args(arguments)
    display, network = Display(), Network(chosen.cache)
    require_toolchain()
    try:
        for unit in (u for u in UNITS if not chosen.unit or u.name in chosen.unit):
            with display.stage(unit.name) as stage:
                made, rows = measure(unit, network, chosen.cache, partial(stage.part, done=0, total=0))
                write_text(
                    chosen.data / f"{unit.name}.json", json.dumps(record(unit, made, rows), indent=1) + "\n"
                )
                stage.note(f"{sum(row['cycles'] for row in rows)} cycles of {sum(made.nets().values())} nets")
    except KeyboardInterrupt:
        sys.exit("vitreous.characterize.activity: interrupted; the same command resumes where it stopped")
    display.line(str(activity_page.write(chosen.data, chosen.docs)))


if __name__ == "__main__":
    main()
