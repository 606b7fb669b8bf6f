"""The report's clock: the estimate of every target that has one for this RTL, beside the clock of the latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vitreous.reports.timing.measured import ClockEstimate, estimates
from vitreous.spec import folders
from vitreous.spec.config import AcceleratorConfig

TARGETS: Mapping[str, str] = {"fpga-ultrascale-plus": "xcup-2"}
"""The target on which a technology's machine would run; a technology that is not here has no delays."""


def clock_section(config: AcceleratorConfig) -> tuple[ClockEstimate, ...]:
    """All targets, those without an estimate with the command that makes one."""
    return estimates(config, folders.SYNTHESIS)


def clock_note(found: Sequence[ClockEstimate], clock_mhz: float, technology: str) -> str:
    """What the estimate for a technology's target says about the clock that latencies are computed with."""
    target = TARGETS.get(technology)
    one = next((row for row in found if row.target == target), None)
    if one is None:
        return f"no clock is estimated for {technology}"
    if one.clock_mhz is None or one.low is None or one.high is None:
        return f"not estimated on {one.title}: {one.reason}"
    said = f"estimated on {one.title}: {one.clock_mhz:.0f} MHz, {one.low:.0f} to {one.high:.0f}"
    return f"above the range of what is {said}" if clock_mhz > one.high else said


def too_fast(found: Sequence[ClockEstimate], clock_mhz: float, technology: str) -> bool:
    """Whether the clock is above the range of the technology's target."""
    target = TARGETS.get(technology)
    return any(row.target == target and row.high is not None and clock_mhz > row.high for row in found)
