"""FPGAs that an accelerator can be meant for, what they have, and how much of it an area takes, with its error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from vitreous.reports.area.area import Area


@dataclass(frozen=True, kw_only=True)
class Device:
    """What an FPGA has, in the units of ``reports.synthesis.synthesis``. family : the target of
    ``reports.area.area``. board : one that carries it."""

    family: str
    board: str
    resources: Mapping[str, float]


DEVICES: Mapping[str, Device] = {
    # AMD DS987, Kria K26: 144 block RAMs of 36 Kbit.
    "xck26": Device(
        family="xcup",
        board="Kria K26",
        resources={"lut": 117120, "ff": 234240, "dsp": 1248, "bram": 288, "uram": 64},
    ),
    # AMD DS891, ZCU102 and ZCU104.
    "xczu7ev": Device(
        family="xcup",
        board="ZCU104",
        resources={"lut": 230400, "ff": 460800, "dsp": 1728, "bram": 624, "uram": 96},
    ),
    "xczu9eg": Device(
        family="xcup",
        board="ZCU102",
        resources={"lut": 274080, "ff": 548160, "dsp": 2520, "bram": 1824, "uram": 0},
    ),
    # Lattice FPGA-DS-02012, ECP5.
    "lfe5u-85": Device(
        family="ecp5", board="ULX3S", resources={"lut": 83640, "ff": 83640, "dsp": 156, "bram": 208}
    ),
}

COMPOSED: Mapping[str, Mapping[str, float]] = {
    "xcup": {"lut": 0.035, "ff": 0.008, "dsp": 0.0, "bram": 0.014},
    "ecp5": {"lut": 0.152, "ff": 0.010, "dsp": 0.0, "bram": 0.013},
}
"""``pieces / whole - 1`` by target and column: the sum of the pieces of edge64 against one run of Yosys on the whole
machine (docs/results/area.md). What a sum of pieces is known to be too large by, on this one machine."""
COUNTED = ("uram",)
"""Columns that follow from shapes alone, so that pieces and whole are the same."""

UNCHECKED = 0.05
"""Above this share of the area without a known error a device that it fits is one that it probably fits."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One resource of a device. ``used`` as composed; ``low`` and ``high`` with what is known of its error; ``of``: all
    that the device has."""

    column: str
    used: float
    low: float
    high: float
    of: float


@dataclass(frozen=True, kw_only=True)
class DeviceFit:
    """An accelerator on one device, before placement and routing.

    verdict : ``fits`` where the high ends of all resources do (``probably fits`` where nothing checks the formulas of
    more than ``UNCHECKED`` of the area), ``does not fit`` where a low end does not, else ``may not fit``.
    tightest : the column with the largest share.
    """

    device: str
    board: str
    verdict: str
    tightest: str
    taken: tuple[Taken, ...]


def fits(area: Area) -> tuple[DeviceFit, ...]:
    """On every device of the area's family, the smallest first."""
    chosen = [(name, device) for name, device in DEVICES.items() if device.family == area.target]
    chosen.sort(key=lambda entry: entry[1].resources["lut"])
    return tuple(_fit(area, name, device) for name, device in chosen)


def _fit(area: Area, name: str, device: Device) -> DeviceFit:
    """Of what the accelerator has: one without UltraRAM says nothing of a device's."""
    resources = ((column, of) for column, of in device.resources.items() if column in area.columns)
    taken = tuple(_taken(area, column, of) for column, of in resources)
    if all(part.high <= part.of for part in taken):
        verdict = "probably fits" if area.unchecked_share > UNCHECKED else "fits"
    else:
        verdict = "does not fit" if any(part.low > part.of for part in taken) else "may not fit"
    tightest = max(taken, key=lambda part: part.used / part.of if part.of else math.inf)
    return DeviceFit(device=name, board=device.board, verdict=verdict, tightest=tightest.column, taken=taken)


def _taken(area: Area, column: str, of: float) -> Taken:
    used = float(getattr(area.total, column) or 0)
    error = area.errors.get(column, 0.0)
    above = 0.0 if column in COUNTED else COMPOSED[area.target][column]
    return Taken(
        column=column, used=used, low=used * (1 - error) / (1 + above), high=used * (1 + error), of=of
    )
