"""What a design must keep: figures that have a largest or a least value, and a device that it must fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vitreous.errors import RunError
from vitreous.explore.entries import number, only
from vitreous.reports.area.devices import DEVICES

AREA = ("lut", "ff", "dsp", "bram", "uram", "um2", "bits", "area")
"""Figures that are known before anything is compiled: a design that is too large costs milliseconds."""
AT_MOST = (*AREA, "latency_ms", "energy_mj", "power_w")
AT_LEAST = ("accuracy", "agreement", "fidelity_db")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """``most`` and ``least`` by figure; ``device`` is where the area's share of ``most`` comes from, if from one."""

    most: Mapping[str, float] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)
    device: str = ""

    def excesses(self, figures: Mapping[str, float], names: Iterable[str] | None = None) -> dict[str, float]:
        """For each limited figure that is known, by how much of the limit it is broken; at most 0 where it holds."""
        wanted = None if names is None else set(names)
        found = {}
        for limits, sign in ((self.most, 1.0), (self.least, -1.0)):
            for name, limit in limits.items():
                if name in figures and (wanted is None or name in wanted):
                    found[name] = sign * (figures[name] - limit) / (limit or 1)
        return found

    def refusal(self, figures: Mapping[str, float], names: Iterable[str] | None = None) -> str:
        """What is broken, as a sentence; empty where everything holds."""
        parts = []
        for name, excess in self.excesses(figures, names).items():
            if excess > 0:
                above = name in self.most
                limit = self.most[name] if above else self.least[name]
                owner = f" of {self.device}" if self.device and name in DEVICES[self.device].resources else ""
                word = "more" if above else "less"
                parts.append(f"{name} {figures[name]:,.6g} is {word} than the {limit:,.6g}{owner}")
        return "; ".join(parts)


def read_limits(table: object, family: str) -> Limits:
    """The limits of ``[constraints]``. Raises RunError."""
    only(table, ("device", *AT_MOST, *AT_LEAST), "constraints")
    assert isinstance(table, Mapping)
    device = table.get("device", "")
    most: dict[str, float] = {}
    if device:
        if device not in DEVICES:
            raise RunError(f"Unknown constraints.device {device!r}; known are {', '.join(DEVICES)}")
        if DEVICES[device].family != family:
            raise RunError(
                f"The device {device} needs technology.area = {DEVICES[device].family!r}, not {family!r}"
            )
        most |= DEVICES[device].resources
    for name in AT_MOST:
        if name in table:
            most[name] = number(table, name, float, low=1e-9, where="constraints.")
    least = {
        name: number(table, name, float, low=1e-9, where="constraints.") for name in AT_LEAST if name in table
    }
    return Limits(most=most, least=least, device=device)
