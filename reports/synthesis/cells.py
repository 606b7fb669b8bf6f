"""Area of a unit in standard cells of any Liberty library: Yosys and ABC, kept in a cache of JSON files.

What a run does: flatten, optimize, flip-flops by ``dfflibmap``, logic by ABC with the library's timing. ABC is told
that every input is driven by the library's smallest buffer and every output drives four of them, so that it buffers
nets of many sinks and sizes cells; without that a net of a thousand sinks would cost nothing.

What the columns count:

========= ==============================================================================================
um2       area of all cells in the library's unit (µm²), before placement: no rows, no wires, no clock tree
ff        flip-flops; cells: all cells
bits      of memories that are macros: those with a write port and ``MACRO_WORDS`` words or more
delay_ps  ABC's estimate of the longest combinational path, picoseconds: gates and pin loads, no wires, and
          neither the clock-to-output time of a flip-flop nor its set-up time
========= ==============================================================================================

A memory with fewer words, and a table without a write port, is mapped to cells. Initial values are dropped: an ASIC has
none, and the machine's reset sets what must be set.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis import netlist, synthesis
from vitreous.reports.synthesis.kept import read_kept, write_kept
from vitreous.reports.synthesis.liberty import StandardCell, read_cells
from vitreous.reports.synthesis.synthesis import TIMEOUT_SECONDS, Part

FORMAT = "vitreous.cells/1"
MACRO_WORDS = 64
"""A writable memory of this many words is a macro."""
LOADS = 4
"""Smallest buffers that an output drives."""
MACRO = "macro_memory"
"""Type of the cells of a memory that is a macro."""
_STATISTICS = "stats.txt"
"""Where ABC's ``stime -d`` writes: name, inputs, outputs, nodes, area, delay in picoseconds."""
# As ABC's own script for a library with constraints, with the delay in a file, but without its retiming and without
# its search for equivalent nodes, which takes an array of multipliers a hundred times longer and gains 1 %.
_ABC = "strash;dc2;strash;&get,-n;&dch,-f;&nf;&put;buffer;upsize;dnsize;stime,-d"
_NAME = re.compile(r"[^A-Za-z0-9_]+")
HIDDEN = "read_rtlil design.il; hierarchy -top {top}; rename -hide w:*; "
"""Reads the design without the names of its wires."""
_SCRIPT = (
    "{read}synth -flatten -noabc -run begin:fine -top {top}; "
    "chtype -set {macro} t:$mem_v2 r:WR_PORTS>=1 %i r:SIZE>={words} %i; "
    "setattr -unset init w:*; synth -noabc -run fine:check -top {top}; setattr -unset init w:*; "
    "dfflibmap{unused} -liberty cells.lib; opt_clean; "
    "abc -script +{abc}{unused} -liberty cells.lib -constr constraints; opt_clean; "
    "cd {top}; write_json -selected mapped.json"
)


@dataclass(frozen=True)
class Library:
    """A standard-cell library: ``name`` is what its results are called, ``path`` where it lies."""

    name: str
    path: Path
    cells: Mapping[str, StandardCell]

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]

    @cached_property
    def buffer(self) -> StandardCell:
        """The smallest buffer."""
        usable = [cell for cell in self.cells.values() if cell.buffer and not cell.dont_use]
        return min(usable, key=lambda cell: (cell.area, cell.name))

    @property
    def described(self) -> str:
        """File, number of cells and the constraints, for a report."""
        return (
            f"{self.path.name}, {len(self.cells)} cells; inputs driven by {self.buffer.name}, "
            f"outputs loaded with {self.load_ff:g} fF"
        )

    @property
    def load_ff(self) -> float:
        return round(LOADS * self.buffer.load_ff, 3)

    def constraints(self) -> str:
        return f"set_driving_cell {self.buffer.name}\nset_load {self.load_ff:g}\n"


