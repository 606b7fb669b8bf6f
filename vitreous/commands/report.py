"""``vitreous report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vitreous.arguments import Clock


def report_command(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of `run` or `simulate`.")],
    clock: Clock = None,
) -> None:
    """Write index.html and report.json anew from what a run recorded.

    \b
    Examples:
      vitreous report build/demo
      vitreous report build/demo build/simulated --clock 300
    """
    from vitreous.reports import record, summarize, write

    for folder in folders:
        page, data = write(summarize(record.load(folder), clock_mhz=clock), folder)
        print(f"{page} {data}")
