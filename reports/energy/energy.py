"""Energy of a run: the hardware's events times what each costs, and static power times time; in ranges.

    energy = sum over events (count * joules) + DRAM bits * joules + static power * cycles / clock

Counts are the hardware's counters, measured in RTL or predicted by the cycle model. Every counter has a cost or is
declared not to be an event (``event_costs.NO_ENERGY``); one that is neither is an error. Without host, regulators, I/O
pads and idle DRAM (docs/energy.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite

from vitreous.reports.energy.event_costs import (
    NO_ENERGY,
    PJ,
    STATIC_FORMULA,
    event_costs,
    static_power,
    with_values,
)
from vitreous.reports.energy.technology import ZERO, Range, Technology, load_dram
from vitreous.reports.errors import ReportError
from vitreous.reports.figures.ports import DRAM_PORTS
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import COUNTERS

STATIC, TIME = "static", "time"
DRAM, DRAM_FORMULA = "DRAM", "b bits of a beat, each at the energy of a bit of the DRAM"


@dataclass(frozen=True)
class EnergyPart:
    """``joules`` of ``unit`` for all its ``events`` (a counter's name, or ``TIME``); ``how``: the formula."""

    unit: str
    events: str
    joules: Range
    how: str


@dataclass(frozen=True)
class Energy:
    """Energy of one run. ``parts`` add up to ``total``; ``seconds`` is its time at ``clock_mhz``."""

    technology: str
    dram: str
    clock_mhz: float
    seconds: float
    parts: tuple[EnergyPart, ...]

    @cached_property
    def total(self) -> Range:
        return sum((part.joules for part in self.parts), start=ZERO)

    @cached_property
    def by_unit(self) -> dict[str, Range]:
        """Joules of each unit, all its events together, in the order of ``parts``."""
        units: dict[str, Range] = {}
        for part in self.parts:
            units[part.unit] = units.get(part.unit, ZERO) + part.joules
        return units

    @property
    def power_w(self) -> Range:
        """Mean power during the run."""
        return self.total / self.seconds


@dataclass(frozen=True)
class LayerEnergy:
    """``dynamic``: events of the layer's own instructions; ``static``: clock and static power in its ``cycles``."""

    label: str
    cycles: int
    dynamic: Range
    static: Range

    @property
    def total(self) -> Range:
        return self.dynamic + self.static


def _check_counters(counters: Mapping[str, int], costed: set[str]) -> None:
    names = {name for name, _ in COUNTERS}
    for name in sorted(names | set(counters)):
        if name not in costed and name not in NO_ENERGY:
            raise ReportError(f"Event {name!r} has no cost and is not declared as one without energy")
    missing = sorted(names - set(counters))
    if missing:
        raise ReportError(f"The counters lack {', '.join(missing)}: their energy would be missing")
    if counters["cycles"] <= 0:
        raise ReportError(f"A run must have at least one cycle, not {counters['cycles']}")


def _check_clock(clock_mhz: float) -> None:
    if not (isfinite(clock_mhz) and clock_mhz > 0):
        raise ReportError(f"The clock must be a positive number of MHz, not {clock_mhz}")


def energy(
    counters: Mapping[str, int],
    config: AcceleratorConfig,
    technology: Technology,
    *,
    dram: str,
    clock_mhz: float,
) -> Energy:
    """Energy of a run with these ``counters`` (all of ``isa.COUNTERS``) on ``config``.

    dram : a name of ``named_drams`` or a TOML file. Raises ReportError for an event without a cost, a counter that is
    missing, or an invalid clock.
    """
    _check_clock(clock_mhz)
    costs = event_costs(config, technology)
    _check_counters(counters, {cost.event for cost in costs})
    seconds = counters["cycles"] / (clock_mhz * 1e6)
    kind, bits = load_dram(dram), config.bus.data_bits
    how = with_values(DRAM_FORMULA, f"b = {bits}")
    return Energy(
        technology=technology.name,
        dram=kind.name,
        clock_mhz=clock_mhz,
        seconds=seconds,
        parts=(
            *(EnergyPart(c.unit, c.event, c.joules * counters[c.event], c.how) for c in costs),
            *(
                EnergyPart(DRAM, name, kind.bit_pj * (PJ * bits * counters[name]), how)
                for name in DRAM_PORTS.values()
            ),
            EnergyPart(STATIC, TIME, static_power(config, technology) * seconds, STATIC_FORMULA),
        ),
    )


def layer_energy(
    events: Mapping[str, Mapping[str, int]],
    cycles: Mapping[str, int],
    config: AcceleratorConfig,
    technology: Technology,
    *,
    dram: str,
    clock_mhz: float,
) -> tuple[LayerEnergy, ...]:
    """A row for each label of ``cycles`` (label -> cycles that the layer owns) and of ``events`` (label -> counts of
    its instructions, without ``cycles``), in their order.

    The rows add up to ``energy`` of the same run, where ``cycles`` add up to its cycles.
    """
    _check_clock(clock_mhz)
    costs: dict[str, Range] = {}
    for cost in event_costs(config, technology):
        costs[cost.event] = costs.get(cost.event, ZERO) + cost.joules
    for name in DRAM_PORTS.values():
        costs[name] = costs[name] + load_dram(dram).bit_pj * (PJ * config.bus.data_bits)
    a_cycle = costs.pop("cycles") + static_power(config, technology) / (clock_mhz * 1e6)
    rows = []
    for label in dict.fromkeys([*cycles, *events]):
        counts, owned = events.get(label, {}), cycles.get(label, 0)
        dynamic = sum((costs[name] * count for name, count in counts.items()), start=ZERO)
        rows.append(LayerEnergy(label=label, cycles=owned, dynamic=dynamic, static=a_cycle * owned))
    return tuple(rows)
