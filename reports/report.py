"""The report: every figure of a run with its unit and its source, from recorded data and a clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, assert_never

from vitreous.reports.ablation.ablation import Ablation
from vitreous.reports.activity.activity import Activity, activities
from vitreous.reports.area.section import TargetArea, area_section
from vitreous.reports.energy.section import EnergyChoice, EnergySection, energy_section
from vitreous.reports.errors import ReportError
from vitreous.reports.exploration.exploration import Exploration
from vitreous.reports.figures import dram_bytes, figures
from vitreous.reports.figures.dram_bytes import DramBytes
from vitreous.reports.figures.events import events
from vitreous.reports.figures.figures import LayerRow, QueueRow, Share, Traffic
from vitreous.reports.figures.interval import wilson
from vitreous.reports.figures.memory_map import MemoryMap, memory_map
from vitreous.reports.figures.roofline import Roofline, roofline
from vitreous.reports.figures.schedule import Schedule, schedule
from vitreous.reports.figures.transfers import Transfer, transfers
from vitreous.reports.findings.findings import Findings, findings
from vitreous.reports.record.attention import AttentionRecord, ProbabilityRecord
from vitreous.reports.record.provenance import SOURCES, ClockSource, hows
from vitreous.reports.record.record import (
    AccuracyRecord,
    Check,
    ImagesRecord,
    LossRecord,
    QualityRecord,
    Record,
)
from vitreous.reports.timing.measured import ClockEstimate
from vitreous.reports.timing.section import clock_note, clock_section, too_fast
from vitreous.spec.images import ImageOrigin

Interval = tuple[float, float]

ASSUMED_CLOCK_MHZ = 200.0
"""The clock for latency where the user gives none: an assumption, and the report says so, beside what is estimated."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Report:
    """What a run showed. ``sources`` says for each figure how it was obtained, ``how`` the same in one word of
    ``reports.record.provenance.HOWS``.

    clock_note : what is estimated of the clock on the technology's target; clock_too_fast : whether clock_mhz is above
    its range.
    utilization : MAC of the network, each counted once, over those of the array in all cycles; occupancy : cycles in
    which the array works over all cycles.
    dram_bytes : None where the program's compiler noted no causes.
    exploration, ablation : of ``vitreous explore`` and ``vitreous ablate``, where the page shows one.
    accuracy_float, accuracy_int, agreement : fractions in 0..1, None where ``accuracy_note`` says why; each
    has its 95 % ``interval``. accuracy_test, accuracy_calibration : whose images. accuracy_caution : why these figures
    say little. output_error : relative error of the logits on calibration images, losses the three operations that cost
    most of it, saturation what is beyond its range. probabilities : why the attentions have their precision.
    """

    model: str
    model_source: str
    accelerator: str
    images_simulated: int
    equal: bool
    values_compared: int
    values_different: int
    bytes_compared: int
    bytes_different: int
    accuracy_float: float | None
    accuracy_int: float | None
    accuracy_images: int
    accuracy_note: str
    accuracy_test: ImagesRecord | None
    accuracy_calibration: ImagesRecord | None
    accuracy_caution: tuple[str, ...]
    accuracy_float_interval: Interval | None
    accuracy_int_interval: Interval | None
    agreement_interval: Interval | None
    agreement: float | None
    output_error: float | None
    output_error_images: int
    losses: tuple[LossRecord, ...]
    saturation: tuple[str, ...]
    cycles_per_image: float
    macs_per_image: int
    utilization: float
    occupancy: float
    clock_mhz: float
    clock_source: ClockSource
    clock_note: str
    clock_too_fast: bool
    latency_ms: float
    images_per_second: float
    sim_cycles_per_second: float
    simulate_seconds: float
    build_seconds: float
    build_cached: bool
    build_original_seconds: float
    memory_latency: int
    memory_throughput: int
    layers: tuple[LayerRow, ...]
    attention: tuple[AttentionRecord, ...]
    probabilities: ProbabilityRecord | None
    stalls: tuple[Share, ...]
    queues: tuple[QueueRow, ...]
    traffic: tuple[Traffic, ...]
    checks: tuple[Check, ...]
    counters: tuple[Mapping[str, int], ...]
    schedule: Schedule
    memory_map: MemoryMap
    dram_bytes: DramBytes | None
    roofline: Roofline
    transfers: tuple[Transfer, ...]
    energy: EnergySection
    findings: Findings
    area: tuple[TargetArea, ...]
    timing: tuple[ClockEstimate, ...]
    activity: tuple[Activity, ...]
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    sources: Mapping[str, str]
    how: Mapping[str, str]
    exploration: Exploration | None = None
    ablation: Ablation | None = None

    @property
    def verdict(self) -> str:
        """``yes`` where everything compared is equal to golden, ``no``, or ``not compared``."""
        if self.values_compared + self.bytes_compared == 0:
            return "not compared"
        return "yes" if self.equal else "no"

    def __repr__(self) -> str:
        return f"<Report {self.title}: {'; '.join(f'{name} {value}' for name, value in brief(self))}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(value)}</td></tr>"
            for name, value in brief(self)
        )
        return f"<table><caption>{escape(self.title)}</caption>{rows}</table>"

    @property
    def title(self) -> str:
        return f"{self.model} on {self.accelerator}"

    def as_dict(self) -> dict[str, Any]:
        """The contents of report.json; whole numbers of cycles stay integers."""
        data = dataclasses.asdict(self)
        if self.cycles_per_image == int(self.cycles_per_image):
            data["cycles_per_image"] = int(self.cycles_per_image)
        for row, entry in zip(self.activity, data["activity"], strict=True):
            entry |= {"total": row.total, "ratio": row.ratio, "deviation": row.deviation}
        if self.ablation is not None:
            data["ablation"] = self.ablation.as_dict()
        return data


