"""Delays of a standard-cell library, from the tables of its Liberty file, and the graph of a netlist of its cells.

An arc's delay is read from its table at the input slew in the middle of the table and at the load of the pins that its
output drives, the slower of rise and fall; slews do not travel along a path, and wires have no capacitance. Both are
what ``FACTOR`` is for. A memory that is a macro has no table: its access and set-up are assumed in multiples of the
delay of an inverter that drives four of its kind.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis.cells import MACRO
from vitreous.reports.synthesis.liberty import Group, parse
from vitreous.reports.timing.delays import Factor
from vitreous.reports.timing.graph import OUTSIDE, End, Graph, Pins, Start, Wire

ACCESS_FO4, SETUP_FO4 = 25.0, 5.0
FACTOR = Factor(
    low=1.0,
    typical=1.2,
    high=1.5,
    source="the sum has no wires: 20 % are assumed for them, none at best and half of the sum at worst",
)


@dataclass(frozen=True)
class Curve:
    """Delay in ps over the load, in the unit of the library's capacitance; beyond its ends the line goes on."""

    loads: tuple[float, ...]
    delays: tuple[float, ...]

    def at(self, load: float) -> float:
        if len(self.loads) < 2:
            return self.delays[0]
        i = min(max(bisect_right(self.loads, load), 1), len(self.loads) - 1)
        x0, x1, y0, y1 = self.loads[i - 1], self.loads[i], self.delays[i - 1], self.delays[i]
        return y0 + (y1 - y0) * (load - x0) / (x1 - x0)


@dataclass(frozen=True)
class TimedCell:
    """capacitance : of inputs. arcs : (input, output, delay); edges : (output, delay after the clock); setup : ps of an
    input. clock : pins.
    """

    capacitance: Mapping[str, float]
    arcs: tuple[tuple[str, str, Curve], ...]
    edges: tuple[tuple[str, Curve], ...]
    setup: Mapping[str, float]
    clock: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class CellDelays:
    """A library as a target. fo4 : delay of its smallest inverter into four of itself, ps."""

    name: str
    title: str
    path: Path
    digest: str
    cells: Mapping[str, TimedCell]
    fo4: float
    factor: Factor = FACTOR


