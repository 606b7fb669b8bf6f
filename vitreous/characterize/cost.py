"""What a hardware unit takes in an FPGA, alone and for each lane: Amaranth to RTLIL to ``reports.synthesis.synthesis``.

A run of Yosys takes seconds for a unit and minutes for the whole compute path; results are kept in a cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.errors import RunError
from vitreous.reports.synthesis.synthesis import Family, Resources, synthesize
from vitreous.spec.folders import SYNTHESIS

COLUMNS = ("lut", "ff", "dsp", "bram", "carry")


@dataclass(frozen=True, kw_only=True)
class LaneCost:
    """``cost(lanes) = shared + lanes * lane`` through two widths, for each column of ``COLUMNS``.

    depth : logic levels, the larger of both widths. narrow, wide : the two measurements; widths : their lanes.
    """

    lane: dict[str, float]
    shared: dict[str, float]
    depth: int
    widths: tuple[int, int]
    narrow: Resources
    wide: Resources


def rtlil(component: Any, name: str, platform: object = None) -> str:
    """The RTLIL of an Amaranth component, without paths of this machine: the same text for the same component.

    ``platform`` is what the component is elaborated for, as ``hw.matrix.dsp48e2.UltraScalePlus()``; None for any.
    """
    from amaranth.back import rtlil as back

    text: str = back.convert(component, platform=platform, name=name, emit_src=False)
    return text


def unit_cost(
    factory: Callable[[], Any], name: str, family: Family, *, cache: str | Path = SYNTHESIS
) -> Resources:
    """Resources of the component that ``factory`` makes, mapped alone under ``name``. Raises ReportError."""
    return synthesize(rtlil(factory(), name), top=name, family=family, cache=cache)


def per_lane(
    factory: Callable[[int], Any],
    name: str,
    family: Family,
    *,
    lanes: tuple[int, int] = (4, 8),
    cache: str | Path = SYNTHESIS,
) -> LaneCost:
    """Cost of one lane of a unit that ``factory`` makes for a number of lanes, and of what its lanes share.

    ``lane = (cost(b) - cost(a)) / (b - a)`` and ``shared = cost(a) - a * lane`` for ``lanes = (a, b)``. A table that
    the mapper repeats for each lane is in ``lane``; ``shared`` can be negative where a wider unit maps better or worse.
    Raises RunError unless ``0 < a < b``, and ReportError.
    """
    narrow_lanes, wide_lanes = lanes
    if not 0 < narrow_lanes < wide_lanes:
        raise RunError(f"The two numbers of lanes must be positive and ascending, not {lanes}")
    narrow, wide = (unit_cost(lambda n=n: factory(n), name, family, cache=cache) for n in lanes)  # type: ignore[misc]
    slope = {c: (getattr(wide, c) - getattr(narrow, c)) / (wide_lanes - narrow_lanes) for c in COLUMNS}
    return LaneCost(
        lane=slope,
        shared={c: getattr(narrow, c) - narrow_lanes * slope[c] for c in COLUMNS},
        depth=max(narrow.depth, wide.depth),
        widths=lanes,
        narrow=narrow,
        wide=wide,
    )
