"""``vitreous report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vitreous.arguments import Clock, Dram, Technology, energy_choice


def report_command(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of `run` or `simulate`.")],
    clock: Clock = None,
    technology: Technology = None,
    dram: Dram = None,
) -> None:
    """Write index.html and report.json anew from what a run recorded; tables and schedule as CSV and trace, too.

    \b
    Examples:
      vitreous report build/demo
      vitreous report build/demo build/simulated --clock 300
      vitreous report build/demo --technology asic-28nm --dram lpddr4
    """
    from vitreous.reports import record, summarize, write

    energy = energy_choice(technology, dram)
    for folder in folders:
        page, data = write(summarize(record.load(folder), clock_mhz=clock, energy=energy), folder)
        print(f"{page} {data}")
