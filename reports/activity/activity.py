"""Switching activity of hardware units on real data against random data: what `make activity` measured.

The event model of energy gives every event of a kind the same energy, that of random data. Toggles are a proxy for what
the energy really does: each net counts alike and settles once a cycle, without glitches, and the clock is not counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.reports.errors import ReportError
from vitreous.reports.json_file import check_format
from vitreous.reports.record.provenance import How

FORMAT = "vitreous.activity/1"
FOLDER = Path(__file__).absolute().parent / "measured"
"""The measurements that come with the project."""
DATA = ("real", "random", "zero")
WHOLE = "all"
"""The part that is the sum of all others."""
COMBINATIONAL = "combinational"
_KEYS = (
    "unit",
    "title",
    "event",
    "accelerator",
    "level",
    "model",
    "images",
    "date",
    "command",
    "rtl",
    "tools",
    "nets",
)


@dataclass(frozen=True, kw_only=True)
class Activity:
    """A unit on one kind of data. ``part``: of the network, ``WHOLE`` for all of it.

    events : of ``event``, a counter. toggles : of each group of nets, per event. random : the same on random data.
    nets : number of each group.
    how : always ``elsewhere``, by the project and not on the run that shows it; ``source`` says by what.
    accelerator, model : that were measured.
    """

    unit: str
    title: str
    event: str
    level: str
    part: str
    data: str
    events: int
    toggles: Mapping[str, float]
    random: Mapping[str, float]
    nets: Mapping[str, int]
    source: str
    accelerator: str
    model: str
    how: How = "elsewhere"

    @property
    def total(self) -> float:
        """Toggles of all nets per event."""
        return sum(self.toggles.values())

    @property
    def registers(self) -> float:
        """Toggles of the outputs of registers per event."""
        return self.total - self.toggles.get(COMBINATIONAL, 0.0)

    @property
    def ratio(self) -> float:
        """``total`` to that on random data."""
        return self.total / sum(self.random.values())

    @property
    def registers_ratio(self) -> float:
        """``registers`` to those on random data."""
        return self.registers / (sum(self.random.values()) - self.random.get(COMBINATIONAL, 0.0))

    def group_ratio(self, group: str) -> float | None:
        """Of one group; None where random data does not move it."""
        return self.toggles[group] / self.random[group] if self.random[group] else None

    @property
    def deviation(self) -> float | None:
        """``random / this - 1``: by how much the event model, which takes an event for one on random data, overstates
        (above 0) or understates the dynamic energy of the unit. None where nothing toggles.
        """
        return 1 / self.ratio - 1 if self.ratio else None


def activities(folder: Path = FOLDER) -> tuple[Activity, ...]:
    """Every measurement in ``folder``, unit by unit, whole networks before their parts. Raises ReportError."""
    return tuple(row for path in sorted(folder.glob("*.json")) for row in rows(load(path)))


def load(path: Path) -> Mapping[str, Any]:
    """One unit's file. Raises ReportError where it is damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path.name} is not a measurement of activity: {error}") from None
    check(data, path.name)
    return dict(data)


def check(data: Any, name: str) -> None:
    """Raises ReportError unless every part was measured on real and on random data, with the same groups of nets."""
    check_format(data, FORMAT, f"{name} has")
    missing = [key for key in (*_KEYS, "measurements") if key not in data]
    if missing:
        raise ReportError(f"{name} has no {', '.join(missing)}")
    seen = set()
    for row in data["measurements"]:
        if (
            row.get("data") not in DATA
            or not row.get("events", 0) > 0
            or set(row["toggles"]) != set(data["nets"])
        ):
            raise ReportError(f"{name}: part {row.get('part')!r}, data {row.get('data')!r} is damaged")
        seen.add((row["part"], row["data"]))
    for part in {part for part, _ in seen}:
        for kind in ("real", "random"):
            if (part, kind) not in seen:
                raise ReportError(f"{name}: part {part!r} was not measured on {kind} data")


def rows(data: Mapping[str, Any]) -> list[Activity]:
    """A file as rows; where it has several parts their sum comes first."""
    parts = list(dict.fromkeys(row["part"] for row in data["measurements"]))
    asked = [(WHOLE, parts), *((part, [part]) for part in parts if len(parts) > 1)]
    found = []
    for part, members in asked:
        events, random = _sum(data, members, "random")
        for kind in DATA:
            events, toggles = _sum(data, members, kind)
            if events:
                found.append(_row(data, part, kind, events, toggles, random))
    return found


def _sum(data: Mapping[str, Any], parts: Sequence[str], kind: str) -> tuple[int, dict[str, float]]:
    """Events, and toggles per event by group, of some parts together."""
    mine = [row for row in data["measurements"] if row["part"] in parts and row["data"] == kind]
    events = sum(row["events"] for row in mine)
    return events, {g: sum(row["toggles"][g] for row in mine) / max(1, events) for g in data["nets"]}


def _row(
    data: Mapping[str, Any],
    part: str,
    kind: str,
    events: int,
    toggles: Mapping[str, float],
    random: Mapping[str, float],
) -> Activity:
    made = f"{data['command']}, {data['date']}, RTL {data['rtl'][:12]}"
    source = f"{data['tools']['verilator']}, SAIF, {events} events, {made}"
    whose = {name: data[name] for name in ("unit", "title", "event", "level", "nets", "accelerator", "model")}
    return Activity(
        **whose, part=part, data=kind, events=events, toggles=toggles, random=random, source=source
    )
