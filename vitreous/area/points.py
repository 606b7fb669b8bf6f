"""The configurations in which the pieces of an accelerator are measured.

A piece depends on few fields, so one configuration varies the fields of several pieces at once: between them, every
variant of every piece occurs and every term of every formula varies. ``edge64`` and ``edge256`` are measured whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from vitreous.reports.area.pieces import PIECES
from vitreous.spec.config import AcceleratorConfig, load_accelerator
from vitreous.spec.variants import (
    ACTIVATIONS,
    FUNCTIONS,
    MULTIPLIERS,
    ActivationVariant,
    Multiplier,
    NormVariant,
    SoftmaxVariant,
    in_hardware,
)

Point = tuple[AcceleratorConfig, tuple[str, ...]]
ALL = tuple(piece.name for piece in PIECES)
MEMORIES = tuple(piece.name for piece in PIECES if piece.memory)
_LANES = (
    "array",
    "partial",
    "epilogue",
    "activation",
    "statistics",
    "prologue",
    "feed",
    "vector",
    "load",
    "store",
)
_NONLINEAR = ("array", "statistics", "prologue", "activation", "feed")
_BUS = ("load", "store", "fetch", "channel", "queue")
_SMALL = {"activation_kib": 4, "weight_kib": 4, "residual_kib": 4, "parameter_entries": 256, "score_keys": 64}
"""Only the memory pieces depend on these, and a large memory takes long to write out."""
_WIDE = {"probability_bits": 16}
"""The rarer width: two planes."""


def points() -> Iterator[Point]:
    """Configurations, each with the names of the pieces that are measured in it."""
    listed = [
        (load_accelerator("edge64"), ALL),
        (_point(8, 1), (*_LANES, "memory_s")),
        *_linear(),
        *_mixed(),
    ]
    yield from listed
    yield from _further([config for config, _ in listed])
    # Last, because these take longest.
    yield (
        load_accelerator("square256"),
        ("partial", "epilogue", "activation", "statistics", "prologue", "feed", "vector", *MEMORIES),
    )
    yield load_accelerator("edge256"), ALL


def _point(
    lanes: int,
    depth: int,
    *,
    multiplier: str = "plain",
    softmax: dict[str, Any] | None = None,
    activation: dict[str, Any] | None = None,
    norm: str = "one_pass",
    bus: dict[str, Any] | None = None,
    queue: int = 8,
) -> AcceleratorConfig:
    base = load_accelerator("edge64")
    # A sum in a DSP block is as wide as the depth of W can make it.
    kind = Multiplier(multiplier)
    deep = {"weight_kib": base.memory.weight_kib} if MULTIPLIERS[kind].in_blocks else {}
    memory: dict[str, Any] = {**_SMALL, **deep}
    return replace(
        base,
        array=replace(base.array, lanes=lanes, depth=depth, multiplier=kind),
        memory=replace(base.memory, **memory),
        softmax=replace(base.softmax, **(softmax or {})),
        activation=replace(base.activation, **(activation or {})),
        norm=replace(base.norm, variant=NormVariant(norm)),
        bus=replace(base.bus, **(bus or {})),
        queue=replace(base.queue, depth=queue),
    )


def _linear() -> Iterator[Point]:
    """Sizes of the pieces that have no variants, beside variants of others."""
    online, ibert, ita = {"variant": "online"}, {"variant": "ibert"}, {"variant": "ita"}
    yield (
        _point(
            4,
            1,
            softmax=online,
            activation={"variant": "poly"},
            norm="two_pass",
            bus={"data_bits": 128},
            queue=2,
        ),
        (*_NONLINEAR, "partial", "vector", *_BUS),
    )
    yield (
        _point(
            4,
            8,
            softmax=_WIDE,
            activation={"variant": "shift"},
            bus={"data_bits": 256},
            queue=32,
        ),
        ("array", "partial", "prologue", "activation", "feed", "vector", *_BUS),
    )
    yield (
        _point(
            8, 1, multiplier="accumulate", softmax=ibert, activation={"variant": "table"}, norm="two_pass"
        ),
        (*_NONLINEAR, "partial", "vector"),
    )
    yield (
        _point(
            4,
            4,
            softmax=ita,
            activation={"fraction_bits": 20},
            bus={"outstanding_reads": 16, "burst_beats": 64},
        ),
        ("statistics", "prologue", "activation", "epilogue", "load", "store", "fetch"),
    )


def _mixed() -> Iterator[Point]:
    """Variants of array, softmax and activation."""
    # Not `online` in a wide panel: its prologue has a table with a port for each of the N*V lanes, and Yosys fails
    # on one of 32 ports for UltraScale+.
    silu = {"function": "silu", "range": 8.0}
    yield (
        _point(4, 4, multiplier="accumulate", softmax={"variant": "ibert", **_WIDE}, activation=silu),
        ("array", "prologue", "activation", "feed"),
    )
    yield (
        _point(
            8,
            4,
            multiplier="accumulate",
            softmax={"variant": "ita"},
            activation={**silu, "interpolate": False},
        ),
        ("array", "statistics", "prologue", "activation"),
    )
    yield (
        _point(
            4,
            1,
            multiplier="packed",
            softmax={"variant": "ita", **_WIDE},
            activation={**silu, "variant": "table"},
        ),
        ("array", "partial", "prologue", "activation", "feed"),
    )
    yield (
        _point(
            8,
            1,
            multiplier="packed",
            softmax={"variant": "online", **_WIDE},
            activation={**silu, "variant": "shift"},
        ),
        ("array", "partial", "statistics", "prologue", "activation", "feed"),
    )
    yield (
        _point(4, 4, multiplier="packed", softmax={"variant": "online"}, activation={"interpolate": False}),
        ("array", "partial", "statistics", "prologue", "activation"),
    )
    yield (
        _point(8, 4, multiplier="packed", softmax={"variant": "ibert"}, activation={"step_bits": 7}),
        ("array", "statistics", "prologue", "activation"),
    )
    yield (
        _point(4, 1, multiplier="accumulate", softmax={"fraction_bits": 6}),
        ("array", "statistics", "prologue"),
    )
    # Contexts of two byte planes, of blocks of keys and of whole rows.
    for lanes in (8, 16):
        yield _point(lanes, 1, softmax=_WIDE), ("partial",)
    yield _point(16, 1, softmax={"variant": "online", **_WIDE}), ("partial",)
    # The finest direct table, which `vitreous ablate` sets beside the default.
    yield _point(8, 4, activation={"variant": "table", "step_bits": 8}), ("activation",)


def _further(listed: Sequence[AcceleratorConfig]) -> Iterator[Point]:
    """Every variant that no ``listed`` configuration has, at one size."""
    smooth = {(config.activation.function, config.activation.variant) for config in listed}
    for variant in in_hardware(ActivationVariant):
        for function in ACTIVATIONS[variant].functions:
            if (function, variant) not in smooth:
                chosen = {"function": function, "variant": variant, "range": FUNCTIONS[function].usual_range}
                yield _point(8, 4, activation=chosen), ("activation", "feed")
                if variant is ActivationVariant.DELTA:
                    yield _point(8, 4, activation={**chosen, "interpolate": False}), ("activation",)
    for soft in sorted(set(in_hardware(SoftmaxVariant)) - {config.softmax.variant for config in listed}):
        for bits in (16, 8):
            chosen = {"variant": soft, "probability_bits": bits}
            yield _point(8, 4, softmax=chosen), ("statistics", "prologue", "feed")
    for norm in sorted(set(in_hardware(NormVariant)) - {config.norm.variant for config in listed}):
        yield _point(8, 4, norm=norm), ("vector",)
    for multiplier in sorted(set(Multiplier) - {config.array.multiplier for config in listed}):
        yield _point(8, 4, multiplier=multiplier), ("array",)