def load_cell_delays(path: Path) -> CellDelays:
    """Of a Liberty file. Raises ReportError that says what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ReportError(f"Cannot read the library {path}: {error.strerror}") from None
    library = parse(text, str(path))
    unit = library.attributes.get("time_unit", "1ns").strip('"')
    scale = {"1ns": 1000.0, "100ps": 100.0, "10ps": 10.0, "1ps": 1.0}.get(unit)
    if scale is None:
        raise ReportError(f"{path}: time_unit must be 1ns, 100ps, 10ps or 1ps, not {unit!r}")
    templates = {group.names[0]: group for group in library.of("lu_table_template") if group.names}
    cells = {cell.names[0]: _cell(cell, templates, scale) for cell in library.of("cell") if cell.names}
    inverters = [
        _fo4(cells[c.names[0]]) for c in library.of("cell") if _inverts(c) and cells[c.names[0]].arcs
    ]
    if not inverters:
        raise ReportError(f"{path} has no inverter with a table of delays")
    name = library.names[0] if library.names else path.stem
    return CellDelays(
        name=f"cells:{name}",
        path=path,
        title=f"standard cells of {name}, before placement",
        digest=hashlib.sha256(text.encode()).hexdigest()[:16],
        cells=cells,
        fo4=min(inverters),
    )


def _inverts(cell: Group) -> bool:
    pins = list(cell.of("pin"))
    inputs = [p.names[0] for p in pins if p.attributes.get("direction") == "input"]
    functions = [p.attributes.get("function", "") for p in pins if p.attributes.get("direction") == "output"]
    return (
        len(inputs) == 1
        and len(functions) == 1
        and functions[0].strip("() ") in (f"!{inputs[0]}", f"{inputs[0]}'")
    )


def _fo4(cell: TimedCell) -> float:
    source, _, curve = cell.arcs[0]
    return curve.at(4 * cell.capacitance[source])


def _cell(cell: Group, templates: Mapping[str, Group], scale: float) -> TimedCell:
    capacitance, arcs, edges, setup, clock = {}, [], [], dict[str, float](), set()
    for pin in cell.of("pin"):
        name = pin.names[0]
        if pin.attributes.get("clock") == "true":
            clock.add(name)
        if pin.attributes.get("direction") == "input":
            capacitance[name] = float(pin.attributes.get("capacitance", "0"))
        for group in pin.of("timing"):
            kind = group.attributes.get("timing_type", "combinational")
            if kind.startswith("setup"):
                tables = [*group.of("rise_constraint"), *group.of("fall_constraint")]
                setup[name] = max([setup.get(name, 0.0), *(_middle(t) * scale for t in tables)])
            elif kind in ("rising_edge", "falling_edge"):
                edges += [(name, curve) for curve in _curves(group, templates, scale)]
            elif kind == "combinational" or kind.startswith(("three_state", "combinational")):
                for source in group.attributes.get("related_pin", "").split():
                    arcs += [(source, name, curve) for curve in _curves(group, templates, scale)]
    return TimedCell(capacitance, tuple(arcs), tuple(edges), setup, frozenset(clock))


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.replace('"', "").replace(",", " ").split()]


def _middle(table: Group) -> float:
    """The value in the middle of a table."""
    values = _numbers(table.attributes.get("values", "0"))
    columns = len(_numbers(table.attributes.get("index_2", ""))) or 1
    return values[(len(values) // columns // 2) * columns + columns // 2]


def _curves(group: Group, templates: Mapping[str, Group], scale: float) -> Iterator[Curve]:
    """Of rise and fall, over the load, at the slew in the middle."""
    for table in (*group.of("cell_rise"), *group.of("cell_fall")):
        template = templates.get(table.names[0]) if table.names else None
        own = {**(template.attributes if template else {}), **table.attributes}
        values = [scale * value for value in _numbers(own.get("values", ""))]
        first, second = _numbers(own.get("index_1", "")), _numbers(own.get("index_2", ""))
        if not second:
            by_load = own.get("variable_1", "") == "total_output_net_capacitance" and len(first) == len(
                values
            )
            yield Curve(tuple(first), tuple(values)) if by_load else Curve((0.0,), (max(values),))
        elif own.get("variable_1") == "total_output_net_capacitance":
            yield Curve(tuple(first), tuple(values[len(second) // 2 :: len(second)]))
        else:
            row = len(first) // 2 * len(second)
            yield Curve(tuple(second), tuple(values[row : row + len(second)]))


def build_cells(module: Mapping[str, Any], delays: CellDelays) -> Graph:
    """The graph of a flat module of library cells. Raises ReportError on a cell that the library does not have."""
    cells = {name: cell for name, cell in module["cells"].items() if cell["type"] != "$scopeinfo"}
    unknown = sorted({cell["type"] for cell in cells.values()} - set(delays.cells) - {MACRO})
    if unknown:
        raise ReportError(
            f"The netlist has cells of which {delays.name} gives no delay: {', '.join(unknown)}"
        )
    fanout, loads = _loads(module, cells, delays)
    first = 1 + max(
        (b for net in module["netnames"].values() for b in net["bits"] if isinstance(b, int)), default=0
    )
    graph = Graph(fanout, first, lambda _bit, _wire: 0.0)
    for name, cell in cells.items():
        pins = Pins(cell)
        graph.add(name, pins)
        if pins.type == MACRO:
            _macro(graph, pins, delays.fo4)
        else:
            _timed(graph, pins, delays.cells[pins.type], loads.__getitem__)
    for name, port in module["ports"].items():
        for bit in (b for b in port["bits"] if isinstance(b, int)):
            if port["direction"] == "input":
                graph.starts.append(Start(bit, 0.0, 0.0, OUTSIDE))
            else:
                graph.ends.append(End(bit, 0.0, 0.0, OUTSIDE, name))
    return graph


def _loads(
    module: Mapping[str, Any], cells: Mapping[str, Mapping[str, Any]], delays: CellDelays
) -> tuple[Counter[int], Mapping[int, float]]:
    """Sinks and load of every bit. Yosys gives no directions for cells that it only knows by name."""
    sinks: Counter[int] = Counter()
    loads: dict[int, float] = dict.fromkeys(
        (b for net in module["netnames"].values() for b in net["bits"] if isinstance(b, int)), 0.0
    )
    for cell in cells.values():
        timed = delays.cells.get(cell["type"])
        for port, bits in cell["connections"].items():
            reads = port in timed.capacitance and port not in timed.clock if timed else port in _READ_WITH
            for bit in (b for b in bits if reads and isinstance(b, int)):
                sinks[bit] += 1
                loads[bit] = loads.get(bit, 0.0) + (timed.capacitance[port] if timed else 0.0)
    return sinks, loads


def _timed(graph: Graph, pins: Pins, cell: TimedCell, load: Callable[[int], float]) -> None:
    worst: dict[tuple[int, int], float] = {}
    for source_pin, target_pin, curve in cell.arcs:
        source, target = pins.bit(source_pin), pins.bit(target_pin)
        if source is not None and target is not None:
            delay = curve.at(load(target))
            worst[source, target] = max(delay, worst.get((source, target), delay))
    for (source, target), delay in worst.items():
        graph.arc(source, target, soft=delay, wire=Wire.NONE)
    for target_pin, curve in cell.edges:
        target = pins.bit(target_pin)
        if target is not None:
            graph.start(target, soft=curve.at(load(target)))
    for pin, setup in cell.setup.items():
        source = pins.bit(pin)
        if source is not None:
            graph.end(source, pin, soft=setup, wire=Wire.NONE)


def _macro(graph: Graph, pins: Pins, fo4: float) -> None:
    """A memory: what it reads is late, and all that it reads with is set up before the edge."""
    for target in pins.bits("RD_DATA"):
        graph.start(target, hard=ACCESS_FO4 * fo4)
    for port in _READ_WITH:
        for source in pins.bits(port):
            graph.end(source, port, hard=SETUP_FO4 * fo4, wire=Wire.NONE)


_READ_WITH: Sequence[str] = ("RD_ADDR", "RD_EN", "WR_ADDR", "WR_DATA", "WR_EN")
