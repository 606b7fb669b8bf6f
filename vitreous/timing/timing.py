"""The clock of an accelerator on a target: RTL, Yosys, static timing analysis. Every step is kept in a cache."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vitreous.area.cut import TOP, whole
from vitreous.reports.synthesis import mapping
from vitreous.reports.synthesis.kept import read_kept, write_kept
from vitreous.reports.synthesis.synthesis import tool
from vitreous.reports.timing.delays import Delays
from vitreous.reports.timing.result import Timing
from vitreous.reports.timing.timing import timing
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.digest import code_digest
from vitreous.spec.folders import SYNTHESIS

FORMAT = "vitreous.timing/1"


def rtl(config: AcceleratorConfig, delays: Delays, cache: str | Path = SYNTHESIS) -> str:
    """The RTLIL of the accelerator for the family of ``delays``."""
    return whole(config, cache, target=delays.family)


def digest(text: str) -> str:
    """Of an RTLIL text: two accelerators with the same one are the same circuit."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def kept(text: str, delays: Delays, cache: str | Path = SYNTHESIS) -> Timing | None:
    """What an earlier run found for this text, these delays, this Yosys and this analysis; None where none did."""
    return read_kept(Timing, _path(text, delays, Path(cache)), FORMAT)


def measure(text: str, delays: Delays, *, cache: str | Path = SYNTHESIS) -> Timing:
    """Map the accelerator whose RTLIL is ``text`` and analyse its timing: minutes, or a second where it is kept.

    Raises ReportError.
    """
    found = kept(text, delays, cache)
    if found is not None:
        return found
    module = mapping.mapped(text, top=TOP, family=delays.family, cache=cache)
    found = timing(module, delays, rtl=digest(text), tool=tool())
    write_kept(_path(text, delays, Path(cache)), found, FORMAT)
    return found


def _path(text: str, delays: Delays, cache: Path) -> Path:
    facts = (
        FORMAT,
        tool(),
        mapping.script(TOP, delays.family),
        delays.digest,
        code_digest("reports/timing"),
        text,
    )
    key = hashlib.sha256("\0".join(facts).encode()).hexdigest()
    return cache / f"timing-{delays.name}-{key[:24]}.json"
