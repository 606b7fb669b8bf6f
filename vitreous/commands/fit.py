"""``vitreous fit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitreous.commands.arguments import Accelerator, Clock, Model
from vitreous.commands.output import Output, with_output
from vitreous.errors import RunError

if TYPE_CHECKING:
    from vitreous.fitting.fit import Fit
    from vitreous.spec.config import AcceleratorConfig


@with_output("fit")
def fit_command(
    output: Output,
    model: Model,
    out: Annotated[Path, typer.Option(metavar="FILE.toml", help="The accelerator file.")],
    accelerator: Accelerator = "edge256",
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The fastest on this FPGA: xck26, xczu7ev, xczu9eg, lfe5u-85."),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(metavar="N", help="The fewest multipliers that make N images a second (cycle model)."),
    ] = None,
    clock: Clock = None,
) -> None:
    """Write an accelerator that holds a model: the smallest memories; with a device or a rate, the array too.

    Everything else is as --accelerator has it. Nothing is calibrated or simulated: seconds.

    \b
    Examples:
      vitreous fit deit-small --accelerator edge64 --out mine.toml
      vitreous fit my_package.models:make --device xck26 --out mine.toml
      vitreous fit deit-tiny --fps 100 --clock 200 --out mine.toml
    """
    from vitreous.fitting.fit import fit
    from vitreous.flow.accelerator import as_toml, load_accelerator
    from vitreous.reports.report import ASSUMED_CLOCK_MHZ
    from vitreous.spec.storage import write_text

    if out.suffix != ".toml":
        raise RunError(f"--out must end in .toml, not {out.name!r}")
    base, display = load_accelerator(accelerator), output.display
    if output.dry_run:
        output.planned({"fit": "to do"}, accelerator=base.name, out=out)
        return
    with display.stage("fit") as stage:
        found = fit(model, base, device=device, fps=fps, clock_mhz=clock or ASSUMED_CLOCK_MHZ)
        write_text(out, as_toml(found.accelerator.as_dict(), f"vitreous fit {model}: {found.reason}."))
        stage.note(f"-> {out}")
    for line in _lines(found, base):
        display.line(line)
    output.result(
        out=out,
        accelerator=found.accelerator.as_dict(),
        reason=found.reason,
        clock_mhz=found.clock_mhz,
        images_per_second=found.images_per_second,
        bound=found.bound,
    )


def _lines(found: Fit, base: AcceleratorConfig) -> list[str]:
    """What was chosen beside what the base has, the rate, and why."""
    chosen = found.accelerator
    rows = [("", "chosen", base.name)]
    for part in ("array", "memory", "bus"):
        of, had = chosen.as_dict()[part], base.as_dict()[part]
        rows += [
            (f"{part}.{name}", str(value), str(had[name]))
            for name, value in of.items()
            if part == "memory" or value != had[name] or name in ("lanes", "depth")
        ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    table = [
        f"  {name.ljust(widths[0])}  {new.rjust(widths[1])}  {old.rjust(widths[2])}"
        for name, new, old in rows
    ]
    rate = f"at most {found.bound:.4g} images a second at {found.clock_mhz:g} MHz, by its multipliers"
    if found.images_per_second is not None:
        rate = (
            f"{found.images_per_second:.4g} images a second at {found.clock_mhz:g} MHz by the cycle model, "
            f"{found.bound:.4g} by its multipliers"
        )
    return [*table, f"  {rate}", f"  {found.reason}"]