def shares(report: Report) -> str:
    """How well the array is used, in words."""
    return f"utilization {report.utilization:.1%}, occupancy {report.occupancy:.1%}"


def brief(report: Report) -> list[tuple[str, str]]:
    """What matters first of a run: names and figures as words."""
    verdict = {"yes": "equal to golden", "no": "differ from golden"}.get(report.verdict, report.verdict)
    if report.accuracy_int is not None and report.accuracy_float is not None:
        quality = f"{report.accuracy_int:.2%} (float {report.accuracy_float:.2%}) of {report.accuracy_images:,} images"
    elif report.agreement is not None:
        quality = f"unknown; same class as float {report.agreement:.1%} of {report.accuracy_images:,} images"
    else:
        quality = f"unknown: {report.accuracy_note}"
    return [
        ("outputs", verdict),
        ("accuracy", "; ".join((quality, *report.accuracy_caution))),
        ("cycles", f"{report.cycles_per_image:,.0f} an image, {shares(report)}"),
        ("latency", f"{report.latency_ms:.3g} ms at {report.clock_mhz:g} MHz ({report.clock_source})"),
        (
            "energy",
            f"{1e3 * report.energy.total.typical:.3g} mJ an image on {report.energy.technology} (modelled)",
        ),
    ]


def _machine(record: Record) -> dict[str, Any]:
    """What ran on what, and with which tools."""
    return {
        "model": record.model.name,
        "model_source": record.model.source,
        "accelerator": record.accelerator.name,
        "attention": record.model.attention,
        "probabilities": record.model.probabilities,
        "macs_per_image": record.model.macs,
        "config": record.config,
        "versions": record.versions,
    }


def _equality(checks: tuple[Check, ...]) -> dict[str, Any]:
    """How much of what the machine left was compared, and how much of it differs."""
    values, values_different = _sum(checks, "value")
    octets, octets_different = _sum(checks, "byte")
    return {
        "equal": values + octets > 0 and values_different == 0 and octets_different == 0,
        "values_compared": values,
        "values_different": values_different,
        "bytes_compared": octets,
        "bytes_different": octets_different,
        "checks": checks,
    }


def _sum(checks: tuple[Check, ...], unit: str) -> tuple[int, int]:
    chosen = [check for check in checks if check.unit == unit]
    return sum(c.compared for c in chosen), sum(c.different for c in chosen)


def _accuracy(record: Record) -> dict[str, Any]:
    a = record.accuracy
    counts = {"correct_float": a.correct_float, "correct_int": a.correct_int, "agree": a.agree}
    for name, count in counts.items():
        if count is not None and not (a.images > 0 and 0 <= count <= a.images):
            raise ReportError(f"accuracy.{name} is {count} of {a.images} images")
    share = {name: None if count is None else count / a.images for name, count in counts.items()}
    interval = {name: None if count is None else wilson(count, a.images) for name, count in counts.items()}
    return {
        "accuracy_float": share["correct_float"],
        "accuracy_int": share["correct_int"],
        "agreement": share["agree"],
        "accuracy_images": a.images,
        "accuracy_note": a.reason,
        "accuracy_test": a.test,
        "accuracy_calibration": a.calibration,
        "accuracy_caution": cautions(a),
        "accuracy_float_interval": interval["correct_float"],
        "accuracy_int_interval": interval["correct_int"],
        "agreement_interval": interval["agree"],
    }


