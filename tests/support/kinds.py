"""For every kind of which new members will come: who tells its members apart, and which of them each place knows.

A place is a file; ``known`` says what it knows, from a table that it has, from calls that must not fail, or from the
members that it names. docs/extending.md lists the same files in the order in which one writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from functools import partial
from typing import Any

from tests.support.places import Place, named, quoted, words, works
from vitreous.hw.memory.ram import ATTRIBUTES
from vitreous.spec.config import AcceleratorConfig, ActivationConfig, ArrayConfig, NormConfig, SoftmaxConfig
from vitreous.spec.counters import MATRIX_IDLE, HardwareCounter
from vitreous.spec.graph import SIGNATURES, Op
from vitreous.spec.images import ImageOrigin
from vitreous.spec.isa import OPCODES, ErrorCode, Instruction, Memory, Opcode, Queue, Scale, make
from vitreous.spec.opcodes.causes import Cause
from vitreous.spec.variants import (
    ACTIVATIONS,
    FUNCTIONS,
    MULTIPLIERS,
    NORMS,
    SOFTMAXES,
    ActivationFunction,
    ActivationVariant,
    MemoryStyle,
    Multiplier,
    NormVariant,
    SoftmaxVariant,
    in_hardware,
)


def _activation_machine(variant: ActivationVariant) -> AcceleratorConfig:
    return AcceleratorConfig(activation=ActivationConfig(variant=variant))


def _softmax_machine(variant: SoftmaxVariant) -> AcceleratorConfig:
    return AcceleratorConfig(softmax=SoftmaxConfig(variant=variant))


def _norm_machine(variant: NormVariant) -> AcceleratorConfig:
    return AcceleratorConfig(norm=NormConfig(variant=variant))


def _multiplier_machine(multiplier: Multiplier) -> AcceleratorConfig:
    return AcceleratorConfig(array=ArrayConfig(multiplier=multiplier))


def _energy(machine: AcceleratorConfig) -> object:
    from vitreous.reports.energy.event_costs import event_costs
    from vitreous.reports.energy.technology import load_technology

    return event_costs(machine, load_technology("asic-28nm"))


def _costed(machine: AcceleratorConfig) -> Iterator[str]:
    from vitreous.reports.energy.event_costs import NO_ENERGY, event_costs
    from vitreous.reports.energy.technology import load_technology

    yield from NO_ENERGY
    yield from (cost.event for cost in event_costs(machine, load_technology("asic-28nm")))


def _catalogued() -> Iterator[str]:
    from vitreous.characterize.catalog import catalogue

    return (entry.variant for entry in catalogue())


def _golden(kind: str) -> Callable[[], Iterable[Any]]:
    def known() -> Iterable[Any]:
        from vitreous.golden.activation import activation, exact
        from vitreous.golden.norm import norm
        from vitreous.golden.softmax import softmax

        tables: Mapping[str, Iterable[Any]] = {
            "activation": [*activation.EVEN, *activation.DIRECT],
            "functions": exact.FUNCTIONS,
            "norm": [*norm.VARIANTS, NormVariant.EXACT],
            "softmax": [*softmax.VARIANTS, SoftmaxVariant.EXACT],
        }
        return tables[kind]

    return known


def _hw(kind: str) -> Callable[[], Iterable[Any]]:
    def known() -> Iterable[Any]:
        from vitreous.hw.activation import activation
        from vitreous.hw.softmax import softmax
        from vitreous.hw.vector import pipeline

        tables: Mapping[str, Iterable[Any]] = {
            "activation": activation.VARIANTS,
            "norm": pipeline.VARIANTS,
            "softmax": softmax.VARIANTS,
        }
        return tables[kind]

    return known


def _shift_functions() -> Iterable[Any]:
    """Of I-ViT's shifts, whose constants depend on the function."""
    import torch

    from vitreous.golden.activation import shift

    x = torch.zeros(1, dtype=torch.int64)
    functions = ACTIVATIONS[ActivationVariant.SHIFT].functions
    return works(
        functions,
        lambda f: shift.delta(x, ActivationConfig(function=f, variant=ActivationVariant.SHIFT, range=8.0)),
    )


def _operations() -> Iterable[Any]:
    from vitreous.golden.interpreter import OPERATIONS

    return OPERATIONS


def _reference_functions() -> Iterable[Any]:
    from vitreous.quant.calibrate.reference import _ACTIVATIONS

    return _ACTIVATIONS


def _in_schedule() -> Iterable[Any]:
    from vitreous.reports.figures.figures import kind

    return works((o for o in Opcode if o is not Opcode.END), lambda opcode: kind(blank(opcode)))


def blank(opcode: Opcode) -> Instruction:
    """An instruction whose fields are all one, or zero where one means a choice."""
    choices = {"operands", "destination", "scale", "activation", "memory"}
    return make(opcode, **{field.name: int(field.name not in choices) for field in OPCODES[opcode].fields})


