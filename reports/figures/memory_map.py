"""Where everything lies: the program's windows in DRAM by region, and how full the on-chip memories become.

DRAM regions follow from the program alone: what a LOAD into W reads is weights, into P parameters, into another memory
constants. Pieces of one kind and layer that touch are one region. Bytes that no instruction reads are alignment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, assert_never

from vitreous.reports.errors import ReportError
from vitreous.reports.record.memory import BufferRecord
from vitreous.reports.record.record import Record
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import INSTRUCTION_BYTES, Instruction, Memory, Opcode, Operands
from vitreous.spec.layout import DRAM_ALIGN, align, memory_words, word_bytes

KINDS = ("weights", "parameters", "constants", "input image", "program", "results", "alignment")
HOLDS = {
    Memory.X: "8-bit activations: operands of the array",
    Memory.W: "weights; keys and values of attention",
    Memory.R: "16-bit residual stream",
    Memory.S: "scores of one query tile by a block of keys, two slots",
    Memory.P: "bias, multiplier and shift of output channels; shifts of norms' channels",
}


@dataclass(frozen=True, kw_only=True)
class DramRegion:
    """``bytes`` at ``offset`` of a window; ``kind`` of ``KINDS``."""

    window: str
    offset: int
    bytes: int
    kind: str
    what: str


@dataclass(frozen=True, kw_only=True)
class KindTotal:
    """All regions of one kind in one window, and how many there are."""

    window: str
    kind: str
    regions: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class LayerUse:
    """The most words of a memory that are taken while a layer's instructions run."""

    layer: str
    words: int


@dataclass(frozen=True, kw_only=True)
class ChipMemory:
    """One on-chip memory. ``used`` : most words taken at one time; ``highest`` : the highest word ever used, plus 1."""

    name: str
    holds: str
    word_bytes: int
    words: int
    used: int
    highest: int
    layers: tuple[LayerUse, ...]
    buffers: tuple[BufferRecord, ...]

    @property
    def fullest(self) -> LayerUse | None:
        """The first layer that takes the most."""
        return max(self.layers, key=lambda use: use.words, default=None)


@dataclass(frozen=True, kw_only=True)
class MemoryMap:
    """``dram`` in order of window and offset, without gaps; ``chip`` in the order X, W, R, S, P."""

    read_bytes: int
    write_bytes: int
    dram: tuple[DramRegion, ...]
    kinds: tuple[KindTotal, ...]
    chip: tuple[ChipMemory, ...]


def _extents(
    program: Sequence[Instruction], config: AcceleratorConfig
) -> Iterable[tuple[int, int, str, str]]:
    """(start, end, kind, layer) of the bytes that each row of each LOAD reads."""
    for instruction in program:
        if instruction.opcode is not Opcode.LOAD:
            continue
        i, memory = instruction.fields, Memory(instruction["memory"])
        size = i["words"] * word_bytes(config, memory)
        for row in range(i["rows"]):
            start = i["dram_offset"] + row * i["dram_stride"]
            yield start, start + size, loaded(memory).kind, instruction.label


class Loaded(NamedTuple):
    """What a LOAD into a memory reads: its kind in DRAM, of ``KINDS``, and in the schedule."""

    kind: str
    schedule: str


def loaded(memory: Memory) -> Loaded:
    """Raises ReportError for S, which no LOAD writes."""
    match memory:
        case Memory.W:
            return Loaded("weights", "load weights")
        case Memory.P:
            return Loaded("parameters", "load parameters")
        case Memory.X | Memory.R:
            return Loaded("constants", "load activations")
        case Memory.S:
            raise ReportError("No LOAD writes to S")
        case _:
            assert_never(memory)


def _constants(record: Record) -> list[DramRegion]:
    """Regions that loads read; where two read the same bytes, the first in the program has them."""
    owner: dict[tuple[int, int], tuple[str, str]] = {}
    for start, end, kind, layer in _extents(record.program, record.accelerator):
        owner.setdefault((start, end), (kind, layer))
    regions: list[DramRegion] = []
    reached = 0
    for (start, end), (kind, layer) in sorted(owner.items()):
        start = max(start, reached)
        if end <= start:
            continue
        reached = end
        last = regions[-1] if regions else None
        near = last is not None and start <= align(last.offset + last.bytes, DRAM_ALIGN)
        if last is not None and near and (last.kind, last.what) == (kind, layer):
            regions[-1] = _region("read", last.offset, end - last.offset, kind, layer)
        else:
            regions.append(_region("read", start, end - start, kind, layer))
    return regions


def _region(window: str, offset: int, size: int, kind: str, what: str) -> DramRegion:
    return DramRegion(window=window, offset=offset, bytes=size, kind=kind, what=what)


def _filled(window: str, regions: Iterable[DramRegion], size: int) -> list[DramRegion]:
    """``regions`` in order, with what lies between them as alignment."""
    filled: list[DramRegion] = []
    reached = 0
    for region in sorted(regions, key=lambda r: r.offset):
        if region.offset > reached:
            filled.append(_region(window, reached, region.offset - reached, "alignment", ""))
        filled.append(region)
        reached = max(reached, region.offset + region.bytes)
    if size > reached:
        filled.append(_region(window, reached, size - reached, "alignment", ""))
    return filled


