"""A machine with one unit for linear layers and another for attention, composed from two predictions.

Our machine runs both on one array. Here the same program is predicted on two smaller accelerators with the multipliers
of one array shared out, and every matrix instruction takes the time that it has on the one that has its unit:

    serial:      rest + sum over attention layers (P + A)
    overlapped:  rest + sum over attention layers (p + (H - 1) max(p, a) + a),  p = P / H, a = A / H

``A``: Q K^T and P V of a layer with ``H`` heads on the attention unit; ``P``: its q, k, v projections on the linear
unit; ``rest``: everything else on the linear unit. An instruction's time is from the retirement of the matrix
instruction before it to its own, so waiting for loads is in it. Layouts of unlike arrays convert for nothing, and both
units share the memories without conflict: both in favour of dedicated units.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from vitreous.compiler.fusion import fuse
from vitreous.compiler.operations import Attention
from vitreous.reports.ablation.ablation import Candidate
from vitreous.reports.area.area import COLUMNS, Area, BlockArea, area
from vitreous.reports.energy.energy import energy
from vitreous.reports.energy.event_costs import SHARED_REGISTERS, register_bits
from vitreous.reports.energy.technology import ZERO, Range, load_technology
from vitreous.reports.errors import ReportError
from vitreous.sim.cycles import Prediction, predict
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, ConfigError
from vitreous.spec.graph import Graph
from vitreous.spec.isa import COUNTERS, Instruction, Memory, Opcode, Operands, Queue
from vitreous.spec.program import Program
from vitreous.spec.work import work

OF_ATTENTION = ("array", "readout and epilogue", "operand and readout control", "softmax", "memory S")
"""Blocks of an accelerator that its attention unit takes along."""
SOFTMAX = ("softmax", "memory S")
"""Those that the linear unit then does without."""
REST = ("rest", 0)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A program on the accelerator of one unit. ``projections``, ``attention``: cycles by attention layer; ``rest``.

    busy : of these cycles, those in which the array multiplies, in the same order.
    """

    config: AcceleratorConfig
    program: Program
    prediction: Prediction
    heads: tuple[int, ...]
    projections: tuple[int, ...]
    attention: tuple[int, ...]
    rest: int
    busy: tuple[tuple[int, ...], tuple[int, ...], int]


@dataclass(frozen=True, kw_only=True)
class Dedicated:
    """Two units at work: ``cycles`` of one image, and what they are made of."""

    linear: Part
    attention: Part
    overlapped: bool
    cycles: int

    def area(self, target: str) -> dict[str, float]:
        """Columns of the linear unit's accelerator without softmax and S, and of the attention unit's own blocks.

        Empty where ``reports.area.area`` cannot say.
        """
        try:
            linear, other = area(self.linear.config, target), area(self.attention.config, target)
        except ReportError:
            return {}
        kept = [block for block in linear.blocks if block.name not in SOFTMAX]
        return _columns([*kept, *_of_attention(other)], linear.columns)

    def candidate(self, target: str) -> Candidate:
        return Candidate(
            linear=shape(self.linear.config.array),
            attention=shape(self.attention.config.array),
            overlapped=self.overlapped,
            cycles=self.cycles,
            area=self.area(target),
        )

    def energy(self, technology: str, dram: str, clock_mhz: float) -> Range:
        """Events of each unit's instructions at its own costs; clock of both, leakage and device once, by time.

        The attention unit's clock is that of array and lanes of an accelerator of its size.
        """
        tables = load_technology(technology)
        linear, other = self.linear, self.attention
        counts = work(_others(linear.program), linear.config)
        counts["fetch_beats"] = linear.prediction.counters["fetch_beats"]
        total = energy(
            _complete(counts, self.cycles), linear.config, tables, dram=dram, clock_mhz=clock_mhz
        ).total
        own = work(_of_unit(other.program), other.config)
        spent = energy(_complete(own, self.cycles), other.config, tables, dram=dram, clock_mhz=clock_mhz)
        moved = (part.joules for part in spent.parts if own[part.events])
        clock = sum((part.joules for part in spent.parts if part.events == "cycles"), start=ZERO)
        return sum(moved, start=total) + clock * _register_share(other.config)


def shape(array: ArrayConfig) -> str:
    """``8×8×4``."""
    return f"{array.lanes}×{array.lanes}×{array.depth}"


def splits(array: ArrayConfig) -> list[tuple[ArrayConfig, ArrayConfig]]:
    """All pairs (linear, attention) of arrays that the machine can have with the multipliers of ``array`` together."""
    known = [
        replace(array, lanes=lanes, depth=depth)
        for lanes in (4, 8, 16, 32)
        for depth in (1, 2, 4, 8)
        if lanes * lanes * depth < array.macs_per_cycle
    ]
    return [
        (a, b) for a in known for b in known if a.macs_per_cycle + b.macs_per_cycle == array.macs_per_cycle
    ]


def with_an_eighth(array: ArrayConfig) -> list[tuple[ArrayConfig, ArrayConfig]]:
    """The whole array for linear layers beside one of an eighth of it for attention: 256 and 32, as Edge-MoE has."""
    small = [
        replace(array, lanes=lanes, depth=depth)
        for lanes in (4, 8, 16, 32)
        for depth in (1, 2, 4, 8)
        if 8 * lanes * lanes * depth == array.macs_per_cycle
    ]
    return [(array, b) for b in small]


