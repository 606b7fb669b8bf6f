"""The pieces of which an accelerator's area is composed: what each one's cost depends on, and by which formula.

A piece is one instance of the RTL and everything below it that is not a piece itself. ``variant`` are the choices that
make it another circuit, ``sizes`` the numbers that scale it; ``terms`` is the form of its cost that follows from its
structure, most important first:

    cost(sizes) = sum over terms of coefficient * product of the sizes that the term names

Coefficients come from least squares over measured runs (``reports.area.area``), so a term says only how a cost can
grow.
N is ``array.lanes``, V ``array.depth``, B the bus in bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

from vitreous.reports.area.block_memory import GEOMETRIES, block_memories
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Queue
from vitreous.spec.layout import memory_words, word_bits
from vitreous.spec.numbers import INT8
from vitreous.spec.softmax import CODE, limits
from vitreous.spec.variants import ACTIVATIONS, MULTIPLIERS, ActivationVariant, SoftmaxVariant, in_hardware

Variant = tuple[str, ...]
Sizes = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One piece. ``group``: the block of the table that it belongs to; ``path``: its module below the top.

    copies : instances that are the same circuit, of which one is measured: the paths of the others.
    core : so many leading terms are always used; more of them where they predict runs that are left out better.
    optional : some configurations have no such piece.
    flags : sizes that are 1 for one variant and 0 for all others; a run that is older than a variant has 0.
    memory : it holds an on-chip memory, of ``width`` and ``words`` in ``sizes``; ``mask``: bits that are written at
        once, 0 for whole words. styled : ``memory.style`` says what that lies in.
    """

    name: str
    group: str
    path: str
    variant: Callable[[AcceleratorConfig], Variant]
    sizes: Callable[[AcceleratorConfig], Sizes]
    terms: tuple[str, ...]
    copies: tuple[str, ...] = ()
    core: int = 2
    optional: bool = False
    flags: tuple[str, ...] = ()
    memory: bool = False
    mask: int = 0
    styled: bool = False

    def key(self, config: AcceleratorConfig) -> tuple[Variant, tuple[tuple[str, float], ...]]:
        """Variant and sizes: configurations with the same key have the same piece."""
        return self.variant(config), tuple(sorted(self.sizes(config).items()))

    def with_blocks(self, sizes: Mapping[str, float], target: str) -> Sizes:
        """``sizes`` and, of a memory, ``blocks``: the block memories that it fills; 0 on a target without any."""
        if not self.memory:
            return dict(sizes)
        known = target in GEOMETRIES
        width, words = int(sizes["width"]), int(sizes["words"])
        return {**sizes, "blocks": block_memories(width, words, target, mask=self.mask) if known else 0}

    def features(self, sizes: Mapping[str, float]) -> list[float]:
        """The value of each term."""
        return [term_value(term, sizes) for term in self.terms]


def term_value(term: str, sizes: Mapping[str, float]) -> float:
    """``"N*N*V"`` with the values of ``sizes``; ``"1"`` is 1, and a size that this variant does not have is 0."""
    return prod(1.0 if factor == "1" else sizes.get(factor, 0.0) for factor in term.split("*"))


def _none(_: AcceleratorConfig) -> Variant:
    return ()


def _steering(config: AcceleratorConfig) -> Variant:
    """Of the pieces whose registers and queues have parity bits where the machine is protected."""
    return ("parity",) if config.protect.parity else ()


def _lanes(config: AcceleratorConfig) -> Sizes:
    return {"N": config.array.lanes}


def _words(config: AcceleratorConfig) -> Sizes:
    return {"N": config.array.lanes, "V": config.array.depth}


def _bus(config: AcceleratorConfig) -> Sizes:
    return {"B": config.bus.beat_bytes, "burst": config.bus.burst_beats}


def _array(config: AcceleratorConfig) -> Variant:
    return (config.array.multiplier,)


def _array_sizes(config: AcceleratorConfig) -> Sizes:
    """A sum in a DSP block is as wide as the depth of W can make it."""
    wide = {"W": config.memory.weight_kib} if MULTIPLIERS[config.array.multiplier].in_blocks else {}
    return {**_words(config), **wide}


