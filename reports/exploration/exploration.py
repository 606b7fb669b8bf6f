"""An exploration as data: every point that was estimated, the Pareto front, and what the RTL said about it.

``vitreous explore`` writes ``exploration.json``; this module is its one reader and writer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vitreous.reports.energy.event_costs import NO_ENERGY
from vitreous.reports.errors import ReportError
from vitreous.reports.json_file import structured
from vitreous.reports.tables import csv_table
from vitreous.spec.isa import COUNTERS
from vitreous.spec.storage import write_text

FORMAT = "vitreous.exploration/2"
FILE = "exploration.json"
EVENTS = frozenset(name for name, _ in COUNTERS if name not in NO_ENERGY and name != "cycles")
"""Counters of work: words, beats, columns, instructions. All others count cycles."""
Value = int | float | bool | str


@dataclass(frozen=True, kw_only=True)
class Goal:
    """An objective: ``figure`` of every point, in ``unit``; ``how`` it was obtained, in one word and in ``meaning``."""

    name: str
    figure: str
    unit: str
    maximize: bool
    how: str
    meaning: str

    @property
    def title(self) -> str:
        """The name with its unit."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    def loss(self, point: ExploredPoint) -> float:
        """The figure with its sign: less is better."""
        return -point.figures[self.figure] if self.maximize else point.figures[self.figure]


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """What the RTL measured for a point, one image of ``model``.

    counters : by name (RTL, model), all of ``isa.COUNTERS``. compared, different : values that the RTL stored against
    golden's. seconds : wall time of simulation, and of building the simulator where that was not there.
    """

    cycles: int
    counters: Mapping[str, tuple[int, int]]
    compared: int
    different: int
    seconds: float

    @property
    def predicted(self) -> int:
        return self.counters["cycles"][1]

    @property
    def deviation(self) -> float:
        """``predicted / measured - 1`` of the cycles."""
        return self.predicted / self.cycles - 1

    @property
    def worst_event(self) -> tuple[str, float]:
        """The counter of an event that costs energy that deviates most, and by how much of the measured."""
        events = {name: pair for name, pair in self.counters.items() if name in EVENTS}
        worst = max(events, key=lambda name: abs(_relative(*events[name])))
        return worst, _relative(*events[worst])


def _relative(measured: int, model: int) -> float:
    if measured == model:
        return 0.0
    return math.inf if measured == 0 else model / measured - 1


@dataclass(frozen=True, kw_only=True)
class ExploredPoint:
    """One design of a search.

    settings : the searched fields by dotted name. figures : by name, empty for an infeasible design.
    refusal : why it is infeasible, or which limits it breaks; empty when it keeps all of them.
    front : no other point within the limits is at least as good in every objective and better in one.
    config : the whole accelerator (``AcceleratorConfig.as_dict``), for points of the front.
    """

    number: int
    settings: Mapping[str, Value]
    figures: Mapping[str, float]
    refusal: str = ""
    front: bool = False
    config: Mapping[str, Any] | None = None
    confirmation: Confirmation | None = None

    @property
    def feasible(self) -> bool:
        return bool(self.figures) and not self.refusal


@dataclass(frozen=True, kw_only=True)
class Searched:
    """All points of one model for one target. ``measured_on``: what its accuracy was measured on, in a sentence;
    ``images``: on how many images, 0 where on none."""

    model: str
    technology: str
    dram: str
    clock_mhz: float
    area: str
    memory_latency: int
    memory_throughput: int
    measured_on: str
    images: int
    points: tuple[ExploredPoint, ...]

    @property
    def label(self) -> str:
        return f"{self.model} · {self.technology}, {self.dram}, {self.clock_mhz:g} MHz"

    @property
    def front(self) -> tuple[ExploredPoint, ...]:
        return tuple(point for point in self.points if point.front)

    @property
    def estimated(self) -> int:
        """Points with figures."""
        return sum(bool(point.figures) for point in self.points)


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """A whole exploration: the searches of one space. seconds, cpu_seconds : of the search, all runs together."""

    name: str
    date: str
    combinations: int
    dimensions: Mapping[str, Sequence[Value]]
    fixed: Mapping[str, Value]
    accelerator: str
    limits: Mapping[str, float]
    goals: tuple[Goal, ...]
    seed: int
    seconds: float
    cpu_seconds: float
    versions: Mapping[str, str]
    searches: tuple[Searched, ...]


def nondominated(losses: Sequence[Sequence[float]]) -> list[bool]:
    """For each point whether no other has at most all its losses and less of one; of equal points all stay."""

    def beaten(a: Sequence[float]) -> bool:
        return any(
            all(y <= x for x, y in zip(a, b, strict=True)) and any(y < x for x, y in zip(a, b, strict=True))
            for b in losses
        )

    return [not beaten(a) for a in losses]


def save(exploration: Exploration, folder: Path) -> tuple[Path, Path]:
    """Write ``exploration.json`` and ``points.csv``, each whole or not at all."""
    as_json, as_csv = folder / FILE, folder / "points.csv"
    write_text(as_json, json.dumps({"format": FORMAT, **asdict(exploration)}, indent=1) + "\n")
    write_text(as_csv, _table(exploration))
    return as_json, as_csv


def _table(exploration: Exploration) -> str:
    settings = list(exploration.dimensions)
    figures = list(dict.fromkeys(f for s in exploration.searches for p in s.points for f in p.figures))
    rows = []
    head = ("model", "technology", "dram", "clock_mhz", "point")
    tail = ("front", "rtl_cycles", "rtl_deviation", "rtl_values_different", "refusal")
    for search in exploration.searches:
        for point in search.points:
            seen = point.confirmation
            measured = (
                ("", "", "") if seen is None else (seen.cycles, f"{seen.deviation:.6f}", seen.different)
            )
            rows.append(
                [
                    *(search.model, search.technology, search.dram, search.clock_mhz, point.number),
                    *(point.settings.get(name, "") for name in settings),
                    *(point.figures.get(name, "") for name in figures),
                    *(int(point.front), *measured, point.refusal),
                ]
            )
    return csv_table([*head, *settings, *figures, *tail], rows)


def load(path: str | Path) -> Exploration:
    """The exploration of a file, or of a folder that holds one. Raises ReportError."""
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"Cannot read the exploration {path}: {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ReportError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ReportError(f"{path} is not an exploration in the format {FORMAT}")
    try:
        return structured(Exploration, data, "it")
    except ReportError as error:
        raise ReportError(f"{path} is not a complete exploration: {error}") from None