def _counted() -> Iterable[Any]:
    """Opcodes whose counts and accesses can be worked out."""
    config = AcceleratorConfig()
    for opcode, spec in OPCODES.items():
        fields = blank(opcode).fields
        spec.counts(fields, config)
        spec.line(fields, config, spec.accesses(fields, config))
        yield opcode


QUEUED = partial(filter, lambda opcode: opcode is not Opcode.END, Opcode)

FAULTS = frozenset(ErrorCode) - {ErrorCode.NONE}


def _variant_places(
    unit: str,
    traits: Mapping[Any, Any],
    variants: type[Enum],
    hardware: str,
    machine: Callable[[Any], AcceleratorConfig],
) -> tuple[Place, ...]:
    """Who tells the ``variants`` of a nonlinear unit apart; ``hardware`` is where hw does."""
    real = partial(in_hardware, variants)
    return (
        Place("spec/variants.py", lambda: traits, lambda: variants),
        Place(f"golden/{unit}/{unit}.py", _golden(unit), lambda: variants),
        Place(f"hw/{hardware}", _hw(unit), real),
        Place("reports/energy/event_costs.py", lambda: works(real(), lambda v: _energy(machine(v))), real),
        Place("vitreous/characterize/catalog.py", _catalogued, real),
        Place("docs/numerics.md", lambda: words("docs/numerics.md", variants), real),
    )


KINDS: Mapping[str, tuple[Place, ...]] = {
    "softmax variant": _variant_places(
        "softmax", SOFTMAXES, SoftmaxVariant, "softmax/softmax.py", _softmax_machine
    ),
    "norm variant": _variant_places("norm", NORMS, NormVariant, "vector/pipeline.py", _norm_machine),
    "activation variant": _variant_places(
        "activation", ACTIVATIONS, ActivationVariant, "activation/activation.py", _activation_machine
    ),
    "activation function": (
        Place("spec/variants.py", lambda: FUNCTIONS, lambda: ActivationFunction),
        Place(
            "spec/tables.py", lambda: named("spec/tables.py", ActivationFunction), lambda: ActivationFunction
        ),
        Place("golden/activation/exact.py", _golden("functions"), lambda: ActivationFunction),
        Place(
            "golden/activation/shift.py",
            _shift_functions,
            lambda: ACTIVATIONS[ActivationVariant.SHIFT].functions,
        ),
        Place(
            "hw/activation/shift.py",
            lambda: named("hw/activation/shift.py", ActivationFunction),
            lambda: ACTIVATIONS[ActivationVariant.SHIFT].functions,
        ),
        Place("quant/calibrate/reference.py", _reference_functions, lambda: ActivationFunction),
        Place(
            "quant/importer", lambda: named("quant/importer", ActivationFunction), lambda: ActivationFunction
        ),
        Place(
            "vitreous/characterize/approx.py",
            lambda: named("vitreous/characterize/approx.py", ActivationFunction),
            lambda: ActivationFunction,
        ),
        Place(
            "vitreous/characterize/errors.py",
            lambda: named("vitreous/characterize/errors.py", ActivationFunction),
            lambda: ActivationFunction,
        ),
    ),
    "multiplier": (
        Place("spec/variants.py", lambda: MULTIPLIERS, lambda: Multiplier),
        Place("hw/matrix/array.py", lambda: named("hw/matrix", Multiplier), lambda: Multiplier),
    ),
    "memory style": (
        Place("hw/memory/ram.py", lambda: ATTRIBUTES, lambda: MemoryStyle),
        Place(
            "reports/area/area.py", lambda: named("reports/area/area.py", MemoryStyle), lambda: MemoryStyle
        ),
    ),
    "opcode": (
        Place("spec/opcodes/table.py", lambda: _counted(), lambda: Opcode),
        Place(
            "golden/machine/decode_checks.py",
            lambda: named("golden/machine/decode_checks.py", Opcode),
            QUEUED,
        ),
        Place("golden/machine/machine.py", lambda: named("golden/machine/machine.py", Opcode), QUEUED),
        Place("hw", lambda: named("hw", Opcode), QUEUED),
        Place("sim/cycles", lambda: named("sim/cycles", Opcode), QUEUED),
        Place("compiler", lambda: named("compiler", Opcode), lambda: Opcode),
        Place("reports/figures/figures.py", _in_schedule, QUEUED),
        Place("docs/machine.md", lambda: words("docs/machine.md", Opcode), lambda: Opcode),
    ),
    "operation": (
        Place("spec/graph/node.py", lambda: SIGNATURES, lambda: Op),
        Place("spec/graph/infer.py", lambda: _inferred(), lambda: Op),
        Place("golden/interpreter.py", _operations, lambda: Op),
        Place("quant/emit", lambda: named("quant/emit", Op), lambda: Op),
        Place("compiler", lambda: named("compiler", Op), lambda: Op),
    ),
    "origin of images": (
        Place("models/door.py", lambda: named("models", ImageOrigin), lambda: ImageOrigin),
        Place(
            "vitreous/flow/lines.py",
            lambda: named("vitreous/flow/lines.py", ImageOrigin),
            lambda: ImageOrigin,
        ),
        Place("reports/report.py", lambda: named("reports/report.py", ImageOrigin), lambda: ImageOrigin),
    ),
    "cause of bytes": (
        # The machine fetches its instructions by itself.
        Place("compiler", lambda: named("compiler", Cause), lambda: frozenset(Cause) - {Cause.INSTRUCTIONS}),
        Place("reports/draw/colours.py", lambda: _causes_coloured(), lambda: Cause),
        Place("docs/report.md", lambda: quoted("docs/report.md", Cause), lambda: Cause),
    ),
    "counter": (
        Place("hw/accelerator.py", lambda: _events(), lambda: HardwareCounter),
        Place("sim/cycles/model.py", lambda: _predicted(), lambda: HardwareCounter),
        Place("reports/energy/event_costs.py", lambda: _costed(AcceleratorConfig()), lambda: HardwareCounter),
        Place("reports/findings/findings.py", lambda: _causes(), lambda: MATRIX_IDLE),
        Place("docs/machine.md", lambda: words("docs/machine.md", HardwareCounter), lambda: HardwareCounter),
    ),
    "memory": (
        Place("spec/layout.py", lambda: _sized(), lambda: Memory),
        Place("hw/accelerator.py", lambda: named("hw", Memory), lambda: Memory),
        Place("reports/figures/memory_map.py", lambda: _held(), lambda: Memory),
        Place("reports/energy/event_costs.py", lambda: _memories_costed(), lambda: Memory),
    ),
    "queue": (
        Place("spec/opcodes/kinds.py", lambda: {spec.queue for spec in OPCODES.values()}, lambda: Queue),
        Place("hw/accelerator.py", lambda: named("hw/accelerator.py", Queue), lambda: Queue),
        Place("golden/machine/queues.py", lambda: named("golden/machine/queues.py", Queue), lambda: Queue),
        Place("sim/cycles/model.py", lambda: named("sim/cycles", Queue), lambda: Queue),
        Place(
            "reports/draw/colours.py", lambda: _coloured(), lambda: [queue.name.lower() for queue in Queue]
        ),
    ),
    "error code": (
        # The functional machine has no bus that could fail, no clock, and no state that changes by itself.
        Place(
            "golden/machine",
            lambda: named("golden", ErrorCode),
            lambda: (
                FAULTS
                - {ErrorCode.BUS_READ, ErrorCode.BUS_WRITE, ErrorCode.CYCLE_LIMIT, ErrorCode.BUS_SILENT}
                - {ErrorCode.PARITY}
            ),
        ),
        Place("hw", lambda: named("hw", ErrorCode), lambda: FAULTS),
        Place("docs/machine.md", lambda: words("docs/machine.md", ErrorCode), lambda: FAULTS),
    ),
    "scale": (
        Place("spec/opcodes/matmul.py", lambda: named("spec/opcodes/matmul.py", Scale), lambda: Scale),
        Place("golden/machine/matmul.py", lambda: named("golden/machine", Scale), lambda: Scale),
        Place("hw/matrix/parameters.py", lambda: named("hw/matrix", Scale), lambda: Scale),
    ),
}


