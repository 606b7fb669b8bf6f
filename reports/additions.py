"""What a run's page shows beside the run: an exploration and an ablation, from files of other commands."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from vitreous.reports import exploration
from vitreous.reports.report import Report


def with_exploration(report: Report, folder: Path, given: Path | None) -> Report:
    """``report`` with the exploration of ``given`` (a file or folder), or that of the run's own folder if it has one.

    Raises ReportError when what is given cannot be read.
    """
    source = given
    if source is None and (folder / exploration.FILE).is_file():
        source = folder / exploration.FILE
    return report if source is None else dataclasses.replace(report, exploration=exploration.load(source))