@dataclass
class Workbench:
    """Predicts a graph on accelerators that differ in their array, each once."""

    graph: Graph
    config: AcceleratorConfig
    timing: MemoryTiming
    _parts: dict[ArrayConfig, Part] = field(default_factory=dict)

    def candidates(self, pairs: list[tuple[ArrayConfig, ArrayConfig]]) -> list[Dedicated]:
        """Each pair serial and overlapped, but those that no accelerator can be or that the model does not fit."""
        return [made for linear, attention in pairs for made in self._of(linear, attention)]

    def ideal(self) -> Candidate:
        """The share of the multipliers for attention, in 64ths, with the fewest cycles if both units could have any.

        A bound for every split, and no accelerator: a part takes at least its cycles on the whole array, and at least
        its busy ones divided by its unit's share.
        """
        whole, best = self._part(self.config.array), (1 << 62, 0)
        of_projections, of_attention, of_rest = whole.busy
        for share in range(1, 64):
            linear = 64 - share
            cycles = max(whole.rest, 64 * of_rest // linear)
            for n, heads in enumerate(whole.heads):
                p = max(whole.projections[n], 64 * of_projections[n] // linear)
                a = max(whole.attention[n], 64 * of_attention[n] // share)
                cycles += _layer(heads, p, a, overlapped=True)
            best = min(best, (cycles, share))
        cycles, share = best
        total = self.config.array.macs_per_cycle
        attention = total * share / 64
        return Candidate(
            linear=f"{total - attention:g} multipliers, any array",
            attention=f"{attention:g} multipliers, any array",
            overlapped=True,
            cycles=cycles,
            area={},
        )

    def _of(self, linear: ArrayConfig, attention: ArrayConfig) -> Iterator[Dedicated]:
        from vitreous.compiler import CompileError

        try:
            a, b = self._part(linear), self._part(attention)
        except (CompileError, ConfigError):
            return
        for overlapped in (False, True):
            layers = zip(a.heads, a.projections, b.attention, strict=True)
            cycles = a.rest + sum(_layer(*layer, overlapped=overlapped) for layer in layers)
            yield Dedicated(linear=a, attention=b, overlapped=overlapped, cycles=cycles)

    def _part(self, array: ArrayConfig) -> Part:
        from vitreous.compiler import compile as compile_graph

        if array not in self._parts:
            config = replace(self.config, name=f"{self.config.name} {shape(array)}", array=array)
            program = compile_graph(self.graph, config)
            self._parts[array] = _divide(program, config, predict(program, config, self.timing), self.graph)
        return self._parts[array]


def _layer(heads: int, projections: int, attention: int, *, overlapped: bool) -> int:
    """Cycles of the projections and products of one attention layer."""
    if not overlapped:
        return projections + attention
    p, a = projections / heads, attention / heads
    return round(p + (heads - 1) * max(p, a) + a)


def _divide(program: Program, config: AcceleratorConfig, prediction: Prediction, graph: Graph) -> Part:
    """Every cycle to attention, to its projections, or to the rest, and the busy ones too."""
    layers = [operation for operation in fuse(graph, config) if isinstance(operation, Attention)]
    products = {label: n for n, a in enumerate(layers) for label in (a.layer, a.context_layer)}
    sources = {linear.layer: n for n, a in enumerate(layers) for linear in (a.query, a.key, a.value)}
    cycles: Counter[tuple[str, int]] = Counter()
    busy: Counter[tuple[str, int]] = Counter()
    before = 0
    for span in sorted((s for s in prediction.spans if s.queue == Queue.MATRIX), key=lambda span: span.pc):
        i = program.instructions[span.pc]
        if is_attention(i):
            part = "attention", products[i.label]
        elif i.label in sources:
            part = "projections", sources[i.label]
        else:
            part = REST
        cycles[part] += span.end - before
        busy[part] += work([i], config)["array_busy"]
        before = span.end
    cycles[REST] += prediction.cycles - before

    def layerwise(counts: Counter[tuple[str, int]], name: str) -> tuple[int, ...]:
        return tuple(counts[name, n] for n in range(len(layers)))

    return Part(
        config=config,
        program=program,
        prediction=prediction,
        heads=tuple(a.heads for a in layers),
        projections=layerwise(cycles, "projections"),
        attention=layerwise(cycles, "attention"),
        rest=cycles[REST],
        busy=(layerwise(busy, "projections"), layerwise(busy, "attention"), busy[REST]),
    )


def is_attention(i: Instruction) -> bool:
    """Q K^T, which ends in S, or P V, which begins there."""
    return i.opcode is Opcode.MATMUL and (i["destination"] == Memory.S or i["operands"] == Operands.SW)


def _of_unit(program: Program) -> list[Instruction]:
    return [i for i in program.instructions if is_attention(i)]


def _others(program: Program) -> list[Instruction]:
    return [i for i in program.instructions if not is_attention(i)]


def _complete(counts: Counter[str], cycles: int) -> dict[str, int]:
    """All counters, those of waiting zero: they cost nothing."""
    return {**{name: counts[name] for name, _ in COUNTERS}, "cycles": cycles}


def _of_attention(whole: Area) -> list[BlockArea]:
    found = [block for block in whole.blocks if block.name in OF_ATTENTION]
    assert len(found) == len(OF_ATTENTION), f"reports.area has no blocks {OF_ATTENTION}"
    return found


def _register_share(config: AcceleratorConfig) -> float:
    """Of the registers of an accelerator, those of array and lanes: what a second unit brings along."""
    return 1 - SHARED_REGISTERS / register_bits(config)


def _columns(blocks: list[BlockArea], columns: tuple[str, ...]) -> dict[str, float]:
    assert set(columns) <= set(COLUMNS)
    return {c: sum(getattr(block, c) or 0 for block in blocks) for c in columns}
