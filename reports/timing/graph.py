"""The timing graph of a netlist: nodes are bits, and points inside of DSP blocks; arcs take time.

A delay has two parts: ``soft``, which placement, routing and better synthesis change (wires, LUTs, flip-flops), and
``hard``, which they don't (the inside of a DSP block or of a block memory).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple

from vitreous.reports.timing.delays import Delays

OUTSIDE = -1
"""The cell of a port."""


class Wire(Enum):
    """How a pin is reached: over the routing, over the routing to a block, inside a slice, or by a wire of its own."""

    ROUTED = "routed"
    BLOCK = "to a block"
    LOCAL = "inside a slice"
    NONE = "none"


class Arc(NamedTuple):
    """Through ``cell`` from node ``source`` to node ``target``. ``level``: it counts as a logic level."""

    source: int
    target: int
    soft: float
    hard: float
    cell: int
    level: bool


class Start(NamedTuple):
    """A register's output, a memory's or an input port's: node ``target`` is there ``soft + hard`` after the clock."""

    target: int
    soft: float
    hard: float
    cell: int


class End(NamedTuple):
    """A pin that a clock edge reads: node ``source`` must be there ``soft + hard`` before it. ``pin``: of the cell."""

    source: int
    soft: float
    hard: float
    cell: int
    pin: str


class Pins:
    """The connections of one cell of a netlist of Yosys, without constants."""

    def __init__(self, cell: Mapping[str, Any]) -> None:
        self.type: str = cell["type"]
        self.parameters: Mapping[str, str] = cell.get("parameters", {})
        self._connections: Mapping[str, list[Any]] = cell["connections"]

    def bits(self, *ports: str) -> Iterator[int]:
        """The bits of ports that exist, constants left out."""
        for port in ports:
            for bit in self._connections.get(port, ()):
                if isinstance(bit, int):
                    yield bit

    def bit(self, port: str, index: int = 0) -> int | None:
        """One bit of a port; None for a constant and where there is none."""
        found = self._connections.get(port, ())
        return found[index] if index < len(found) and isinstance(found[index], int) else None

    def ports(self) -> Mapping[str, list[Any]]:
        return self._connections

    def number(self, name: str) -> int:
        """An integer parameter; 0 where it is missing."""
        text = str(self.parameters.get(name, "0")).strip() or "0"
        return int(text, 2)

    def text(self, name: str) -> str:
        return str(self.parameters.get(name, "")).strip()


class Graph:
    """Made cell by cell. ``cells``: (name, connections) by index; ``fanout``: sinks of a bit, clock pins left out;
    ``wire``: delay of the net of a bit to a pin.
    """

    def __init__(
        self,
        fanout: Counter[int],
        first_node: int,
        wire: Callable[[int, Wire], float],
        delays: Delays | None = None,
    ) -> None:
        self.wire = wire
        self._delays = delays
        self.fanout = fanout
        self.cells: list[tuple[str, Pins]] = []
        self.arcs: list[Arc] = []
        self.starts: list[Start] = []
        self.ends: list[End] = []
        self._next = first_node

    @property
    def delays(self) -> Delays:
        """Of an FPGA's cells."""
        assert self._delays is not None, "standard cells have no table of an FPGA"
        return self._delays

    def node(self) -> int:
        """A point inside the cell that was added last."""
        self._next += 1
        return self._next - 1

    def add(self, name: str, pins: Pins) -> None:
        self.cells.append((name, pins))

    @property
    def cell(self) -> int:
        return len(self.cells) - 1

    def arc(
        self,
        source: int,
        target: int,
        *,
        soft: float = 0.0,
        hard: float = 0.0,
        wire: Wire = Wire.ROUTED,
        level: bool = True,
    ) -> None:
        """An arc of the cell that was added last, with the wire to its pin."""
        self.arcs.append(Arc(source, target, soft + self.wire(source, wire), hard, self.cell, level))

    def start(self, target: int | None, *, soft: float = 0.0, hard: float = 0.0) -> None:
        if target is not None:
            self.starts.append(Start(target, soft, hard, self.cell))

    def end(
        self, source: int, pin: str, *, soft: float = 0.0, hard: float = 0.0, wire: Wire = Wire.ROUTED
    ) -> None:
        self.ends.append(End(source, soft + self.wire(source, wire), hard, self.cell, pin))
