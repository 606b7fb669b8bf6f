"""nextpnr's report: the clock, the critical path cell by cell, and what of the part is used.

Names: Yosys keeps the name of every register and of what a designer named, and names a cell after the nearest of these
with the kinds of the cells between them behind it (``matrix.sequencer._columns_LUT4_Z_D``). ``signal_of`` is the part
before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vitreous.reports.errors import ReportError

_KINDS = r"TRELLIS_(?:FF|COMB|RAMW|DPR16X4)|LUT\d|PFUMX|L6MUX21|CCU2C|MULT18X18D|P?DP[W]?16KD"
_TAIL = re.compile(rf"_(?:{_KINDS})(?:_.*)?$|\$(?:abc9|auto|techmap|COMB|DFF|PACKER|nextpnr|CCU2C)\S*$")
_INDEX = re.compile(r"\[\d+\]$")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A piece of a path. kind : ``clk-to-q``, ``logic``, ``routing`` or ``setup``, as nextpnr says it.

    cell, place : the cell that is left (for a wire: reached), and its tile. net : of a wire, else empty. name : the
    signal of the design next to it.
    """

    kind: str
    delay_ns: float
    cell: str
    place: str
    net: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Utilization:
    """``used`` of ``available`` cells of one kind."""

    kind: str
    used: int
    available: int


def clock_of(report: Mapping[str, Any]) -> tuple[str, float]:
    """The slowest clock and what it reaches in MHz. Raises ReportError when the report has none."""
    clocks = _field(report, "fmax")
    try:
        reached = {str(name): float(entry["achieved"]) for name, entry in clocks.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ReportError("nextpnr's report has an entry of fmax without a number 'achieved'") from None
    if not reached:
        raise ReportError("nextpnr found no clock in the design: nothing in it has a register")
    name = min(reached, key=reached.__getitem__)
    return name, reached[name]


def critical_path(report: Mapping[str, Any], clock: str) -> tuple[Step, ...]:
    """The longest path between two registers of ``clock``. Raises ReportError when there is none."""
    for path in _field(report, "critical_paths"):
        if str(path.get("from", "")).endswith(clock) and str(path.get("to", "")).endswith(clock):
            return tuple(_step(part) for part in path["path"])
    raise ReportError(f"nextpnr's report has no critical path of the clock {clock}")


def _step(part: Mapping[str, Any]) -> Step:
    kind = str(part["type"])
    end = part["to"] if kind == "routing" else part["from"]
    net = str(part.get("net", ""))
    cell, place = str(end["cell"]), end.get("loc", ("?", "?"))
    return Step(
        kind=kind,
        delay_ns=float(part["delay"]),
        cell=cell,
        place=f"X{place[0]}/Y{place[1]}",
        net=net,
        name=signal_of(net or cell),
    )


def utilization(report: Mapping[str, Any]) -> tuple[Utilization, ...]:
    """Every kind of cell of which at least one is used, in nextpnr's order."""
    return tuple(
        Utilization(kind=str(kind), used=int(entry["used"]), available=int(entry["available"]))
        for kind, entry in _field(report, "utilization").items()
        if int(entry["used"])
    )


def _field(report: Mapping[str, Any], name: str) -> Any:
    if name not in report:
        raise ReportError(f"nextpnr's report has no {name}; it has {', '.join(report) or 'nothing'}")
    return report[name]


def signal_of(name: str) -> str:
    """The signal of the design in a name of a cell or net: without what the tools append to it."""
    short = _TAIL.sub("", name)
    return _INDEX.sub("", short) or name


def delay_ns(path: Sequence[Step], *kinds: str) -> float:
    """The sum of all delays, or of those of ``kinds``."""
    return sum(step.delay_ns for step in path if not kinds or step.kind in kinds)


def ends(path: Sequence[Step]) -> tuple[str, str]:
    """The signals at both ends."""
    if not path:
        raise ReportError("The path is empty")
    return signal_of(path[0].cell), signal_of(path[-1].cell)