def _planes(config: AcceleratorConfig) -> Variant:
    return (f"{config.softmax.probability_bits} bit",)


def _partial(config: AcceleratorConfig) -> Variant:
    """Contexts in parts: of blocks of keys, of byte planes alone, or none."""
    return ("blocks" if limits(config.softmax).blocks else "row", *_planes(config))


def _partial_sizes(config: AcceleratorConfig) -> Sizes:
    """A place for each column of a head, or of a tile."""
    blocks = limits(config.softmax).blocks
    return {
        "N": config.array.lanes,
        "columns": config.memory.context_columns if blocks else config.array.lanes,
    }


def _activation(config: AcceleratorConfig) -> Variant:
    activation = config.activation
    traits = ACTIVATIONS[activation.variant]
    kind = ("linear",) if traits.interpolates and activation.interpolate else ()
    return (activation.function, activation.variant, *kind)


def _activation_sizes(config: AcceleratorConfig) -> Sizes:
    activation = config.activation
    table = {"entries": activation.entries} if ACTIVATIONS[activation.variant].tabulated else {}
    return {"N": config.array.lanes, "fraction": activation.fraction_bits, **table}


def _epilogue_sizes(config: AcceleratorConfig) -> Sizes:
    return {"N": config.array.lanes, "fraction": config.activation.fraction_bits}


def _softmax(config: AcceleratorConfig) -> Variant:
    return (config.softmax.variant,)


def _statistics_sizes(config: AcceleratorConfig) -> Sizes:
    row = {"keys": config.memory.score_keys} if limits(config.softmax).passes > 1 else {}
    return {"N": config.array.lanes, "fraction": config.softmax.fraction_bits, **row}


def _prologue(config: AcceleratorConfig) -> Variant:
    return (config.softmax.variant, *_planes(config))


def _prologue_sizes(config: AcceleratorConfig) -> Sizes:
    return {**_words(config), "fraction": config.softmax.fraction_bits}


# Beside the variants of which most runs are.
_OTHER_ACTIVATIONS = [m for m in in_hardware(ActivationVariant) if m is not ActivationVariant.DELTA]
_OTHER_SOFTMAXES = [m for m in in_hardware(SoftmaxVariant) if m is not SoftmaxVariant.BASE2]


def _matrix_sizes(config: AcceleratorConfig) -> Sizes:
    """How long the units' pipelines are, and so the delay lines beside them, depends on the variants."""
    longer = {
        **{str(member): config.activation.variant is member for member in _OTHER_ACTIVATIONS},
        **{str(member): config.softmax.variant is member for member in _OTHER_SOFTMAXES},
        "wide": config.softmax.probability_bits == 16,
    }
    return {**_words(config), **{name: float(on) for name, on in longer.items()}}


def _norm(config: AcceleratorConfig) -> Variant:
    return (config.norm.variant, *_steering(config))


def _load_sizes(config: AcceleratorConfig) -> Sizes:
    return {**_words(config), **_bus(config), "reads": config.bus.outstanding_reads}


def _memory(width: Callable[[AcceleratorConfig], int], words: str) -> Callable[[AcceleratorConfig], Sizes]:
    return lambda config: {"width": width(config), "words": getattr(config, words)}


def _score_sizes(config: AcceleratorConfig) -> Sizes:
    return {
        **_words(config),
        "width": word_bits(config, isa.Memory.S),
        "words": memory_words(config, isa.Memory.S),
    }


def _panel_bits(config: AcceleratorConfig) -> int:
    return 8 * config.panel_word_bytes


def _residual_bits(config: AcceleratorConfig) -> int:
    return 8 * config.residual_word_bytes


def _parameter_bits(_: AcceleratorConfig) -> int:
    return 8 * isa.PARAMETER_BYTES


def _piece(
    name: str,
    group: str,
    path: str,
    variant: Callable[[AcceleratorConfig], Variant],
    sizes: Callable[[AcceleratorConfig], Sizes],
    *terms: str,
    copies: tuple[str, ...] = (),
    core: int = 2,
    optional: bool = False,
    flags: tuple[str, ...] = (),
    memory: bool = False,
    mask: int = 0,
    styled: bool = False,
) -> Piece:
    return Piece(
        name=name,
        group=group,
        path=path,
        variant=variant,
        sizes=sizes,
        terms=terms,
        copies=copies,
        core=core,
        optional=optional,
        flags=flags,
        memory=memory,
        mask=mask,
        styled=styled,
    )


