"""``vitreous explore-approx``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreous.commands.arguments import folder_path
from vitreous.commands.output import Output, with_output
from vitreous.spec.folders import SYNTHESIS


@with_output("explore-approx")
def explore_approx(
    output: Output,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for tables and pictures.")],
    function: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="gelu, silu, softmax, reciprocal or rsqrt; may be repeated (default: all)."
        ),
    ] = None,
    family: Annotated[str, typer.Option(help="FPGA family of the area: xcup, ecp5 or ice40.")] = "xcup",
    points: Annotated[
        int, typer.Option(metavar="N", help="Settings of each function to synthesize.", min=1)
    ] = 16,
    cache: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of synthesis results, shared by all runs.")
    ] = (SYNTHESIS),
) -> None:
    """Sweep the nonlinear functions: error against float64, area by Yosys, and the Pareto front of both.

    Writes for each function a .csv and a .json with all points and a picture as .svg and .png. Interrupted, it leaves
    the points that it has; the same command resumes from the synthesis results in the cache.

    \b
    Examples:
      vitreous explore-approx --out build/approx
      vitreous explore-approx --function gelu --points 24 --family ecp5 --out build/approx
    """
    from vitreous.characterize import approx, distributions
    from vitreous.reports.synthesis import synthesis

    chosen, target = approx.checked(function or list(approx.FUNCTIONS), family)
    folder = folder_path(out)
    synthesis.command()  # the inputs take long, so what is missing is said before
    if output.dry_run:
        output.planned(dict.fromkeys(chosen, "to do"), folder=folder, family=family)
        return
    display, made = output.display, []
    with display.stage("real inputs") as stage:
        shipped = distributions.shipped(cache)
        stage.note(f"{len(shipped.scores):,} attention rows of {distributions.SHIPPED_MODEL}")
    for name in chosen:
        with display.stage(name) as stage:
            found = approx.explore(
                name, folder, family=target, points=points, cache=cache, shipped=shipped, progress=stage.part
            )
            front = sum(point.front for point in found)
            made.append(
                {"function": name, "points": len(found), "front": front, "data": folder / f"{name}.json"}
            )
            stage.note(
                f"{len(found)} points, {front} on the Pareto front -> {folder / name}.svg, .png, .csv, .json"
            )
    output.result(family=family, functions=made)
