"""Clocks that were estimated before: those that ship, and those in the user's cache, each of one RTL.

The RTL follows from the configuration and the sources of ``hw`` and ``spec``: a result of other sources is never taken
for one of today's.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vitreous.reports.errors import ReportError
from vitreous.reports.json_file import check_format, structured
from vitreous.reports.synthesis.kept import read_kept
from vitreous.reports.timing.delays import Delays, load_delays, named_delays
from vitreous.reports.timing.result import Timing
from vitreous.reports.timing.standard_cells import CellDelays
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.digest import code_digest, source_digest

MEASURED = Path(__file__).parent / "measured.json"
FORMAT = "vitreous.timings/1"
KEPT_FORMAT = "vitreous.timing/1"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A result that ships. configuration : digest of the hardware fields; sources : ``sources()`` of that day."""

    accelerator: str
    configuration: str
    sources: str
    timing: Timing


@dataclass(frozen=True, kw_only=True)
class _File:
    """measured.json."""

    date: str
    machine: str
    command: str
    runs: tuple[Measured, ...]


@dataclass(frozen=True, kw_only=True)
class ClockEstimate:
    """The clock of an accelerator on one target. clock_mhz, low, high : None where ``reason`` says what is missing.

    how : it was obtained. worst : path, in words. blocks : the slowest, each with its period in ns.
    """

    target: str
    title: str
    clock_mhz: float | None
    low: float | None
    high: float | None
    how: str
    worst: str
    reason: str


def sources() -> str:
    """Of the hardware of today."""
    return source_digest("hw", "spec")[:16]


@lru_cache
def shipped(path: Path = MEASURED) -> tuple[Measured, ...]:
    """Every result of the file. Raises ReportError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"Cannot read the timings {path}: {error}") from None
    check_format(data, FORMAT, f"{path} has")
    return structured(_File, data, str(path)).runs


def kept_path(config: AcceleratorConfig, delays: Delays | CellDelays, cache: Path) -> Path:
    """Where the result of an accelerator on a target is kept: of today's RTL, delays and analysis."""
    facts = "\0".join((KEPT_FORMAT, sources(), delays.digest, code_digest("reports/timing")))
    key = hashlib.sha256(facts.encode()).hexdigest()[:16]
    return cache / f"timing-{delays.name.replace(':', '-')}-{config.digest}-{key}.json"


def kept(config: AcceleratorConfig, delays: Delays | CellDelays, cache: Path) -> Timing | None:
    """What an earlier run found for today's RTL; None where none did."""
    return read_kept(Timing, kept_path(config, delays, cache), KEPT_FORMAT)


def estimates(config: AcceleratorConfig, cache: Path | None = None) -> tuple[ClockEstimate, ...]:
    """One for every target. ``cache``: a folder of results beside those that ship."""
    return tuple(_estimate(config, load_delays(name), cache) for name in named_delays())


def _estimate(config: AcceleratorConfig, delays: Delays, cache: Path | None) -> ClockEstimate:
    command = f"`vitreous timing --accelerator {config.name} --target {delays.name}` estimates it"
    of_this = [
        run for run in shipped() if run.configuration == config.digest and run.timing.target == delays.name
    ]
    for run in of_this:
        if run.sources == sources() and run.timing.delays == delays.digest:
            return _known(delays, run.timing, "shipped")
    found = kept(config, delays, cache) if cache is not None else None
    if found is not None:
        return _known(delays, found, "kept in the cache of this user")
    state = "what ships is of another RTL, " if of_this else ""
    return ClockEstimate(
        target=delays.name,
        title=delays.title,
        clock_mhz=None,
        low=None,
        high=None,
        how="",
        worst="",
        reason=state + command,
    )


def _known(delays: Delays, found: Timing, where: str) -> ClockEstimate:
    return ClockEstimate(
        target=delays.name,
        title=delays.title,
        clock_mhz=found.clock_mhz,
        low=found.low,
        high=found.high,
        how=(
            f"static timing analysis of the netlist of {found.tool}, {found.model_ns:g} ns in the model times "
            f"{found.factor:g} ({found.low_factor:g} to {found.high_factor:g}), not placed or routed; {where}"
        ),
        worst=found.paths[0].words,
        reason="",
    )
