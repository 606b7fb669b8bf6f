"""The clock that every machine of ours must reach on a target, by the estimate of ``reports.timing.timing``.

A change that misses it fails a test, with the path. The figures here are the ones to raise when paths have been cut.
"""

from __future__ import annotations

from collections.abc import Mapping

BUDGETS_MHZ: Mapping[str, float] = {"xcup-2": 300.0, "xc7-1": 110.0, "xc7-2": 165.0, "ecp5": 55.0}
"""By target."""
