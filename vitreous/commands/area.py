"""``vitreous area``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitreous.commands.arguments import Accelerator
from vitreous.commands.output import Output, with_output
from vitreous.errors import RunError
from vitreous.spec.folders import SYNTHESIS

if TYPE_CHECKING:
    from vitreous.area.area import Target
    from vitreous.reports.area.area import Area

FORMAT = "vitreous.area-table/1"


Liberty = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Standard-cell library of --target cells.")
]
Full = Annotated[
    bool,
    typer.Option("--full", help="Synthesize the whole machine in one run too (minutes) and compare."),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="No synthesis: from the measurements that come with the project.")
]
BitUm2 = Annotated[
    float | None,
    typer.Option(metavar="UM2", help="Standard cells: area of a bit of on-chip memory, for a sum.", min=0),
]


@with_output("area")
def area_command(
    output: Output,
    accelerator: Accelerator,
    target: Annotated[str, typer.Option(help="xcup, ecp5, ice40, or cells with --liberty.")] = "xcup",
    liberty: Liberty = None,
    full: Full = False,
    quick: Quick = False,
    bit_um2: BitUm2 = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the table as JSON too.")] = None,
    cache: Annotated[Path, typer.Option(metavar="DIR", help="Folder of synthesis results.")] = (SYNTHESIS),
) -> None:
    """Area of an accelerator, block by block, by Yosys: FPGA resources or standard cells of any library.

    \b
    Examples:
      vitreous area --accelerator edge64
      vitreous area --accelerator edge64 --target ecp5 --full
      vitreous area --accelerator edge256 --target cells --liberty my.lib --out build/area.json
      vitreous area --accelerator edge1024 --quick
    """
    from vitreous.area.area import chosen_target
    from vitreous.reports.area import area as shipped
    from vitreous.reports.synthesis import synthesis
    from vitreous.spec.config import load_accelerator

    config = load_accelerator(accelerator)
    display = output.display
    if quick and full:
        raise RunError("--quick runs no synthesis and --full does: choose one")
    if quick and liberty is not None:
        raise RunError("--quick reads no library; --target names one that was measured, such as osu018")
    if bit_um2 is not None and target != "cells":
        raise RunError("--bit-um2 is for --target cells: a memory block of an FPGA is counted, not measured")
    goal = None if quick else chosen_target(target, liberty)
    if goal is not None:
        synthesis.command()  # elaboration takes long, so what is missing is said before
    if output.dry_run:
        steps = ("from measurements",) if quick else ("RTL", "pieces", *(("whole machine",) if full else ()))
        output.planned(dict.fromkeys(steps, "to do"), accelerator=config.name, target=target)
        return
    if goal is None:
        table, whole = shipped.area(config, target), None
    else:
        text = _elaborated(config, goal, cache, display)
        table = _measured(config, text, goal, cache, display)
        whole = _whole(text, goal, cache, display) if full else None
    data = _data(table, whole, bit_um2)
    for line in _lines(table, data):
        output.text(line)
    if out is not None:
        _write(out, data)
        output.text(f"-> {out}")
    output.result(**data)


def _elaborated(config: Any, target: Target, cache: Path, display: Any) -> str:
    from vitreous.area.area import target_name
    from vitreous.area.cut import whole

    with display.stage("RTL") as stage:
        text = whole(config, cache, target=target_name(target))
        stage.note(f"{config.name}, {len(text) / 1e6:.1f} MB of RTLIL")
    return text


def _measured(config: Any, text: str, target: Target, cache: Path, display: Any) -> Area:
    from vitreous.area import area
    from vitreous.reports.synthesis.synthesis import tool

    with display.stage("pieces") as stage:
        measured = area.measure(text, target, cache=cache, progress=stage.part)
        stage.note(f"{len(measured)} pieces, {tool()}")
    return area.composed(config, target, measured)


def _whole(text: str, target: Target, cache: Path, display: Any) -> Mapping[str, float]:
    from vitreous.area import area

    with display.stage("whole machine") as stage:
        found = area.measure_whole(text, target, cache=cache)
        stage.note("one run, flattened")
    return found.cost


def _data(table: Area, whole: Mapping[str, float] | None, bit_um2: float | None) -> dict[str, Any]:
    """Everything that the table shows."""
    from vitreous.area.area import deviation
    from vitreous.reports.area.area import COLUMN_TEXT

    columns = table.columns
    data: dict[str, Any] = {
        "format": FORMAT,
        "accelerator": table.accelerator,
        "target": table.target,
        "tool": table.tool,
        "how": table.how,
        "columns": {c: COLUMN_TEXT[c] for c in columns},
        "blocks": [_row(asdict(block), (*columns, "how")) for block in table.blocks],
        "total": _row(asdict(table.total), columns),
    }
    if bit_um2 is not None:
        data["memory_um2"] = round(bit_um2 * (table.total.bits or 0), 1)
        data["bit_um2"] = bit_um2
    if whole is not None:
        data["whole"] = {c: whole[c] for c in columns}
        data["deviation"] = deviation(data["total"], data["whole"])
    return data


def _row(block: Mapping[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    return {name: block[name] for name in ("name", *columns)}


def _lines(table: Area, data: Mapping[str, Any]) -> list[str]:
    """The table as text."""
    columns = table.columns
    rows = [("", *columns)]
    for block in (*data["blocks"], data["total"]):
        rows.append((block["name"], *("" if block[c] is None else f"{block[c]:,.0f}" for c in columns)))
    if "whole" in data:
        rows.append(("whole machine in one run", *(f"{data['whole'][c]:,.0f}" for c in columns)))
        found = data["deviation"]
        rows.append(
            ("composed / whole - 1", *("" if found[c] is None else f"{found[c]:+.1%}" for c in columns))
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns) + 1)]
    lines = [
        "  ".join(
            (row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)))
        )
        for row in rows
    ]
    if "memory_um2" in data:
        lines.append(f"memories: {data['memory_um2']:,.0f} um2 at {data['bit_um2']:g} um2 a bit (given)")
    units = "; ".join(f"{c}: {text}" for c, text in data["columns"].items())
    return [*lines, f"{table.accelerator} on {table.target}, {table.tool}; {table.how}", units]


def _write(out: Path, data: Mapping[str, Any]) -> None:
    import json

    from vitreous.spec.storage import write_text

    write_text(out, json.dumps(data, indent=1) + "\n")
