"""The report: every figure of a run with its unit and its source, from recorded data and a clock."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.reports import figures
from vitreous.reports.errors import ReportError
from vitreous.reports.figures import LayerRow, QueueRow, Share, Traffic
from vitreous.reports.record import AttentionRecord, Check, Record

ASSUMED_CLOCK_MHZ = 200.0
"""The clock for latency where the user gives none: an assumption, and the report says so. No tool has timed it."""

SOURCES: dict[str, str] = {
    "accuracy_float": "float model in PyTorch on accuracy_images images; fraction whose largest logit is the label",
    "accuracy_int": "integer graph run by golden.interpreter on the same images; the same fraction",
    "agreement": "fraction of the same images to which float model and integer graph give the same class",
    "images_simulated": "images for which the RTL ran the whole program",
    "values_compared": "entries of output and intermediate tensors read from the RTL's memory and compared with "
    "golden.interpreter, over all simulated images",
    "values_different": "of these, the entries that are not equal",
    "bytes_compared": "bytes of the write window left by the RTL and compared with golden.machine",
    "bytes_different": "of these, the bytes that are not equal",
    "cycles_per_image": "measured on the RTL: counter `cycles`, mean over the simulated images",
    "macs_per_image": "definition: multiply-accumulates of the float model's matrix products; no padding, no biases, "
    "no layer norm, softmax or GELU",
    "utilization": "macs_per_image / (cycles_per_image * N**2 * V * G); N = array.lanes, V = array.depth, "
    "G = array.groups",
    "array_busy_share": "measured on the RTL: counter `array_busy` / counter `cycles`, first image",
    "clock_mhz": "given by the user, or assumed where clock_source says so; not measured",
    "latency_ms": "cycles_per_image / clock_mhz / 1000",
    "images_per_second": "1000 / latency_ms, one image after the other",
    "sim_cycles_per_second": "simulated cycles / wall seconds while images ran, all images together",
    "simulate_seconds": "wall time of the simulation process, its start included, the build not",
    "build_seconds": "wall time that this run spent on building the simulator; 0 when build_cached",
    "build_original_seconds": "wall time of the build when it was made",
    "layers": "first image: cycles from the RTL's trace of completions, by the instructions' labels: a layer owns the "
    "cycles from the completion of the matrix instruction before to that of its own; load, row unit and store "
    "count in their own queues, from issue or from the completion before",
    "layers.array_words": "definition: row_tiles * ceil(columns / N) * k_words of the layer's matrix instructions, "
    "twice for two planes; their sum over all layers equals counter `array_busy`",
    "attention": "cycles by definition: heads * query tiles * ceil(d / N) * max(ceil(keys / V), N) for 8 bits, "
    "twice that for 16 (two planes); errors measured with golden's softmax of the integer graph's scores on "
    "calibration images, against float64: largest of a probability, root mean square and largest of a row's 1 - sum",
    "stalls": "measured on the RTL, first image: counters of the matrix unit; `other` is the rest of `cycles`",
    "queues": "measured on the RTL, first image: busy and wait counters of each queue",
    "traffic": "measured on the RTL, first image: counter of words or beats * bytes of one",
    "schedule": "measured on the RTL, first image: trace of issue and completion of each instruction",
    "counters": "measured on the RTL: every counter of every image, as read over AXI4-Lite",
}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Spans (queue, pc, start, end, kind, label): cycles of the first image; indices into ``kinds``, ``labels``."""

    kinds: tuple[str, ...]
    labels: tuple[str, ...]
    spans: tuple[tuple[int, int, int, int, int, int], ...]
    cycles: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run showed. ``SOURCES`` says for each figure how it was obtained.

    accuracy_float, accuracy_int, agreement are fractions in 0..1, None where ``accuracy_note`` says why.
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
    agreement: float | None
    cycles_per_image: float
    macs_per_image: int
    utilization: float
    array_busy_share: float
    clock_mhz: float
    clock_source: str
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
    stalls: tuple[Share, ...]
    queues: tuple[QueueRow, ...]
    traffic: tuple[Traffic, ...]
    checks: tuple[Check, ...]
    counters: tuple[Mapping[str, int], ...]
    schedule: Schedule
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    sources: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The contents of report.json; whole numbers of cycles stay integers."""
        data = dataclasses.asdict(self)
        if self.cycles_per_image == int(self.cycles_per_image):
            data["cycles_per_image"] = int(self.cycles_per_image)
        return data


def schedule(record: Record) -> Schedule:
    """The spans of the first image with what each instruction does and which layer it serves."""
    labels = tuple(dict.fromkeys(i.label for i in record.program))
    label_index = {label: index for index, label in enumerate(labels)}
    kind_index = {name: index for index, name in enumerate(figures.KINDS)}
    spans = tuple(
        (
            queue,
            pc,
            start,
            end,
            kind_index[figures.kind(record.program[pc])],
            label_index[record.program[pc].label],
        )
        for queue, pc, start, end in record.simulation.spans
    )
    cycles = record.simulation.images[0].counters["cycles"]
    return Schedule(
        kinds=figures.KINDS, labels=labels, spans=spans, cycles=max([cycles, *(span[3] for span in spans)])
    )


def _sum(checks: tuple[Check, ...], unit: str) -> tuple[int, int]:
    chosen = [check for check in checks if check.unit == unit]
    return sum(c.compared for c in chosen), sum(c.different for c in chosen)


def _accuracy(record: Record) -> tuple[float | None, float | None, float | None]:
    a = record.accuracy
    for name, count in (
        ("correct_float", a.correct_float),
        ("correct_int", a.correct_int),
        ("agree", a.agree),
    ):
        if count is not None and not (a.images > 0 and 0 <= count <= a.images):
            raise ReportError(f"accuracy.{name} is {count} of {a.images} images")
    share = [None if n is None else n / a.images for n in (a.correct_float, a.correct_int, a.agree)]
    return share[0], share[1], share[2]


def summarize(record: Record, *, clock_mhz: float | None = None) -> Report:
    """Every figure of a run. ``clock_mhz`` is the user's; without it ASSUMED_CLOCK_MHZ is taken and marked so.

    Raises ReportError when the data contradicts itself.
    """
    clock = ASSUMED_CLOCK_MHZ if clock_mhz is None else clock_mhz
    if not clock > 0:
        raise ReportError(f"The clock must be a positive number of MHz, not {clock}")
    images = record.simulation.images
    cycles = sum(image.counters["cycles"] for image in images) / len(images)
    accuracy_float, accuracy_int, agreement = _accuracy(record)
    values, values_different = _sum(record.checks, "value")
    octets, octets_different = _sum(record.checks, "byte")
    latency_ms = cycles / clock / 1e3
    ran = sum(image.seconds for image in images)
    first = images[0].counters
    return Report(
        model=record.model.name,
        model_source=record.model.source,
        accelerator=record.accelerator.name,
        images_simulated=len(images),
        equal=values + octets > 0 and values_different == 0 and octets_different == 0,
        values_compared=values,
        values_different=values_different,
        bytes_compared=octets,
        bytes_different=octets_different,
        accuracy_float=accuracy_float,
        accuracy_int=accuracy_int,
        accuracy_images=record.accuracy.images,
        accuracy_note=record.accuracy.reason,
        agreement=agreement,
        cycles_per_image=cycles,
        macs_per_image=record.model.macs,
        utilization=record.model.macs / (cycles * record.accelerator.array.macs_per_cycle),
        array_busy_share=first["array_busy"] / first["cycles"],
        clock_mhz=clock,
        clock_source="assumed" if clock_mhz is None else "given",
        latency_ms=latency_ms,
        images_per_second=1e3 / latency_ms,
        sim_cycles_per_second=sum(image.simulated_cycles for image in images) / ran if ran > 0 else 0.0,
        simulate_seconds=record.simulation.seconds,
        build_seconds=record.build.seconds,
        build_cached=record.build.cached,
        build_original_seconds=record.build.original_seconds,
        memory_latency=record.simulation.memory_latency,
        memory_throughput=record.simulation.memory_throughput,
        layers=figures.layers(record),
        attention=record.model.attention,
        stalls=figures.stalls(record),
        queues=figures.queues(record),
        traffic=figures.traffic(record),
        checks=record.checks,
        counters=tuple(image.counters for image in images),
        schedule=schedule(record),
        config=record.config,
        versions=record.versions,
        sources=SOURCES,
    )


def write(report: Report, folder: str | Path) -> tuple[Path, Path]:
    """Write ``index.html`` and ``report.json`` into ``folder``, each whole or not at all; returns both paths."""
    from vitreous.reports.page import render

    folder = Path(folder)
    texts = {"index.html": render(report), "report.json": json.dumps(report.as_dict(), indent=1)}
    for name, text in texts.items():
        temporary = folder / f"{name}.partial"
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, folder / name)
    return folder / "index.html", folder / "report.json"
