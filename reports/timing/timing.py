"""The clock of a mapped netlist by static timing analysis, with its range and its worst paths in words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vitreous.reports.errors import ReportError
from vitreous.reports.timing import analysis
from vitreous.reports.timing.delays import Delays
from vitreous.reports.timing.graph import Arc, End, Graph, Start
from vitreous.reports.timing.names import Names, alike, block, whole
from vitreous.reports.timing.netlist import build

WORST = 20
"""Paths that a result keeps beside the worst of every block."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One cell of a path. cell : its type. name : what it is in the design, empty for logic. beside : the registers
    that this logic reads too. fanout : sinks of the net before it. ns : when its output is there, typically.
    """

    cell: str
    name: str
    beside: tuple[str, ...]
    fanout: int
    ns: float


@dataclass(frozen=True, kw_only=True)
class Path:
    """start, end : registers, memories or ports. pin : that the path ends at. block : of the end. ns : the period
    that it needs, typically; model_ns : the sum of the stated delays. levels : of logic; fanout : the largest.
    """

    block: str
    start: str
    end: str
    pin: str
    ns: float
    model_ns: float
    levels: int
    fanout: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Worst:
    """A block's worst path. endpoints : of the block; over : of these, those that miss the budget."""

    path: Path
    endpoints: int
    over: int


@dataclass(frozen=True, kw_only=True)
class Timing:
    """clock_mhz : estimate, between low and high: with the factors low_factor (high clock) to high_factor.

    model_ns : the largest sum of stated delays. budget_mhz : what the target asks for, 0 where nothing; over : end
    points that miss it. paths : the worst, of different registers; blocks : by their worst path.
    rtl, delays : digests of what was mapped and of the table. tool : its version.
    """

    target: str
    title: str
    tool: str
    rtl: str
    delays: str
    clock_mhz: float
    low: float
    high: float
    factor: float
    low_factor: float
    high_factor: float
    model_ns: float
    budget_mhz: float
    endpoints: int
    over: int
    cells: int
    paths: tuple[Path, ...]
    blocks: tuple[Worst, ...]


def timing(
    module: Mapping[str, Any], delays: Delays, *, rtl: str = "", tool: str = "", budget_mhz: float = 0.0
) -> Timing:
    """Analyse a flat module of a netlist as Yosys writes it. Raises ReportError where it has no path between registers,
    a combinational loop, or a cell without delays.
    """
    graph = build(module, delays)
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
    limit = 1e6 / budget_mhz if budget_mhz else 0.0
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
        budget_mhz=budget_mhz,
        endpoints=len(needed),
        over=sum(limit > 0 and ps > limit for ps, _ in needed),
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
            over[name] = over.get(name, 0) + int(limit > 0 and ps > limit)
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