@dataclass(frozen=True, kw_only=True)
class CellCost:
    """What a unit takes in standard cells; the module's docstring says how each column counts.

    types : (cell, number) of the mapped netlist.
    """

    um2: float
    ff: int
    cells: int
    bits: int
    delay_ps: float
    library: str
    tool: str
    types: tuple[tuple[str, int], ...] = ()


def library(path: str | Path, *, name: str = "") -> Library:
    """A Liberty file. Raises ReportError that says what is wrong: missing, not Liberty, truncated, no flip-flop."""
    path = Path(path)
    own, cells = read_cells(path)
    return Library(_NAME.sub("_", name or own), path, cells)


def synthesize_cells(
    part: Part, target: Library, *, cache: str | Path, timeout: float = TIMEOUT_SECONDS
) -> CellCost:
    """Map module ``part.top`` to the cells of ``target``; black boxes count as nothing.

    Raises ReportError when Yosys is missing, refuses text or library, or takes longer than ``timeout`` seconds.
    """
    key = "\0".join((FORMAT, script(part.top, target), target.digest, target.constraints()))
    path = synthesis.kept_path(Path(cache), part.top, target.name, key, part.text)
    kept = read_kept(CellCost, path, FORMAT)
    if kept is not None:
        return kept
    mapped, delay = map_cells(part.text, script(part.top, target), target, timeout)
    found = _cost(netlist.cells_of(mapped, part.top, part.boxes), delay, target)
    write_kept(path, found, FORMAT)
    return found


def script(top: str, target: Library, read: str = HIDDEN) -> str:
    """What Yosys does; ``read``: how it reads the design, with {top}."""
    unused = "".join(f" -dont_use {cell.name}" for cell in target.cells.values() if cell.dont_use)
    begin = read.format(top=top)
    return _SCRIPT.format(read=begin, top=top, macro=MACRO, words=MACRO_WORDS, unused=unused, abc=_ABC)


def map_cells(text: str, script: str, target: Library, timeout: float) -> tuple[Mapping[str, Any], str]:
    """The netlist that a ``script`` makes of an RTLIL text, and ABC's timing of it. Raises ReportError."""
    with synthesis.workplace() as folder:
        (folder / "design.il").write_text(text, encoding="utf-8")
        (folder / "constraints").write_text(target.constraints(), encoding="utf-8")
        shutil.copy(target.path, folder / "cells.lib")
        synthesis.run_script(script, folder, timeout)
        mapped = json.loads((folder / "mapped.json").read_text(encoding="utf-8"))
        statistics = folder / _STATISTICS
        return mapped, statistics.read_text(encoding="utf-8") if statistics.exists() else ""


def _cost(cells: Mapping[str, Mapping[str, Any]], statistics: str, target: Library) -> CellCost:
    macros = [cell for cell in cells.values() if cell["type"] == MACRO]
    counts = netlist.count(cell for cell in cells.values() if cell["type"] != MACRO)
    unknown = sorted(set(counts) - set(target.cells))
    if unknown:
        raise ReportError(f"The library {target.path.name} has no cell for {', '.join(unknown)}")
    if not statistics and sum(counts.values()) > sum(
        n for name, n in counts.items() if target.cells[name].flip_flop
    ):
        raise ReportError("ABC left no timing of what it mapped")
    return CellCost(
        um2=round(sum(n * target.cells[name].area for name, n in counts.items()), 3),
        ff=sum(n for name, n in counts.items() if target.cells[name].flip_flop),
        cells=sum(counts.values()),
        bits=sum(_number(cell, "SIZE") * _number(cell, "WIDTH") for cell in macros),
        delay_ps=float(statistics.split()[-1]) if statistics else 0.0,
        library=target.described,
        tool=synthesis.tool(),
        types=tuple(counts.items()),
    )


def _number(cell: Mapping[str, Any], parameter: str) -> int:
    return int(str(cell["parameters"][parameter]), 2)
