"""Bytes between DRAM and the chip, by tensor and by cause, beside the fewest that would do.

Bytes are those of the bus: whole beats, as the hardware's counters count them. Of loads and stores they follow from an
instruction's fields, of the instructions themselves from the counter of fetched beats. What a tensor needs at least is
every beat of it once, as it lies in DRAM with its padding, and only where its cause is one that the network cannot do
without (``spec.opcodes.causes``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vitreous.reports.errors import ReportError
from vitreous.reports.record.memory import TransferRecord
from vitreous.reports.record.record import Record
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.counters import HardwareCounter
from vitreous.spec.isa import Instruction, Memory, Opcode
from vitreous.spec.layout import ceil_div, word_bytes
from vitreous.spec.opcodes.causes import CAUSES, Cause
from vitreous.spec.patches import pixel_rows

PROGRAM = "program"
"""What stands for a tensor where the bytes are instructions."""
TRANSFERS = (Opcode.LOAD, Opcode.LOAD_PATCHES, Opcode.STORE)

Interval = tuple[int, int]
"""Offsets in a window of DRAM: the first byte, and one past the last."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Bytes ``read`` from DRAM and ``written`` to it, and the ``minimum`` that both could be together."""

    read: int
    written: int
    minimum: int

    @property
    def bytes(self) -> int:
        return self.read + self.written


@dataclass(frozen=True, kw_only=True)
class TensorBytes(Moved):
    """What one layer moves of one tensor for one cause, by ``transfers`` instructions."""

    layer: str
    tensor: str
    cause: Cause
    transfers: int


@dataclass(frozen=True, kw_only=True)
class CauseBytes(Moved):
    """All bytes of one cause. ``meaning`` as in ``spec.opcodes.causes``."""

    cause: Cause
    meaning: str
    transfers: int


@dataclass(frozen=True, kw_only=True)
class DramBytes(Moved):
    """``tensors`` with most bytes first; ``causes`` those that the program has, in the order of ``Cause``."""

    causes: tuple[CauseBytes, ...]
    tensors: tuple[TensorBytes, ...]

    @property
    def ratio(self) -> float | None:
        """All bytes over the minimum; None where there is none."""
        return self.bytes / self.minimum if self.minimum else None


def rows(instruction: Instruction, config: AcceleratorConfig) -> list[Interval]:
    """What a transfer moves, one interval of whole beats for each row. Raises ReportError for other opcodes."""
    i, beat = instruction.fields, config.bus.beat_bytes
    if instruction.opcode is Opcode.LOAD_PATCHES:
        size = ceil_div(i["patch"] * i["grid_columns"], beat) * beat
        return [(offset, offset + size) for offset, _ in pixel_rows(i)]
    if instruction.opcode not in TRANSFERS:
        raise ReportError(f"{instruction.opcode.name} moves no bytes between DRAM and the chip")
    size = ceil_div(i["words"] * word_bytes(config, Memory(i["memory"])), beat) * beat
    starts = [i["dram_offset"] + row * i["dram_stride"] for row in range(i["rows"])]
    return [(start, start + size) for start in starts]


def once(intervals: Iterable[Interval]) -> int:
    """Bytes in at least one interval."""
    total = reached = 0
    for start, end in sorted(intervals):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def dram_bytes(
    program: Sequence[Instruction],
    transfers: Sequence[TransferRecord],
    config: AcceleratorConfig,
    counters: Mapping[str, int],
) -> DramBytes:
    """Of one image. ``counters`` : of the hardware or of the cycle model.

    Raises ReportError where a transfer has no cause or more than one, where something else has one, and where the
    instructions ask for other bytes than the counters saw.
    """
    moves = {pc for pc, instruction in enumerate(program) if instruction.opcode in TRANSFERS}
    said = Counter(transfer.pc for transfer in transfers)
    if wrong := sorted(pc for pc in {*moves, *said} if said[pc] != (pc in moves)):
        raise ReportError(f"Instruction {wrong[0]} moves bytes without a cause, or has one too many")
    groups: dict[tuple[str, str, Cause], list[int]] = {}
    for transfer in transfers:
        key = (program[transfer.pc].label, transfer.tensor, transfer.cause)
        groups.setdefault(key, []).append(transfer.pc)
    found = [_tensor(program, key, pcs, config) for key, pcs in groups.items()]
    found.append(_instructions(counters, config))
    for name, counted in (
        ("read", counters[HardwareCounter.LOAD_BEATS] + counters[HardwareCounter.FETCH_BEATS]),
        ("written", counters[HardwareCounter.STORE_BEATS]),
    ):
        asked = sum(getattr(row, name) for row in found)
        if asked != counted * config.bus.beat_bytes:
            raise ReportError(
                f"The counters saw {counted * config.bus.beat_bytes} bytes of DRAM {name}, "
                f"but the program's instructions ask for {asked}"
            )
    return _whole(found)


def _tensor(
    program: Sequence[Instruction], key: tuple[str, str, Cause], pcs: Sequence[int], config: AcceleratorConfig
) -> TensorBytes:
    layer, tensor, cause = key
    moved: dict[bool, list[Interval]] = {False: [], True: []}
    for pc in pcs:
        moved[program[pc].opcode is Opcode.STORE] += rows(program[pc], config)
    read, written = (sum(end - start for start, end in moved[stored]) for stored in (False, True))
    return TensorBytes(
        layer=layer,
        tensor=tensor,
        cause=cause,
        transfers=len(pcs),
        read=read,
        written=written,
        minimum=sum(map(once, moved.values())) if CAUSES[cause].needed else 0,
    )


def _instructions(counters: Mapping[str, int], config: AcceleratorConfig) -> TensorBytes:
    return TensorBytes(
        layer="",
        tensor=PROGRAM,
        cause=Cause.INSTRUCTIONS,
        transfers=0,
        read=counters[HardwareCounter.FETCH_BEATS] * config.bus.beat_bytes,
        written=0,
        minimum=0,
    )


def _whole(tensors: Sequence[TensorBytes]) -> DramBytes:
    names = ("transfers", "read", "written", "minimum")
    causes = []
    for cause in Cause:
        if mine := [row for row in tensors if row.cause is cause]:
            sums = {name: sum(getattr(row, name) for row in mine) for name in names}
            causes.append(CauseBytes(cause=cause, meaning=CAUSES[cause].words, **sums))
    return DramBytes(
        **{name: sum(getattr(row, name) for row in causes) for name in names[1:]},
        causes=tuple(causes),
        tensors=tuple(sorted(tensors, key=lambda row: (-row.bytes, row.layer, row.tensor))),
    )


def of_record(record: Record) -> DramBytes | None:
    """Of the first image; None where the program's compiler noted no causes."""
    transfers = record.memory.transfers
    if not transfers:
        return None
    return dram_bytes(record.program, transfers, record.accelerator, record.simulation.images[0].counters)
