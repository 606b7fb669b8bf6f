"""A run in a few sentences: what limits it, what one change would bring, where it fits. From recorded figures only.

A change is estimated from the first image's counters: the cycles of one cause are taken away or halved, all others
stay, and no result is below the time that the DRAM port needs for the run's beats. Second-order effects (a unit that
gets its data earlier works earlier) are left out, so these are estimates, not runs: the RTL has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vitreous.reports.area.section import TargetArea
from vitreous.reports.energy.section import EnergySection
from vitreous.reports.figures.figures import Share
from vitreous.reports.record.provenance import How
from vitreous.reports.record.record import Record
from vitreous.spec.counters import HardwareCounter

LEAST = 0.005
"""A change that saves less than this share of the cycles is not worth a line."""
MOST_CHANGES = 5
PORT_BUSY = 0.9
"""From this share of its cycles on the DRAM port counts as the limit, not the waiting for single transfers."""

CAUSES: Mapping[HardwareCounter, tuple[str, str]] = {
    HardwareCounter.MATRIX_WAIT_LOAD: (
        "waits for operands from DRAM",
        "no waits for loads: a wider bus (bus.data_bits), a faster DRAM, or more room to load ahead "
        "(memory.weight_kib)",
    ),
    HardwareCounter.MATRIX_WAIT_MATRIX: ("waits for earlier products", "no waits for earlier products"),
    HardwareCounter.MATRIX_WAIT_VECTOR: (
        "waits for the vector unit (norm, pooling)",
        "no waits for the vector unit",
    ),
    HardwareCounter.MATRIX_WAIT_STORE: ("waits for stores", "no waits for stores"),
    HardwareCounter.MATRIX_STALL_READOUT: (
        "waits for the readout of the tile before",
        "no waits for readout: longer products, or fewer lanes and more depth",
    ),
    HardwareCounter.MATRIX_STALL_PARAMETERS: (
        "waits for biases and scales",
        "no waits for biases and scales",
    ),
    HardwareCounter.MATRIX_EMPTY: ("has no instruction", "always an instruction there: fetched earlier"),
}
"""By the counter of idle cycles: what the array does instead of computing, and what a remedy would be."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change, everything else as it is. ``cycles`` of an image with it, ``factor`` times faster; ``formula`` says
    from what."""

    change: str
    cycles: float
    factor: float
    formula: str
    how: How = "modelled"


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Sentences: what limits the run, what takes the energy, where it fits; and the changes, the largest gain first."""

    limit: str
    energy: str
    fit: tuple[str, ...]
    changes: tuple[Change, ...]


def findings(
    record: Record, stalls: Sequence[Share], energy: EnergySection, area: Sequence[TargetArea]
) -> Findings:
    """``stalls``: of the first image, as ``figures.stalls`` gives them."""
    return Findings(
        limit=_limit(record, stalls),
        energy=_energy(energy),
        fit=tuple(_fit(target) for target in area if target.devices or target.reason),
        changes=_changes(record),
    )


def port_cycles(record: Record) -> float:
    """Cycles that the read port of DRAM needs for the first image's beats at the memory's throughput."""
    counters = record.simulation.images[0].counters
    beats = counters[HardwareCounter.LOAD_BEATS] + counters[HardwareCounter.FETCH_BEATS]
    return beats * 100 / record.simulation.memory_throughput


def _limit(record: Record, stalls: Sequence[Share]) -> str:
    counters = record.simulation.images[0].counters
    total, busy = counters["cycles"], counters["array_busy"]
    idle = [(counters[name], name) for name in CAUSES]
    most, cause = max(idle, key=lambda entry: entry[0])
    port = port_cycles(record) / total
    transfer = f"the read port of DRAM is busy in {port:.0%} of them"
    if busy >= max(most, total - busy):
        useful = record.model.macs / (busy * record.accelerator.array.macs_per_cycle)
        first = (
            f"The array limits this run: it is busy in {busy / total:.1%} of the cycles, {useful:.0%} of that with "
            f"the model's own products and the rest with padding and second byte planes; {transfer}."
        )
    elif cause is HardwareCounter.MATRIX_WAIT_LOAD:
        kind = (
            "the bandwidth of DRAM" if port >= PORT_BUSY else "waiting for DRAM, though not for its bandwidth"
        )
        first = f"What limits this run is {kind}: the array is busy in {busy / total:.1%} of the cycles; {transfer}."
    else:
        first = f"The array is busy in only {busy / total:.1%} of the cycles; {transfer}."
    rest = (
        ""
        if not most
        else f" When it is idle, it mostly {CAUSES[cause][0]}: {most / total:.1%} of all cycles."
    )
    return first + rest


def _energy(section: EnergySection) -> str:
    largest = max(section.units, key=lambda unit: unit.share)
    return (
        f"Most of the energy, {largest.share:.0%} of the typical value, is {largest.unit} on {section.technology} "
        f"({section.dram}); the whole may be {section.total.low / section.total.typical:.2g} to "
        f"{section.total.high / section.total.typical:.2g} times the typical value."
    )


def _fit(target: TargetArea) -> str:
    family = target.title.partition(" (")[0]
    if target.reason:
        return f"Whether it fits a device of {family} is not known: {target.reason.rstrip('.')}."
    parts = []
    for device in target.devices:
        tight = next(part for part in device.taken if part.column == device.tightest)
        share = (
            f"{tight.used / tight.of:.0%} of its"
            if tight.used <= tight.of
            else f"{tight.used:,.0f} of {tight.of:,.0f}"
        )
        parts.append(f"{device.verdict} {device.device} ({device.board}; {share} {NAMES[device.tightest]})")
    return f"On {family}, by the composed area, it {'; '.join(parts)}."


NAMES = {
    "lut": "LUTs",
    "ff": "flip-flops",
    "dsp": "DSP blocks",
    "bram": "block memories",
    "uram": "UltraRAMs",
}


def _changes(record: Record) -> tuple[Change, ...]:
    counters = record.simulation.images[0].counters
    total, busy = counters["cycles"], counters["array_busy"]
    port, rate = port_cycles(record), record.accelerator.array.macs_per_cycle
    useful = record.model.macs / rate
    found: list[tuple[str, float, str]] = [
        (CAUSES[name][1], total - counters[name], f"cycles - {name.value}") for name in CAUSES
    ]
    found += [
        (
            "an array of twice as many multipliers that pads as much",
            total - busy / 2,
            "cycles - array_busy / 2",
        ),
        (
            "sizes that the lanes divide, and 8-bit probabilities: no padding, no second byte planes",
            total - busy + useful,
            "cycles - array_busy + MAC / (N²VG)",
        ),
    ]
    made = []
    for change, cycles, formula in found:
        left = max(cycles, port)
        why = formula if left == cycles else "beats of DRAM / throughput, which then is the limit"
        made.append(Change(change=change, cycles=left, factor=total / left, formula=why))
    made.sort(key=lambda change: change.cycles)
    return tuple(change for change in made if 1 - change.cycles / total >= LEAST)[:MOST_CHANGES]
