"""Recorded data: what the pipeline measured, as one JSON file, and its check on reading.

Nothing here computes a figure. Every entry is required, none has a default, and an entry that this version does
not know is an error: a number without an explanation must not reach a report.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vitreous.reports.errors import ReportError
from vitreous.reports.json_file import check_format, structured
from vitreous.reports.record.attention import AttentionRecord, ProbabilityRecord
from vitreous.reports.record.memory import MemoryRecord
from vitreous.spec.config import AcceleratorConfig, ConfigError
from vitreous.spec.images import ImageOrigin
from vitreous.spec.isa import COUNTERS, Instruction, ProgramError, Queue, decode
from vitreous.spec.storage import write_text

FORMAT = "vitreous-record-8"
FILE_NAME = "recorded.json"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of the model and its multiply-accumulates for one image.

    error : of its output, relative to the float network's on calibration images; None where the graph does not say.
    """

    label: str
    macs: int
    error: float | None


@dataclass(frozen=True, kw_only=True)
class LossRecord:
    """What rounding one operation alone costs the output: relative error in float arithmetic."""

    operation: str
    error: float


@dataclass(frozen=True, kw_only=True)
class QualityRecord:
    """How far the integer graph is from the float network on calibration images that its ranges were judged on.

    output_error : relative error of the logits. losses : of single operations, the largest first. saturation :
    sentences that name tensors and shares of values beyond a range.
    """

    images: int
    output_error: float
    losses: tuple[LossRecord, ...]
    saturation: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """The float model: its name, where weights and data come from, its multiply-accumulates and its attentions.

    probabilities, quality : None where the graph does not say.
    """

    name: str
    source: str
    macs: int
    layers: tuple[Layer, ...]
    attention: tuple[AttentionRecord, ...]
    probabilities: ProbabilityRecord | None
    quality: QualityRecord | None


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One simulated image. ``counters`` by name, all of ``isa.COUNTERS``; ``seconds`` of wall time."""

    index: int
    counters: Mapping[str, int]
    simulated_cycles: int
    seconds: float

    def __post_init__(self) -> None:
        known = {name for name, _ in COUNTERS}
        unknown, missing = sorted(set(self.counters) - known), sorted(known - set(self.counters))
        if unknown:
            raise ReportError(f"Image {self.index}: unknown counters: {', '.join(unknown)}")
        if missing:
            raise ReportError(f"Image {self.index}: counters are missing: {', '.join(missing)}")
        if self.counters["cycles"] < 1:
            raise ReportError(f"Image {self.index}: cycles must be positive, not {self.counters['cycles']}")


@dataclass(frozen=True, kw_only=True)
class SimulationRecord:
    """The simulation of the program.

    seconds : wall time of the simulation process, its start included.
    spans : (queue, program counter, cycle of issue, cycle of retirement) of each instruction of the first image.
    memory_latency : cycles; memory_throughput : beats for every 100 cycles.
    """

    images: tuple[ImageRecord, ...]
    seconds: float
    spans: tuple[tuple[int, int, int, int], ...]
    memory_latency: int
    memory_throughput: int

    def __post_init__(self) -> None:
        if not self.images:
            raise ReportError("The record has no simulated image")
        for queue, pc, start, end in self.spans:
            if queue not in tuple(Queue) or not 0 <= start <= end:
                raise ReportError(f"Span {(queue, pc, start, end)} is not valid")


@dataclass(frozen=True, kw_only=True)
class BuildRecord:
    """The build of the simulator: seconds that this run spent on it, whether it was there already, and the
    seconds that it took when it was made.
    """

    seconds: float
    cached: bool
    original_seconds: float


@dataclass(frozen=True, kw_only=True)
class TensorCheck:
    """How many entries of one tensor, over all images of a check, were compared and how many differed."""

    tensor: str
    layer: str
    compared: int
    different: int


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison of the simulated machine with a reference. ``unit`` is ``value`` or ``byte``."""

    name: str
    reference: str
    unit: str
    images: int
    tensors: tuple[TensorCheck, ...]

    def __post_init__(self) -> None:
        if self.unit not in ("value", "byte"):
            raise ReportError(f"Check {self.name}: unit must be value or byte, not {self.unit!r}")

    @property
    def compared(self) -> int:
        return sum(t.compared for t in self.tensors)

    @property
    def different(self) -> int:
        return sum(t.different for t in self.tensors)


@dataclass(frozen=True, kw_only=True)
class ImagesRecord:
    """Whose images they are: of which kind, and in words, with their number."""

    origin: ImageOrigin
    source: str


