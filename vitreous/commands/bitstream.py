"""``vitreous bitstream``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from vitreous.commands.arguments import Accelerator, folder_path
from vitreous.commands.output import Output, with_output
from vitreous.spec.folders import PLACED

Memory = Annotated[
    int,
    typer.Option(metavar="KIB", help="On-chip memory in place of DRAM, with program, weights and results."),
]
Seed = Annotated[
    list[int] | None,
    typer.Option(metavar="N", help="Seed of the placement; may be repeated (default: 1)."),
]
Page = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the results into this page.")]


@with_output("bitstream")
def bitstream(
    output: Output,
    accelerator: Accelerator,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the bitstream and its figures.")],
    memory: Memory = 64,
    clock: Annotated[int, typer.Option(metavar="MHZ", help="Clock of the design.")] = 50,
    seed: Seed = None,
    cache: Annotated[Path, typer.Option(metavar="DIR", help="Folder of kept placements.")] = PLACED,
    page: Page = None,
) -> None:
    """Place and route an accelerator for an LFE5U-85F (ULX3S board) and write its bitstream.

    Around it are a serial loader and block RAM in place of DRAM (docs/board.md). Of several seeds the fastest one
    becomes the bitstream. Takes ten minutes and more for each seed; a placement that exists is not repeated.

    \b
    Examples:
      vitreous bitstream --accelerator edge64 --out build/bitstream
      vitreous bitstream --accelerator edge64-ecp5 --memory 256 --seed 1 --seed 2 --out build/bitstream
    """
    from vitreous.spec.config import load_accelerator
    from vitreous.studies import bitstream as streams

    config, folder, seeds = load_accelerator(accelerator), folder_path(out), dict.fromkeys(seed or [1])
    if output.dry_run:
        output.planned(
            {f"place, seed {number}": "to do" for number in seeds}, accelerator=config.name, folder=folder
        )
        return
    display, placements = output.display, []
    for number in seeds:
        with display.stage(f"place, seed {number}") as stage:
            placed = streams.placement(
                config,
                memory_kib=memory,
                clock_mhz=clock,
                seed=number,
                cache=cache,
                progress=_silent if output.quiet else _tell,
            )
            placements.append(placed)
            stage.note(streams.summary(placed))
    best = streams.fastest(placements)
    streams.write(config, best, folder, memory_kib=memory)
    if page is not None:
        command = f"vitreous {shlex.join(sys.argv[1:])}"
        streams.insert(page, streams.results(config, placements, memory_kib=memory, command=command))
    output.text(f"  {folder / streams.BITSTREAM}: seed {best.seed}, {best.clock_mhz:.1f} MHz")
    output.result(
        accelerator=config.name,
        bitstream=folder / streams.BITSTREAM,
        seed=best.seed,
        clock_mhz=best.clock_mhz,
    )
    if best.clock_mhz < clock:
        print(f"vitreous: the design does not reach its clock of {clock} MHz", file=sys.stderr)
        raise typer.Exit(1)


def _tell(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)


def _silent(what: str) -> None:
    """In the place of ``_tell``."""
