"""The comparison of the nonlinear units: its data, as it lies in `units.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vitreous.reports.errors import ReportError
from vitreous.reports.json_file import check_format, structured
from vitreous.spec.config import AcceleratorConfig

FORMAT = "vitreous.units/1"
FILE = Path(__file__).absolute().parent / "units.json"
"""The comparison that comes with the project, made by `make units`."""
COLUMNS = ("lut", "ff", "dsp", "bram")


@dataclass(frozen=True, kw_only=True)
class PartCost:
    """A part of a unit in one family: cost of one lane, of what its lanes share, and logic levels."""

    part: str
    family: str
    lane: Mapping[str, float]
    shared: Mapping[str, float]
    depth: int


@dataclass(frozen=True, kw_only=True)
class ScoreError:
    """Softmax on one distribution of scores, as ``SOURCES`` says."""

    distribution: str
    what: str
    largest: float
    unit: float
    mean: float
    sum_least: float
    sum_largest: float


@dataclass(frozen=True, kw_only=True)
class UnitRow:
    """One variant with its formats. None: the figure has no meaning for it. ``mean``: by distribution.

    curve : pairs of an input and the largest error around it.
    """

    name: str
    function: str
    variant: str
    formats: str
    default: bool
    latency: str
    throughput: str
    safe: str
    error_unit: str
    largest: float | None
    mean: Mapping[str, float]
    rounded: float | None
    scores: Sequence[ScoreError]
    cost: Sequence[PartCost]
    correct: int | None
    layer: float | None
    curve: Sequence[tuple[float, float]] = ()

    def total(self, family: str) -> dict[str, float] | None:
        """Cost of a lane over all parts, and ``depth``, the deepest; None where the family was not synthesized."""
        parts = [part for part in self.cost if part.family == family]
        if not parts:
            return None
        lane = {c: sum(part.lane[c] for part in parts) for c in COLUMNS}
        return {**lane, "depth": max(part.depth for part in parts)}


@dataclass(frozen=True, kw_only=True)
class Units:
    """All variants. images : test images of the shipped model; references : correct ones of float and of the graph
    with one function in float64. distributions : their names in words. tool : the Yosys of the costs.
    """

    rows: Sequence[UnitRow]
    images: int
    references: Mapping[str, int]
    distributions: Mapping[str, str]
    tool: str
    sources: Mapping[str, str]
    versions: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self)}

    def of(self, *functions: str) -> list[UnitRow]:
        return [row for row in self.rows if row.function in functions]


def from_dict(data: Mapping[str, Any]) -> Units:
    """The inverse of ``Units.as_dict``. Raises ReportError on data of another kind."""
    check_format(data, FORMAT, "The comparison of units has")
    try:
        return structured(Units, data, "it")
    except ReportError as error:
        raise ReportError(f"The comparison of units is damaged: {error}") from None


def of_accelerator(units: Units, config: AcceleratorConfig) -> Units:
    """The same with the variants of an accelerator marked in place of the defaults, whatever their formats."""
    chosen = {
        ("softmax", config.softmax.variant),
        (config.activation.function, config.activation.variant),
        ("layer norm", config.norm.variant),
    }
    return replace(
        units, rows=tuple(replace(row, default=(row.function, row.variant) in chosen) for row in units.rows)
    )


def load(path: Path = FILE) -> Units | None:
    """The comparison that comes with the project; None where there is none. Raises ReportError when it is damaged."""
    try:
        return from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ReportError(f"{path}: {error}") from None
