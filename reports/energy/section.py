"""The report's energy: by unit and by layer on one technology, and the same run on every shipped technology.

From the first image's counters, which are measured; energies of events are published, fitted or assumed, hence
ranges. With the clock of the report, which is the same for all technologies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vitreous.reports.energy.energy import Energy, LayerEnergy, energy, layer_energy
from vitreous.reports.energy.technology import (
    DEFAULT_DRAM,
    DEFAULT_TECHNOLOGY,
    Range,
    Technology,
    load_dram,
    load_technology,
    named_technologies,
)
from vitreous.reports.figures.events import Events
from vitreous.reports.figures.figures import TAIL, LayerRow
from vitreous.reports.record.record import Record


@dataclass(frozen=True, kw_only=True)
class EnergyChoice:
    """Names, or files, of the technology and the DRAM that a report takes."""

    technology: str = DEFAULT_TECHNOLOGY
    dram: str = DEFAULT_DRAM


@dataclass(frozen=True, kw_only=True)
class UnitEnergy:
    """All events of one unit together; ``share`` of the typical total. ``how``: its formulas."""

    unit: str
    joules: Range
    share: float
    how: str


@dataclass(frozen=True, kw_only=True)
class TechnologyRow:
    """The same run on one technology: joules of an image, watts while it runs, joules of a MAC of the model."""

    name: str
    title: str
    joules: Range
    watts: Range
    joules_per_mac: Range | None


@dataclass(frozen=True, kw_only=True)
class LayerEnergyRow:
    """Joules of a layer: ``dynamic`` of its instructions' events, ``static`` of the cycles that it owns."""

    label: str
    dynamic: Range
    static: Range
    total: Range
    share: float


@dataclass(frozen=True, kw_only=True)
class EnergySection:
    """Of the first image. ``units`` and ``layers`` each add up to ``total``; without spans there are no layers."""

    technology: str
    title: str
    dram: str
    dram_title: str
    seconds: float
    total: Range
    power_w: Range
    units: tuple[UnitEnergy, ...]
    layers: tuple[LayerEnergyRow, ...]
    technologies: tuple[TechnologyRow, ...]
    detail: Energy


def _units(found: Energy) -> tuple[UnitEnergy, ...]:
    events: dict[str, dict[str, list[str]]] = {}  # by unit and formula
    for part in found.parts:
        events.setdefault(part.unit, {}).setdefault(part.how, []).append(part.events)
    total = found.total.typical
    return tuple(
        UnitEnergy(
            unit=unit,
            joules=joules,
            share=joules.typical / total,
            how="; ".join(f"{', '.join(names)}: {how}" for how, names in events[unit].items()),
        )
        for unit, joules in found.by_unit.items()
    )


def _layers(
    record: Record,
    rows: Sequence[LayerRow],
    events: Events,
    technology: Technology,
    dram: str,
    found: Energy,
) -> tuple[LayerEnergyRow, ...]:
    """What belongs to no layer, such as END, is with the cycles after the last product."""
    if not rows:
        return ()
    cycles = {row.label: row.cycles for row in rows}
    owned: dict[str, Counter[str]] = {}
    for label, counts in events.layers.items():
        owned.setdefault(label if label in cycles else TAIL, Counter()).update(counts)
    parts: Sequence[LayerEnergy] = layer_energy(
        owned, cycles, record.accelerator, technology, dram=dram, clock_mhz=found.clock_mhz
    )
    total = found.total.typical
    return tuple(
        LayerEnergyRow(
            label=part.label,
            dynamic=part.dynamic,
            static=part.static,
            total=part.total,
            share=part.total.typical / total,
        )
        for part in parts
    )


def energy_section(
    record: Record, rows: Sequence[LayerRow], events: Events, clock_mhz: float, choice: EnergyChoice
) -> EnergySection:
    """``rows`` : the report's layer table; ``events`` : of its program.

    Raises ReportError for an unknown technology or DRAM.
    """
    counters, config = record.simulation.images[0].counters, record.accelerator
    chosen = load_technology(choice.technology)
    found = energy(counters, config, chosen, dram=choice.dram, clock_mhz=clock_mhz)
    others = [load_technology(name) for name in named_technologies() if name != chosen.name]
    compared = []
    for technology in (chosen, *others):
        run = energy(counters, config, technology, dram=choice.dram, clock_mhz=clock_mhz)
        compared.append(
            TechnologyRow(
                name=technology.name,
                title=technology.title,
                joules=run.total,
                watts=run.power_w,
                joules_per_mac=run.total / record.model.macs if record.model.macs else None,
            )
        )
    return EnergySection(
        technology=chosen.name,
        title=chosen.title,
        dram=found.dram,
        dram_title=load_dram(choice.dram).title,
        seconds=found.seconds,
        total=found.total,
        power_w=found.power_w,
        units=_units(found),
        layers=_layers(record, rows, events, chosen, choice.dram, found),
        technologies=tuple(compared),
        detail=found,
    )
