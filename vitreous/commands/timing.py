"""``vitreous timing``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitreous.commands.arguments import Accelerator
from vitreous.commands.output import Output, with_output
from vitreous.spec.folders import SYNTHESIS

if TYPE_CHECKING:
    from vitreous.reports.timing.result import Timing

FORMAT = "vitreous.timing-report/1"


@with_output("timing")
def timing_command(
    output: Output,
    accelerator: Accelerator,
    target: Annotated[
        str, typer.Option(help="Whose delays: xcup-2, xc7-1, xc7-2, ecp5, or cells:FILE with a Liberty file.")
    ] = "xcup-2",
    paths: Annotated[int, typer.Option(metavar="N", help="Show the N worst paths.", min=0, max=20)] = 5,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the result as JSON too.")] = None,
    cache: Annotated[Path, typer.Option(metavar="DIR", help="Folder of synthesis results.")] = SYNTHESIS,
) -> None:
    """The clock of an accelerator, with its range and its worst paths in words: Yosys and static timing analysis.

    \b
    Examples:
      vitreous timing --accelerator edge64
      vitreous timing --accelerator edge256 --paths 10 --out build/timing.json
      vitreous timing --accelerator edge64 --target cells:my.lib
    """
    from vitreous.reports.synthesis import synthesis
    from vitreous.spec.config import load_accelerator
    from vitreous.timing import timing

    config = load_accelerator(accelerator)
    delays = timing.chosen_target(target)
    synthesis.command()  # elaboration takes long, so what is missing is said before
    if output.dry_run:
        steps = dict.fromkeys(("RTL", "synthesis", "analysis"), "to do")
        output.planned(steps, accelerator=config.name, target=target)
        return
    found = timing.measure(config, delays, cache=cache, display=output.display)
    data = {"format": FORMAT, "accelerator": config.name, **asdict(found)}
    for line in _lines(config.name, found, paths):
        output.text(line)
    if out is not None:
        _write(out, data)
        output.text(f"-> {out}")
    output.result(**data)


def _lines(name: str, found: Timing, paths: int) -> Iterator[str]:
    """The result as text."""
    yield (
        f"{name} on {found.title}: {found.clock_mhz:.0f} MHz estimated ({found.low:.0f} to {found.high:.0f}); "
        f"{found.model_ns:.2f} ns in the model times {found.factor:g} ({found.low_factor:g} to {found.high_factor:g})"
    )
    yield ""
    yield f"{'block':<36}{'ns':>6}{'levels':>8}{'fan-out':>9}{'ends':>7}  worst path"
    for worst in found.blocks[:12]:
        path = worst.path
        yield (
            f"{path.block:<36}{path.ns:>6.2f}{path.levels:>8}{path.fanout:>9}{worst.endpoints:>7}  "
            f"{path.start} -> {path.end} ({path.pin})"
        )
    if len(found.blocks) > 12:
        yield f"and {len(found.blocks) - 12} blocks below {found.blocks[11].path.ns:.2f} ns"
    for index, path in enumerate(found.paths[:paths]):
        yield ""
        yield (
            f"{index + 1}. {path.start} -> {path.end} ({path.pin}): {path.ns:.2f} ns ({path.model_ns:.2f} in the "
            f"model), {path.levels} levels, fan-out up to {path.fanout}"
        )
        for step in path.steps:
            beside = f" beside {', '.join(step.beside[:3])}" if step.beside else ""
            yield f"     {step.ns:6.2f}  {step.cell:<9} after {step.fanout:>4}{beside}"


def _write(out: Path, data: dict[str, Any]) -> None:
    import json

    from vitreous.spec.storage import write_text

    write_text(out, json.dumps(data, indent=1) + "\n")
