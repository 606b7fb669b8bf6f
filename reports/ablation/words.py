"""What the templates of an ablation need: on a page of its own, and on a run's."""

from __future__ import annotations

from typing import Any

from vitreous.reports.ablation.ablation import Ablation
from vitreous.reports.area.area import COLUMN_NAMES


def words(table: Ablation | None, rtl_how: str) -> dict[str, Any]:
    """``rtl_how``: what cycles of a simulated row are on this page, in a word of ``reports.record.provenance``."""
    if table is None:
        return {}
    factors = [table.factors(row)[name] - 1 for row in table.rows for name in ("latency", "energy")]
    return {
        "most_factor": max(factors) if max(factors) > 0 else 1.0,
        "rtl_how": rtl_how,
        "column_names": COLUMN_NAMES,
        "candidates": [c for row in table.rows if row.order == "alone" for c in row.candidates],
    }
