"""Area of an accelerator by synthesis: piece by piece, added up, and the whole machine in one run beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitreous.area import cut as area_cut
from vitreous.errors import RunError
from vitreous.reports.area.area import Area, compose
from vitreous.reports.area.fit import Estimate
from vitreous.reports.area.pieces import PIECES, Piece
from vitreous.reports.synthesis.cells import CellCost, Library, library, synthesize_cells
from vitreous.reports.synthesis.synthesis import (
    FAMILIES,
    Family,
    Part,
    Resources,
    synthesize,
    synthesize_parts,
    tool,
)
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.folders import SYNTHESIS

FPGA_COLUMNS = ("lut", "ff", "dsp", "bram", "carry", "depth")
CELL_COLUMNS = ("um2", "ff", "cells", "bits", "delay_ps")
Target = Family | Library
"""An FPGA family, or a standard-cell library."""


@dataclass(frozen=True)
class Measured:
    """One piece and what a run of Yosys counted. ``digest``: of its RTLIL; ``piece`` is None for the whole machine."""

    piece: Piece | None
    digest: str
    cost: Mapping[str, float]

    @property
    def copies(self) -> int:
        return 1 if self.piece is None else 1 + len(self.piece.copies)


def chosen_target(name: str, liberty: Path | None) -> Target:
    """The target of ``--target`` and ``--liberty``. Raises RunError, and ReportError for an invalid library."""
    if name == "cells":
        if liberty is None:
            raise RunError("--target cells needs a standard-cell library: --liberty FILE")
        return library(liberty)
    if liberty is not None:
        raise RunError(f"--liberty is for --target cells, not for {name}")
    return family(name)


def family(name: str) -> Family:
    """An FPGA family by its name. Raises RunError."""
    for known in FAMILIES:
        if name == known:
            return known
    raise RunError(
        f"--target must be one of {', '.join(FAMILIES)}, or cells with --liberty FILE, not {name!r}"
    )


def columns(target: Target) -> tuple[str, ...]:
    """The columns that a run on ``target`` has."""
    return CELL_COLUMNS if isinstance(target, Library) else FPGA_COLUMNS


def measure(
    text: str,
    target: Target,
    *,
    names: Sequence[str] | None = None,
    cache: str | Path = SYNTHESIS,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Measured]:
    """The pieces ``names`` (all) of the accelerator whose RTLIL is ``text``; those that are not in ``cache`` are run.

    Raises ReportError and RunError.
    """
    parts = list(area_cut.cut(text, names).values())
    found = costs(parts, target, cache, progress)
    pieces = {piece.name: piece for piece in PIECES}
    return [
        Measured(pieces[part.top], digest(part.text), cost) for part, cost in zip(parts, found, strict=True)
    ]


def measure_whole(text: str, target: Target, *, cache: str | Path = SYNTHESIS) -> Measured:
    """The whole accelerator in one run, flattened: minutes. Raises ReportError."""
    found: Resources | CellCost
    if isinstance(target, Library):
        found = synthesize_cells(Part(area_cut.TOP, text), target, cache=cache)
    else:
        found = synthesize(text, top=area_cut.TOP, family=target, cache=cache)
    return Measured(None, digest(text), _cost(found, target))


def added(measured: Sequence[Measured]) -> dict[str, float]:
    """The sum over the pieces and their copies; of ``depth`` and ``delay_ps`` the largest."""
    total: dict[str, float] = {}
    for one in measured:
        for name, value in one.cost.items():
            if name in ("depth", "delay_ps"):
                total[name] = max(total.get(name, 0), value)
            else:
                total[name] = total.get(name, 0) + one.copies * value
    return total


def composed(config: AcceleratorConfig, target: Target, measured: Sequence[Measured]) -> Area:
    """The table of blocks from a measurement of all pieces."""
    estimates = {one.piece.name: Estimate(one.cost, "measured") for one in measured if one.piece is not None}
    return compose(config.name, target_name(target), estimates, tool())


def deviation(composed: Mapping[str, float], whole: Mapping[str, float]) -> dict[str, float | None]:
    """``composed / whole - 1`` of each column; None where the whole has none of it."""
    return {name: composed[name] / value - 1 if value else None for name, value in whole.items()}


def costs(
    parts: Sequence[Part],
    target: Target,
    cache: str | Path = SYNTHESIS,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[dict[str, float]]:
    """The cost of each part by the columns of ``target``; an FPGA family maps them in one run. Raises ReportError."""
    if not isinstance(target, Library):
        if progress is not None:
            progress(f"{len(parts)} on {target}", 0, 1)
        return [_cost(one, target) for one in synthesize_parts(parts, family=target, cache=cache)]
    found = []
    for index, part in enumerate(parts):
        if progress is not None:
            progress(f"{part.top} in {target.name}", index, len(parts))
        found.append(_cost(synthesize_cells(part, target, cache=cache), target))
    return found


def target_name(target: Target) -> str:
    """The family's or the library's."""
    return target.name if isinstance(target, Library) else target


def _cost(found: Resources | CellCost, target: Target) -> dict[str, float]:
    """``uram`` beside the columns of every run where there is some: machines with it are not among the kept runs."""
    cost = {name: float(getattr(found, name)) for name in columns(target)}
    if isinstance(found, Resources) and found.uram:
        cost["uram"] = float(found.uram)
    return cost


def digest(text: str) -> str:
    """Of an RTLIL text: two pieces with the same one are the same circuit."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