def dram(record: Record) -> tuple[DramRegion, ...]:
    """Every byte of both windows: read window first."""
    memory, count = record.memory, len(record.instructions)
    read = [
        *_constants(record),
        _region("read", memory.input_offset, memory.input_bytes, "input image", "written by the host"),
        _region("read", memory.program_offset, count * INSTRUCTION_BYTES, "program", f"{count} instructions"),
    ]
    write = [_region("write", s.offset, s.bytes, "results", s.tensor) for s in memory.stored]
    return (*_filled("read", read, memory.read_bytes), *_filled("write", write, memory.write_bytes))


@dataclass(frozen=True, kw_only=True)
class DramRun:
    """Neighbouring regions of one layer as one; ``kinds`` in the order of ``KINDS``."""

    window: str
    offset: int
    bytes: int
    kinds: tuple[str, ...]
    what: str
    regions: int


def runs(regions: Sequence[DramRegion]) -> tuple[DramRun, ...]:
    """``regions`` with neighbours of one layer put together; alignment goes to the region before it."""
    found: list[DramRun] = []
    for region in regions:
        last = found[-1] if found else None
        same = last is not None and last.window == region.window
        if last is not None and same and (region.kind == "alignment" or region.what == last.what):
            kinds = {*last.kinds, region.kind} - ({"alignment"} if last.kinds != ("alignment",) else set())
            found[-1] = DramRun(
                window=last.window,
                offset=last.offset,
                bytes=last.bytes + region.bytes,
                kinds=tuple(sorted(kinds, key=KINDS.index)),
                what=last.what,
                regions=last.regions + (region.kind != "alignment"),
            )
        else:
            found.append(
                DramRun(
                    window=region.window,
                    offset=region.offset,
                    bytes=region.bytes,
                    kinds=(region.kind,),
                    what=region.what,
                    regions=1,
                )
            )
    return tuple(found)


def _totals(regions: Sequence[DramRegion]) -> tuple[KindTotal, ...]:
    totals: dict[tuple[str, str], list[int]] = defaultdict(list)
    for region in regions:
        totals[region.window, region.kind].append(region.bytes)
    order = sorted(totals, key=lambda key: (key[0], KINDS.index(key[1])))
    return tuple(
        KindTotal(window=w, kind=k, regions=len(totals[w, k]), bytes=sum(totals[w, k])) for w, k in order
    )


def _words_taken(buffers: Sequence[BufferRecord], count: int) -> list[int]:
    """Words taken while each instruction of the program runs."""
    change = [0] * (count + 1)
    for buffer in buffers:
        change[buffer.first_pc] += buffer.words
        change[buffer.last_pc + 1] -= buffer.words
    taken, words = [], 0
    for step in change[:-1]:
        words += step
        taken.append(words)
    return taken


def _score_buffers(program: Sequence[Instruction], config: AcceleratorConfig) -> list[BufferRecord]:
    """S has no buffers of the compiler: a product of probabilities reads ``k_words`` of its slot."""
    return [
        BufferRecord(
            name=f"slot {instruction['slot']}",
            memory="S",
            layer=instruction.label,
            base=instruction["slot"] * config.s_depth,
            words=instruction["k_words"],
            first_pc=pc,
            last_pc=pc,
        )
        for pc, instruction in enumerate(program)
        if instruction.opcode is Opcode.MATMUL and instruction["operands"] == Operands.SW
    ]


def chip(record: Record) -> tuple[ChipMemory, ...]:
    """How full each on-chip memory becomes, at most and by layer."""
    config, program = record.accelerator, record.program
    memories = []
    for memory, holds in HOLDS.items():
        buffers = [b for b in record.memory.buffers if b.memory == memory.name]
        if memory is Memory.S:
            buffers = _score_buffers(program, config)
        taken = _words_taken(buffers, len(program))
        layers: dict[str, int] = {}
        for instruction, now in zip(program, taken, strict=True):
            if instruction.label:
                layers[instruction.label] = max(layers.get(instruction.label, 0), now)
        memories.append(
            ChipMemory(
                name=memory.name,
                holds=holds,
                word_bytes=word_bytes(config, memory),
                words=memory_words(config, memory),
                used=max(taken, default=0),
                highest=max((b.base + b.words for b in buffers), default=0),
                layers=tuple(LayerUse(layer=k, words=v) for k, v in layers.items()),
                buffers=tuple(buffers),
            )
        )
    return tuple(memories)


def memory_map(record: Record) -> MemoryMap:
    """The whole map of a recorded run."""
    regions = dram(record)
    return MemoryMap(
        read_bytes=record.memory.read_bytes,
        write_bytes=record.memory.write_bytes,
        dram=regions,
        kinds=_totals(regions),
        chip=chip(record),
    )
