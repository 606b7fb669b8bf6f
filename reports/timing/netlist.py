"""From a mapped netlist, as Yosys writes it in JSON, to the timing graph."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from vitreous.reports.errors import ReportError
from vitreous.reports.timing.blocks import BLOCKS
from vitreous.reports.timing.delays import Delays
from vitreous.reports.timing.ecp5 import ECP5
from vitreous.reports.timing.graph import OUTSIDE, End, Graph, Pins, Start, Wire
from vitreous.reports.timing.slices import SLICES, Model

MODELS: Mapping[str, Mapping[str, Model]] = {
    "xcup": {**SLICES, **BLOCKS},
    "xc7": {**SLICES, **BLOCKS},
    "ecp5": ECP5,
}
"""The cells of each family."""
_FREE = {"$scopeinfo", "GND", "VCC", "VLO", "VHI"}
_CLOCKS = {"CLK", "WCLK", "WCK", "CLKARDCLK", "CLKBWRCLK", "CLKA", "CLKB", "CLKR", "CLKW"}
_CLOCKS |= {f"CLK{n}" for n in range(4)}
_FAR = {*BLOCKS, "MULT18X18D", "DP16KD", "PDPW16KD"}
"""Cells that stand in columns of their own."""


def build(module: Mapping[str, Any], delays: Delays) -> Graph:
    """The graph of a flat module. An input port comes as if from a register, and an output port ends at one.

    Raises ReportError on a cell of which the family gives no timing.
    """
    models = MODELS[delays.family]
    cells = {name: cell for name, cell in module["cells"].items() if cell["type"] not in _FREE}
    unknown = sorted({cell["type"] for cell in cells.values()} - set(models))
    if unknown:
        raise ReportError(
            f"The netlist has cells of which {delays.name} gives no delay: {', '.join(unknown)}"
        )
    fanout = _fanout(module, cells)
    graph = Graph(fanout, _first(module), _wires(delays, fanout, _of_blocks(cells)), delays)
    for name, cell in cells.items():
        pins = Pins(cell)
        graph.add(name, pins)
        models[pins.type](graph, pins)
    _ports(graph, module)
    return graph


def _fanout(module: Mapping[str, Any], cells: Mapping[str, Mapping[str, Any]]) -> Counter[int]:
    """Pins that each bit drives."""
    sinks: Counter[int] = Counter()
    for cell in cells.values():
        directions = cell["port_directions"]
        for port, bits in cell["connections"].items():
            clock = port in _CLOCKS or (port == "C" and cell["type"].startswith("FD"))
            if directions[port] == "input" and not clock:
                sinks.update(bit for bit in bits if isinstance(bit, int))
    for port in module["ports"].values():
        if port["direction"] == "output":
            sinks.update(bit for bit in port["bits"] if isinstance(bit, int))
    return sinks


def _wires(delays: Delays, fanout: Counter[int], of_blocks: frozenset[int]) -> Callable[[int, Wire], float]:
    """The delay of the net of a bit to a pin."""
    net = delays.net
    largest = max(fanout.values(), default=1)
    routed = [net.base + net.per_octave * math.log2(max(n, 1)) for n in range(largest + 1)]

    def wire(bit: int, kind: Wire) -> float:
        match kind:
            case Wire.ROUTED:
                return routed[fanout[bit]] + (net.block if bit in of_blocks else 0.0)
            case Wire.BLOCK:
                return routed[fanout[bit]] + net.block
            case Wire.LOCAL:
                return net.local
            case Wire.NONE:
                return 0.0

    return wire


def _of_blocks(cells: Mapping[str, Mapping[str, Any]]) -> frozenset[int]:
    """The bits that memory and DSP blocks drive."""
    return frozenset(
        bit
        for cell in cells.values()
        if cell["type"] in _FAR
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == "output"
        for bit in bits
        if isinstance(bit, int)
    )


def _first(module: Mapping[str, Any]) -> int:
    """A number above those of all bits."""
    return 1 + max(
        (b for net in module["netnames"].values() for b in net["bits"] if isinstance(b, int)), default=0
    )


def _ports(graph: Graph, module: Mapping[str, Any]) -> None:
    register = graph.delays.register
    for name, port in module["ports"].items():
        for bit in port["bits"]:
            if not isinstance(bit, int):
                continue
            if port["direction"] == "input":
                graph.starts.append(Start(bit, register.clock_to_q, 0.0, OUTSIDE))
            else:
                soft = graph.wire(bit, Wire.ROUTED) + register.setup["D"]
                graph.ends.append(End(bit, soft, 0.0, OUTSIDE, name))
