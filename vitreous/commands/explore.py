"""``vitreous explore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreous.commands.arguments import BuildDir, Checkpoint, folder_path
from vitreous.spec.folders import SIMULATORS


def explore_command(
    space: Annotated[
        Path, typer.Argument(metavar="SPACE", help="A .toml file: what varies and what counts.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for everything; a repeated run resumes in it.")
    ],
    points: Annotated[
        int, typer.Option(metavar="N", help="Designs to estimate for each model and technology.", min=1)
    ] = 100,
    workers: Annotated[int, typer.Option(metavar="N", help="Processes of this machine.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(metavar="URL", help="Use an existing Dask cluster: tcp://host:port.")
    ] = None,
    confirm: Annotated[
        int,
        typer.Option(metavar="K", help="Most designs of each Pareto front to run in RTL; 0: none.", min=0),
    ] = 8,
    seed: Annotated[
        int, typer.Option(help="Of the search: the same seed finds the same designs.", min=0)
    ] = 0,
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

    options = Options(
        points=points,
        seed=seed,
        workers=workers,
        scheduler=scheduler,
        confirm=confirm,
        checkpoint=checkpoint,
        build_root=build_dir,
    )
    explore(read_space(space), folder_path(out), options, quiet=False)