def _scratchpad(letter: str, width: Callable[[AcceleratorConfig], int], words: str, mask: int = 0) -> Piece:
    """Ports shared among clients, and the memory."""
    name, sizes = f"memory_{letter.lower()}", _memory(width, words)
    group = f"memory {letter}"
    return _piece(
        name, group, name, _none, sizes, "width", "1", "blocks", memory=True, mask=mask, styled=True
    )


def _nothing(_: AcceleratorConfig) -> Sizes:
    return {}


_GEAR = ("1", "N*V", "B", "N")
_LATENCIES = ("wide", *map(str, (*_OTHER_ACTIVATIONS, *_OTHER_SOFTMAXES)))
PIECES: tuple[Piece, ...] = (
    # Multipliers, accumulators with shadow and column select, operand registers.
    _piece("array", "array", "matrix.array", _array, _array_sizes, "N*N*V", "N*N", "N*V", "N", "1"),
    _piece(
        "partial",
        "readout and epilogue",
        "matrix.partial",
        _partial,
        _partial_sizes,
        "N",
        "N*columns",
        "1",
        optional=True,
    ),
    _piece(
        "epilogue", "readout and epilogue", "matrix.epilogue", _none, _epilogue_sizes, "N", "1", "N*fraction"
    ),
    _piece(
        "activation",
        "activation",
        "matrix.epilogue.activation",
        _activation,
        _activation_sizes,
        "N",
        "1",
        "N*entries",
        "N*fraction",
    ),
    _piece(
        "statistics",
        "softmax",
        "matrix.scores.statistics",
        _softmax,
        _statistics_sizes,
        "N",
        "1",
        "N*fraction",
    ),
    _piece("prologue", "softmax", "matrix.scores.prologue", _prologue, _prologue_sizes, "N*V", "N", "1"),
    _piece(
        "feed",
        "operand and readout control",
        "matrix",
        _steering,
        _matrix_sizes,
        "1",
        "N*V",
        "N",
        *_LATENCIES,
        core=3 + len(_LATENCIES),
        flags=_LATENCIES,
    ),
    _piece("vector", "vector unit", "vector", _norm, _words, "N", "1", "N*V"),
    _piece("load", "load", "load", _steering, _load_sizes, *_GEAR, "reads", core=3),
    _piece("store", "store", "store", _steering, lambda c: {**_words(c), **_bus(c)}, *_GEAR, core=3),
    _piece("fetch", "fetch and queues", "fetch", _steering, _bus, "1", "B"),
    _piece("channel", "fetch and queues", "channel", _steering, lambda c: {"B": c.bus.beat_bytes}, "1", "B"),
    _piece("dispatch", "fetch and queues", "dispatch", _none, _nothing, "1"),
    _piece("tokens", "fetch and queues", "tokens", _steering, _nothing, "1"),
    _piece(
        "queue",
        "fetch and queues",
        "queue_load",
        _steering,
        lambda c: {"depth": c.queue.depth},
        "1",
        "depth",
        copies=tuple(f"queue_{queue.name.lower()}" for queue in Queue if queue is not Queue.LOAD),
    ),
    _piece("registers", "control", "registers", _steering, _nothing, "1"),
    _piece("control", "control", "control", _steering, _nothing, "1"),
    _piece("counters", "control", "counters", _none, _nothing, "1"),
    _piece("top", "control", "", _steering, _nothing, "1"),
    _scratchpad("X", _panel_bits, "x_depth", INT8.width),
    _scratchpad("W", _panel_bits, "w_depth"),
    _scratchpad("R", _residual_bits, "r_depth"),
    _scratchpad("P", _parameter_bits, "p_depth"),
    _piece(
        "memory_s",
        "memory S",
        "matrix.scores",
        _none,
        _score_sizes,
        "width",
        "1",
        "blocks",
        memory=True,
        mask=CODE.width,
    ),
)
