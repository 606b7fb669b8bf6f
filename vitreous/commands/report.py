"""``vitreous report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitreous.commands.arguments import Clock, Dram, Technology, energy_choice
from vitreous.commands.output import Output, with_output

if TYPE_CHECKING:
    from vitreous.reports import Report


Out = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where the page, or the comparison of several runs, goes (default: the run's folder, the first's).",
    ),
]
Exploration = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="An exploration to show on the page (default: one in the run's folder)."
    ),
]
Ablation = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="An ablation to show on the page (default: one in the run's folder)."),
]


@with_output("report")
def report_command(
    output: Output,
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of `run` or `simulate`.")],
    clock: Clock = None,
    technology: Technology = None,
    dram: Dram = None,
    out: Out = None,
    exploration: Exploration = None,
    ablation: Ablation = None,
) -> None:
    """Write index.html and report.json again from what a run recorded; tables and schedule as CSV and trace, too.

    Clock, technology and DRAM are each run's own unless they are given here; what is given holds for all.

    Of several runs each one's page is written into its folder, and comparison.html and comparison.json, ratios to the
    first run, into --out or the first folder.

    \b
    Examples:
      vitreous report build/demo
      vitreous report build/demo build/larger --clock 300 --out build/compared
      vitreous report build/demo --technology asic-28nm --dram lpddr4
    """
    from vitreous.reports import write
    from vitreous.reports.compare import compare
    from vitreous.reports.compare import page as comparison_page
    from vitreous.reports.page import additions

    names = compare.run_names(folders)
    reports = [
        additions.with_additions(report, folder, exploration_of=exploration, ablation_of=ablation)
        for folder, report in zip(folders, _reports(folders, clock, technology, dram), strict=True)
    ]
    places = [folder if out is None or len(folders) > 1 else out for folder in folders]
    if output.dry_run:
        output.planned({f"page of {name}": "to do" for name in names}, folders=places)
        return
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    written = [write(report, place) for place, report in zip(places, reports, strict=True)]
    if len(folders) > 1:
        compared = compare.compare(list(zip(names, reports, strict=True)))
        written.append(comparison_page.write(compared, out or folders[0]))
    for page, data in written:
        output.text(f"{page} {data}")
    output.result(pages=[{"page": page, "data": data} for page, data in written])


def _reports(
    folders: list[Path], clock: float | None, technology: str | None, dram: str | None
) -> list[Report]:
    """Of the records in ``folders``; what is not given is as each run had it."""
    from vitreous.reports import summarize
    from vitreous.reports.record import record

    energy_choice(technology, dram)
    found = []
    for folder in folders:
        recorded = record.load(folder)
        own = recorded.choices
        energy = energy_choice(technology or own.technology, dram or own.dram)
        found.append(summarize(recorded, clock_mhz=clock, energy=energy))
    return found
