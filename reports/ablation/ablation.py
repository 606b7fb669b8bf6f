"""An ablation as data: what the accelerator costs with each optimization switched off.

``vitreous ablate`` writes ``ablation.json`` and ``ablation.csv``; this module is their one writer, and the reader.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vitreous.reports.energy.technology import Range
from vitreous.reports.errors import ReportError
from vitreous.reports.json_file import check_format, structured
from vitreous.reports.tables import csv_table
from vitreous.spec.storage import write_text

FORMAT = "vitreous.ablation/1"
FILE = "ablation.json"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One way to build dedicated units that was considered. ``overlapped``: one head's projections beside the attention
    of the previous head. area : of the whole accelerator, by column; empty where it is a bound, not an accelerator."""

    linear: str
    attention: str
    overlapped: bool
    cycles: int
    area: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class AblationRow:
    """One accelerator of the table, with what its numbers mean.

    name : the optimization that is off; ``change`` what is there instead; ``order``: ``baseline``, ``alone``, or
    ``cumulative``, where it is off together with those of the previous rows.
    cycles : of one image, from the RTL where ``cycles_how`` is measured. predicted : by the cycle model, or composed
    from it. energy : in joules. area : by column (``reports.area.area.COLUMNS``), empty where it was not
    measured. dram_bytes : that the bus moved.
    same_results : the same bits as the baseline. compared, different : values of the RTL's result against golden.
    Every row has the same clock: what a unit does to the critical path is not in the table.
    """

    name: str
    change: str
    method: str
    order: str
    cycles: int
    predicted: int
    cycles_how: str
    latency_ms: float
    energy: Range
    dram_bytes: int
    area: Mapping[str, float]
    area_how: str
    same_results: bool
    compared: int = 0
    different: int = 0
    candidates: tuple[Candidate, ...] = ()

    @property
    def deviation(self) -> float | None:
        """``predicted / measured - 1`` of the cycles, where they were measured."""
        return self.predicted / self.cycles - 1 if self.cycles_how == "measured" else None


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """The whole table. The first of ``rows`` is the baseline; ``config`` is its ``AcceleratorConfig.as_dict``."""

    model: str
    model_source: str
    accelerator: str
    config: Mapping[str, Any]
    technology: str
    dram: str
    clock_mhz: float
    clock_source: str
    memory_latency: int
    memory_throughput: int
    target: str
    rows: tuple[AblationRow, ...]
    versions: Mapping[str, str]

    @property
    def baseline(self) -> AblationRow:
        return self.rows[0]

    def factors(self, row: AblationRow) -> dict[str, float]:
        """``row / baseline`` of latency, typical energy and every column of area that the baseline has some of."""
        base = self.baseline
        area = {c: row.area[c] / value for c, value in base.area.items() if value and c in row.area}
        return {
            "latency": row.cycles / base.cycles,
            "energy": row.energy.typical / base.energy.typical,
            **area,
        }

    def as_dict(self) -> dict[str, Any]:
        rows = [
            {**asdict(row), "deviation": row.deviation, "factors": self.factors(row)} for row in self.rows
        ]
        return {"format": FORMAT, **asdict(self), "rows": rows}


def from_dict(data: Any) -> Ablation:
    """The inverse of ``as_dict``. Raises ReportError on data of another kind."""
    check_format(data, FORMAT, "The ablation has")
    computed = ("deviation", "factors")
    try:
        rows = [{key: value for key, value in row.items() if key not in computed} for row in data["rows"]]
        return structured(Ablation, {**data, "rows": rows}, "it")
    except (KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"The ablation is damaged: {error!r}") from None
    except ReportError as error:
        raise ReportError(f"The ablation is damaged: {error}") from None


def load(path: Path) -> Ablation:
    """Read ``ablation.json``. Raises ReportError."""
    try:
        return from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ReportError(f"Cannot read {path}: {error}") from None


def csv_text(ablation: Ablation) -> str:
    """A line for each row, with a line of headings; energies in joules."""
    columns = list(ablation.baseline.area)
    heads = ["order", "off", "instead", "cycles", "cycles_how", "predicted_cycles", "latency_ms", "energy_low_j",
             "energy_j", "energy_high_j", "dram_bytes", *columns, "latency_factor", "energy_factor",
             *(f"{c}_factor" for c in columns), "same_results"]  # fmt: skip
    rows = []
    for r in ablation.rows:
        f = ablation.factors(r)
        rows.append(
            [r.order, r.name, r.change, r.cycles, r.cycles_how, r.predicted, r.latency_ms, r.energy.low,
             r.energy.typical, r.energy.high, r.dram_bytes, *(r.area.get(c, "") for c in columns), f["latency"],
             f["energy"], *(f.get(c, "") for c in columns), r.same_results]
        )  # fmt: skip
    return csv_table(heads, rows)


def markdown(ablation: Ablation) -> str:
    """The table for a reader: a line for each row, factors in brackets."""
    columns = [c for c in ablation.baseline.area if c != "bits"]
    names = " | ".join(c.upper() for c in columns)
    lines = [
        f"| | off | instead | cycles | ms | energy, mJ | DRAM, MB | {names} | cycles from |",
        "| --- " * (8 + len(columns)) + "|",
    ]
    for row in ablation.rows:
        factors = ablation.factors(row)
        area = " | ".join(
            _with_factor(f"{row.area[c]:,.0f}", factors.get(c)) if c in row.area else "–" for c in columns
        )
        e = row.energy
        lines.append(
            f"| {row.order} | {row.name} | {row.change} | {_with_factor(f'{row.cycles:,}', factors['latency'])} | "
            f"{row.latency_ms:.3g} | {_with_factor(f'{1e3 * e.typical:.3g}', factors['energy'])}, {1e3 * e.low:.3g} to "
            f"{1e3 * e.high:.3g} | {row.dram_bytes / 1e6:.3g} | {area} | {_how(row)} |"
        )
    return "\n".join(lines)


def _with_factor(text: str, factor: float | None) -> str:
    return text if factor is None or abs(factor - 1) < 5e-4 else f"{text} (×{factor:.3f})"


def _how(row: AblationRow) -> str:
    if row.deviation is None:
        return row.cycles_how
    return f"measured; model {100 * row.deviation:+.2f} %"


def write(ablation: Ablation, folder: Path, page: str) -> list[Path]:
    """``ablation.json``, ``ablation.csv`` and ``ablation.html`` (``page``), each whole or not at all."""
    texts = {
        FILE: json.dumps(ablation.as_dict(), indent=1),
        "ablation.csv": csv_text(ablation),
        "ablation.html": page,
    }
    return [write_text(folder / name, text) for name, text in texts.items()]