@dataclass(frozen=True, kw_only=True)
class AccuracyRecord:
    """Images classified by the float model and by the integer graph.

    correct_float, correct_int : None where the images have no labels; ``reason`` then says so.
    agree : images to which both give the same class; None where neither was run.
    test, calibration : whose images were classified, and on whose the ranges were found; None where neither was run.
    """

    images: int
    correct_float: int | None
    correct_int: int | None
    agree: int | None
    reason: str
    test: ImagesRecord | None
    calibration: ImagesRecord | None

    @classmethod
    def missing(cls, reason: str) -> AccuracyRecord:
        """Of a run that classified nothing."""
        return cls(
            images=0,
            correct_float=None,
            correct_int=None,
            agree=None,
            reason=reason,
            test=None,
            calibration=None,
        )

    def __post_init__(self) -> None:
        if self.agree is not None and (self.test is None or self.calibration is None):
            raise ReportError("An agreement on images needs to say whose they are")
        if (self.correct_float is None or self.correct_int is None) and not self.reason:
            raise ReportError("An accuracy that is missing needs a reason")


@dataclass(frozen=True, kw_only=True)
class ChoiceRecord:
    """What the user chose for the report of this run, so that a later report or a comparison takes the same.

    clock_mhz : None where the user gave none. technology, dram : names, or files of the user's.
    """

    clock_mhz: float | None
    technology: str
    dram: str

    def __post_init__(self) -> None:
        if self.clock_mhz is not None and not self.clock_mhz > 0:
            raise ReportError(f"The recorded clock must be a positive number of MHz, not {self.clock_mhz}")


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything that a report is made from.

    instructions : (32 bytes in hexadecimal, label) of the program, by program counter.
    config : ``AcceleratorConfig.as_dict``. versions : of Vitreous and of each tool.
    """

    model: ModelRecord
    config: Mapping[str, Any]
    instructions: tuple[tuple[str, str], ...]
    memory: MemoryRecord
    simulation: SimulationRecord
    build: BuildRecord
    checks: tuple[Check, ...]
    accuracy: AccuracyRecord
    choices: ChoiceRecord
    versions: Mapping[str, str]

    def __post_init__(self) -> None:
        for span in self.simulation.spans:
            if not 0 <= span[1] < len(self.instructions):
                raise ReportError(f"Span {span} belongs to no instruction of the program")
        for buffer in self.memory.buffers:
            if buffer.last_pc >= len(self.instructions):
                raise ReportError(f"Buffer {buffer.name} is used by no instruction of the program")
        for transfer in self.memory.transfers:
            if not 0 <= transfer.pc < len(self.instructions):
                raise ReportError(f"The transfer of {transfer.tensor} is no instruction of the program")

    @cached_property
    def accelerator(self) -> AcceleratorConfig:
        try:
            return AcceleratorConfig.from_dict(self.config)
        except ConfigError as error:
            raise ReportError(f"The record's configuration is wrong: {error}") from None

    @cached_property
    def program(self) -> tuple[Instruction, ...]:
        try:
            return tuple(decode(bytes.fromhex(code), label=label) for code, label in self.instructions)
        except (ProgramError, ValueError) as error:
            raise ReportError(f"The record's program cannot be decoded: {error}") from None

    def as_dict(self) -> dict[str, Any]:
        return {"format": FORMAT, **dataclasses.asdict(self)}


def _check_format(data: Any) -> None:
    found = data.get("format") if isinstance(data, Mapping) else None
    family = FORMAT.rpartition("-")[0]
    if isinstance(found, str) and found != FORMAT and found.rpartition("-")[0] == family:
        raise ReportError(
            f"The record has format {found!r}, written by another version of Vitreous; this one reads {FORMAT!r}: "
            "repeat the run"
        )
    check_format(data, FORMAT, "The record has")


def from_dict(data: Mapping[str, Any]) -> Record:
    """The inverse of ``Record.as_dict``. Raises ReportError that names what is wrong."""
    _check_format(data)
    return structured(Record, data, "The record")


def save(record: Record, folder: str | Path) -> Path:
    """Write ``recorded.json`` into ``folder``, whole or not at all."""
    path = Path(folder) / FILE_NAME
    return write_text(path, json.dumps(record.as_dict(), separators=(",", ":")))


def load(folder: str | Path) -> Record:
    """The record of a run's folder. Raises ReportError when there is none or it is damaged."""
    path = Path(folder) / FILE_NAME
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        raise ReportError(f"{folder} holds no recorded run: cannot read {path} ({error.strerror})") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ReportError(f"{path} is truncated or not JSON: {error}") from None
    try:
        return from_dict(data)
    except (TypeError, ValueError) as error:
        raise ReportError(f"{path}: {error}") from None
