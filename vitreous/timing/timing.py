"""The clock of an accelerator on a target: RTL, Yosys, static timing analysis. Every step is kept in a cache."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

from vitreous.area.cut import TOP, whole
from vitreous.flow.display import Display
from vitreous.reports.synthesis import mapping
from vitreous.reports.synthesis.cells import library
from vitreous.reports.synthesis.kept import write_kept
from vitreous.reports.synthesis.synthesis import tool
from vitreous.reports.timing import measured
from vitreous.reports.timing.delays import Delays, load_delays
from vitreous.reports.timing.result import Timing
from vitreous.reports.timing.standard_cells import CellDelays, load_cell_delays
from vitreous.reports.timing.timing import timing
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.folders import SYNTHESIS


def digest(text: str) -> str:
    """Of an RTLIL text: two accelerators with the same one are the same circuit."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def chosen_target(name: str) -> Delays | CellDelays:
    """The delays of ``--target``: a name of ours, or ``cells:`` and the path of a Liberty file. Raises ReportError."""
    kind, _, path = name.partition(":")
    return load_cell_delays(Path(path)) if kind == "cells" and path else load_delays(name)


def measure(
    config: AcceleratorConfig,
    delays: Delays | CellDelays,
    *,
    cache: Path = SYNTHESIS,
    display: Display | None = None,
) -> Timing:
    """Map the accelerator and analyse its timing: minutes; nothing where the same RTL was analysed before.

    The netlist is kept under the hash of RTLIL, script and Yosys, the result under the sources of the hardware, the
    delays and the analysis. Raises ReportError.
    """
    display = display or Display(quiet=True)
    with display.stage("timing") as stage:
        kept = measured.kept(config, delays, cache)
        if kept is not None and kept.tool == tool():
            stage.unchanged(f"{kept.cells:,} cells, {kept.endpoints:,} end points")
            return kept
        stage.part("RTL", 0, 0)
        text = whole(config, cache, target=delays.family if isinstance(delays, Delays) else "")
        stage.part("synthesis", 0, 0)
        module = _netlist(text, delays, cache)
        stage.part("analysis", 0, 0)
        found = timing(module, delays, rtl=digest(text), tool=tool())
        write_kept(measured.kept_path(config, delays, cache), found, measured.KEPT_FORMAT)
        stage.note(f"{found.cells:,} cells, {found.endpoints:,} end points, {found.tool}")
    return found


def _netlist(text: str, delays: Delays | CellDelays, cache: Path) -> Mapping[str, Any]:
    match delays:
        case Delays():
            return mapping.mapped(text, top=TOP, family=delays.family, cache=cache)
        case CellDelays():
            return mapping.mapped_cells(text, top=TOP, library=library(delays.path), cache=cache)
        case never:
            assert_never(never)