def _causes() -> Iterable[HardwareCounter]:
    from vitreous.reports.findings.findings import CAUSES

    return CAUSES


def _causes_coloured() -> Iterable[Cause]:
    from vitreous.reports.draw.colours import CAUSES

    return CAUSES


def _events() -> Iterable[str]:
    """Elaborating an accelerator asserts that each counter has one event."""
    from amaranth.hdl import Fragment

    from vitreous.hw.accelerator import Accelerator

    Fragment.get(Accelerator(AcceleratorConfig()), None)
    return list(HardwareCounter)


def _predicted() -> Iterable[str]:
    from tests.support.sim.small import CASES, CONFIGURATIONS, TIMINGS, small_program
    from vitreous.sim.cycles.model import predict

    config = next(iter(CONFIGURATIONS.values()))
    program, _ = small_program(config, next(iter(CASES)))
    return predict(program, config, TIMINGS[0]).counters


def _sized() -> Iterable[Memory]:
    from vitreous.spec.layout import memory_words, word_bytes

    config = AcceleratorConfig()
    return (memory for memory in Memory if memory_words(config, memory) * word_bytes(config, memory))


def _held() -> Iterable[Memory]:
    from vitreous.reports.figures.memory_map import HOLDS

    return HOLDS


def _memories_costed() -> Iterable[Memory]:
    costed = set(_costed(AcceleratorConfig()))
    return (memory for memory in Memory if f"{memory.name.lower()}_reads" in costed)


def _coloured() -> Iterable[str]:
    from vitreous.reports.draw.colours import QUEUES

    return QUEUES


def _inferred() -> Iterable[Op]:
    from vitreous.spec.graph.infer import INFER

    return INFER
