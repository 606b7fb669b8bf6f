"""``vitreous explore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreous.commands.arguments import BuildDir, Calibration, Checkpoint, Test, folder_path
from vitreous.commands.output import Output, with_output
from vitreous.spec.folders import SIMULATORS

Space = Annotated[Path, typer.Argument(metavar="SPACE", help="A .toml file: what varies and what counts.")]
Out = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder for everything; a repeated run resumes in it.")
]
Points = Annotated[
    int, typer.Option(metavar="N", help="Designs to estimate for each model and technology.", min=1)
]
Scheduler = Annotated[
    str | None, typer.Option(metavar="URL", help="Use an existing Dask cluster: tcp://host:port.")
]
Confirm = Annotated[
    int,
    typer.Option(metavar="K", help="Most designs of each Pareto front to run in RTL; 0: none.", min=0),
]
Seed = Annotated[int, typer.Option(help="Of the search: the same seed finds the same designs.", min=0)]


@with_output("explore")
def explore_command(
    output: Output,
    space: Space,
    out: Out,
    points: Points = 100,
    workers: Annotated[int, typer.Option(metavar="N", help="Processes of this machine.", min=1)] = 1,
    scheduler: Scheduler = None,
    confirm: Confirm = 8,
    seed: Seed = 0,
    calibration: Calibration = None,
    test: Test = None,
    checkpoint: Checkpoint = None,
    build_dir: BuildDir = SIMULATORS,
) -> None:
    """Search accelerators and quantizations for the best trade-offs, without RTL; then confirm the Pareto front in RTL.

    Latency and energy come from the cycle model, area from measured blocks, accuracy from golden. Interrupted, the
    same command resumes; with more points it adds to those that are there.

    \b
    Examples:
      vitreous explore examples/fashion-space.toml --points 60 --out build/explore
      vitreous explore examples/deit-tiny-space.toml --points 300 --workers 2 --out build/deit-space
      vitreous explore mine.toml --points 1000 --scheduler tcp://10.0.0.5:8786 --confirm 0 --out build/mine
    """
    from vitreous.explore import Options, explore, read_space
    from vitreous.explore.run import checked
    from vitreous.reports.exploration.exploration import FILE

    options = Options(
        points=points,
        seed=seed,
        workers=workers,
        scheduler=scheduler,
        confirm=confirm,
        checkpoint=checkpoint,
        calibration=calibration,
        test=test,
        build_root=build_dir,
    )
    folder = folder_path(out)
    read = read_space(space)
    if output.dry_run:
        checked(read, options)
        searches = [f"search {model}, {target.label}" for model in read.models for target in read.targets]
        output.planned(dict.fromkeys(searches, "to do"), folder=folder, combinations=read.size)
        return
    found = explore(read, folder, options, display=output.display)
    output.result(
        folder=folder,
        exploration=folder / FILE,
        searches=[{"model": s.model, "points": s.estimated, "front": len(s.front)} for s in found.searches],
    )