def _quality(quality: QualityRecord | None) -> dict[str, Any]:
    """How far the integer network is from the float one."""
    return {
        "output_error": None if quality is None else quality.output_error,
        "output_error_images": 0 if quality is None else quality.images,
        "losses": () if quality is None else quality.losses[:3],
        "saturation": () if quality is None else quality.saturation,
    }


def cautions(accuracy: AccuracyRecord) -> tuple[str, ...]:
    """Why figures on these images say little, each a part of a sentence; empty for images that were meant for this."""
    if accuracy.test is None or accuracy.calibration is None:
        return ()
    found = []
    match accuracy.test.origin:
        case ImageOrigin.GIVEN | ImageOrigin.SHIPPED:
            pass
        case ImageOrigin.SYNTHETIC:
            found.append("synthetic images: they say nothing about accuracy")
        case ImageOrigin.CALIBRATION:
            found.append("calibration's own images: they flatter")
        case never:
            assert_never(never)
    if accuracy.calibration.origin is ImageOrigin.SYNTHETIC:
        found.append("calibrated on synthetic images")
    return tuple(found)


def _speed(record: Record, clock_mhz: float) -> dict[str, Any]:
    """Of the machine: the mean of all images."""
    images = record.simulation.images
    cycles = sum(image.counters["cycles"] for image in images) / len(images)
    busy = sum(image.counters["array_busy"] for image in images) / len(images)
    latency_ms = cycles / clock_mhz / 1e3
    return {
        "cycles_per_image": cycles,
        "utilization": record.model.macs / (cycles * record.accelerator.array.macs_per_cycle),
        "occupancy": busy / cycles,
        "latency_ms": latency_ms,
        "images_per_second": 1e3 / latency_ms,
    }


def _simulation(record: Record) -> dict[str, Any]:
    """How the machine was simulated, and how long that took."""
    simulation, build = record.simulation, record.build
    ran = sum(image.seconds for image in simulation.images)
    cycles = sum(image.simulated_cycles for image in simulation.images)
    return {
        "images_simulated": len(simulation.images),
        "sim_cycles_per_second": cycles / ran if ran > 0 else 0.0,
        "simulate_seconds": simulation.seconds,
        "build_seconds": build.seconds,
        "build_cached": build.cached,
        "build_original_seconds": build.original_seconds,
        "memory_latency": simulation.memory_latency,
        "memory_throughput": simulation.memory_throughput,
        "counters": tuple(image.counters for image in simulation.images),
    }


def summarize(
    record: Record, *, clock_mhz: float | None = None, energy: EnergyChoice | None = None
) -> Report:
    """Every figure of a run.

    clock_mhz : given now; without it that of the run (``record.choices``), and where the run had none
    ASSUMED_CLOCK_MHZ, marked so.
    energy : the technology and the DRAM whose energies are taken; without it those of the run.

    Raises ReportError when the data contradicts itself.
    """
    known = clock_mhz if clock_mhz is not None else record.choices.clock_mhz
    clock = ASSUMED_CLOCK_MHZ if known is None else known
    if not clock > 0:
        raise ReportError(f"The clock must be a positive number of MHz, not {clock}")
    clock_source: ClockSource = "assumed" if known is None else "given"
    if energy is None:
        energy = EnergyChoice(technology=record.choices.technology, dram=record.choices.dram)
    counted = events(record.program, record.accelerator)
    rows, stalls = figures.layers(record, counted), figures.stalls(record)
    spent = energy_section(record, rows, counted, clock, energy)
    composed = area_section(record.accelerator)
    clocks = clock_section(record.accelerator)
    return Report(
        **_machine(record),
        **_equality(record.checks),
        **_accuracy(record),
        **_quality(record.model.quality),
        **_speed(record, clock),
        **_simulation(record),
        clock_mhz=clock,
        clock_source=clock_source,
        clock_note=clock_note(clocks, clock, energy.technology),
        clock_too_fast=too_fast(clocks, clock, energy.technology),
        layers=rows,
        stalls=stalls,
        queues=figures.queues(record),
        traffic=figures.traffic(record),
        schedule=schedule(record),
        memory_map=memory_map(record),
        dram_bytes=dram_bytes.of_record(record),
        roofline=roofline(record, rows, counted, clock),
        transfers=transfers(record, counted),
        energy=spent,
        findings=findings(record, stalls, spent, composed),
        area=composed,
        timing=clocks,
        activity=activities(),
        sources=SOURCES,
        how=hows(clock_source),
    )
