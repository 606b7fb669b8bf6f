"""The clock of a mapped netlist by static timing analysis, with its range and its worst paths in words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from vitreous.reports.errors import ReportError
from vitreous.reports.timing import analysis
from vitreous.reports.timing.budget import BUDGETS_MHZ
from vitreous.reports.timing.delays import Delays
from vitreous.reports.timing.graph import Arc, End, Graph, Start
from vitreous.reports.timing.names import Names, alike, block, whole
from vitreous.reports.timing.netlist import build
from vitreous.reports.timing.result import Path, Step, Timing, Worst
from vitreous.reports.timing.standard_cells import CellDelays, build_cells

WORST = 20
"""Paths that a result keeps beside the worst of every block."""


def timing(
    module: Mapping[str, Any], delays: Delays | CellDelays, *, rtl: str = "", tool: str = ""
) -> Timing:
    """Analyse a flat module of a netlist as Yosys writes it. Raises ReportError where it has no path between registers,
    a combinational loop, or a cell without delays.
    """
    graph = build(module, delays) if isinstance(delays, Delays) else build_cells(module, delays)
    order = analysis.ordered(graph)
    factor = delays.factor
    at, by = analysis.arrivals(graph, order, factor.typical)
    needed = sorted(analysis.required(graph, at, factor.typical), key=lambda found: -found[0])
    if not needed:
        raise ReportError(
            "The netlist has no path that begins and ends at a register or port: it has no clock"
        )
    periods = [_period(graph, order, f) for f in (factor.low, factor.high, 1.0)]
    words = _Words(graph, Names(module, graph), by, factor.typical)
    budget = BUDGETS_MHZ[delays.name] if isinstance(delays, Delays) else 0.0
    limit = 1e6 / budget if budget else math.inf
    return Timing(
        target=delays.name,
        title=delays.title,
        tool=tool,
        rtl=rtl,
        delays=delays.digest,
        clock_mhz=_mhz(needed[0][0]),
        low=_mhz(periods[1]),
        high=_mhz(periods[0]),
        factor=factor.typical,
        low_factor=factor.low,
        high_factor=factor.high,
        model_ns=round(periods[2] / 1000, 3),
        budget_mhz=budget,
        endpoints=len(needed),
        over=sum(ps > limit for ps, _ in needed),
        cells=len(graph.cells),
        paths=tuple(itertools.islice(words.different(needed), WORST)),
        blocks=words.blocks(needed, limit),
    )


def _mhz(ps: float) -> float:
    return round(1e6 / ps, 1)


def _period(graph: Graph, order: list[tuple[int, list[Arc]]], factor: float) -> float:
    at, _ = analysis.arrivals(graph, order, factor)
    return max(ps for ps, _ in analysis.required(graph, at, factor))


class _Words:
    """Paths of one analysis in words."""

    def __init__(self, graph: Graph, names: Names, by: Mapping[int, Arc | Start], factor: float) -> None:
        self._graph, self._names, self._by, self._factor = graph, names, by, factor

    def different(self, needed: list[tuple[float, End]]) -> Iterator[Path]:
        """The paths, worst first, one for each pair of registers that are alike but for numbers."""
        seen = set()
        for ps, end in needed:
            start, _ = analysis.path_to(end, self._by)
            key = (alike(whole(self._start(start))), alike(whole(self._end(end))))
            if key not in seen:
                seen.add(key)
                yield self.path(ps, end)

    def blocks(self, needed: list[tuple[float, End]], limit: float) -> tuple[Worst, ...]:
        """Every block with its worst path, worst first."""
        first: dict[str, tuple[float, End]] = {}
        points: dict[str, int] = {}
        over: dict[str, int] = {}
        for ps, end in needed:
            name = block(self._end(end))
            first.setdefault(name, (ps, end))
            points[name] = points.get(name, 0) + 1
            over[name] = over.get(name, 0) + int(ps > limit)
        return tuple(
            Worst(path=self.path(*found), endpoints=points[name], over=over[name])
            for name, found in first.items()
        )

    def path(self, ps: float, end: End) -> Path:
        start, arcs = analysis.path_to(end, self._by)
        name = self._end(end)
        time = start.soft * self._factor + start.hard
        steps, model, last = [], start.soft + start.hard + end.soft + end.hard, start.cell
        for arc in arcs:
            time += arc.soft * self._factor + arc.hard
            model += arc.soft + arc.hard
            if arc.cell != last:
                steps.append(self._step(arc, time))
            elif steps:
                steps[-1] = self._step(arc, time, steps[-1])
            last = arc.cell
        fanouts = [step.fanout for step in steps] + [self._graph.fanout[end.source]]
        return Path(
            block=block(name),
            start=self._start(start),
            end=name,
            pin=end.pin,
            ns=round(ps / 1000, 3),
            model_ns=round(model / 1000, 3),
            levels=sum(arc.level for arc in arcs),
            fanout=max(fanouts),
            steps=tuple(steps),
        )

    def _step(self, arc: Arc, time: float, before: Step | None = None) -> Step:
        """A cell, or more of the same cell: a DSP block is several arcs."""
        pins = self._graph.cells[arc.cell][1]
        beside = (
            before.beside
            if before
            else tuple(dict.fromkeys(map(whole, self._names.beside(pins, arc.source))))
        )
        return Step(
            cell=pins.type,
            name=self._names.cell(arc.cell),
            beside=beside,
            fanout=before.fanout if before else self._graph.fanout[arc.source],
            ns=round(time / 1000, 3),
        )

    def _start(self, start: Start) -> str:
        return self._names.cell(start.cell, start.target) or self._behind(start.cell)

    def _end(self, end: End) -> str:
        return self._names.cell(end.cell, end.source) or self._behind(end.cell)

    def _behind(self, cell: int) -> str:
        """An unnamed block by the register that it reads."""
        pins = self._graph.cells[cell][1]
        found = next(self._names.beside(pins, -1), "")
        return f"{block(found)}.{pins.type} of {found.rpartition('.')[2]}" if found else f"a {pins.type}"
