"""What a run's page shows beside the run: an exploration and an ablation, from files of other commands."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from vitreous.reports.ablation import ablation
from vitreous.reports.exploration import exploration
from vitreous.reports.report import Report


def with_additions(
    report: Report, folder: Path, *, exploration_of: Path | None = None, ablation_of: Path | None = None
) -> Report:
    """``report`` with the exploration and the ablation of the given files or folders.

    What is not given is taken from the run's own ``folder``, if it is there. Raises ReportError on a damaged file.
    """
    searched = _source(exploration_of, folder, exploration.FILE)
    ablated = _source(ablation_of, folder, ablation.FILE)
    return dataclasses.replace(
        report,
        exploration=None if searched is None else exploration.load(searched),
        ablation=None if ablated is None else ablation.load(ablated),
    )


def _source(given: Path | None, folder: Path, name: str) -> Path | None:
    if given is not None:
        return given / name if given.is_dir() else given
    return folder / name if (folder / name).is_file() else None
