"""What the machine can hold: accumulator bounds, requantization constants, field widths. Each failed check
is one sentence. What a graph cannot get wrong, because it checks it when it is made, is not here."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from vitreous.compiler.errors import CompileError
from vitreous.compiler.needs import Need, constant_need
from vitreous.spec.config import AcceleratorConfig, MemoryConfig
from vitreous.spec.graph import Graph, Node
from vitreous.spec.limits import ATTENTION_KEYS, LEVEL_MAXIMUM, REMAINDER_BITS
from vitreous.spec.numbers import ACCUMULATOR_BITS, MULTIPLIER_BITS, SHIFT_MAX, SHIFT_MIN
from vitreous.spec.ranges import Choice, ranges
from vitreous.spec.softmax import WIDE_BITS, context_bits, limits

OPERAND_MAXIMUM = 128
PROBABILITY_MAXIMUM = LEVEL_MAXIMUM >> REMAINDER_BITS
PLANE_MAXIMUM = 128
LIMIT = 1 << (ACCUMULATOR_BITS - 1)
SCORE_BUFFER = "S, the score buffer,"
PARTIAL_CONTEXTS = "the memory of partial contexts"


def where(node: Node) -> str:
    """How an error names a node."""
    return f"Node {node.name} ({node.op}) of layer {node.layer or '-'}"


def graph_fits(graph: Graph) -> None:
    """One image in, one tensor out, and every number of rows constant."""
    for entry in graph.tensors.values():
        if entry.rows_from is not None:
            raise CompileError(
                f"{graph.name}: {entry.name} has a number of rows that comes from data ({entry.rows_from}), and the "
                "machine takes constant ones only"
            )
    for what, entries in (("input", graph.inputs), ("output", graph.outputs)):
        if len(entries) != 1:
            raise CompileError(
                f"{graph.name} has the {what}s {', '.join(entry.name for entry in entries)}, and the machine takes "
                f"graphs with exactly one {what}"
            )
    if graph.input.dtype != "int8" or len(graph.input.shape) != 3:
        raise CompileError(
            f"{graph.name}: its input {graph.input.name} is {graph.input.type}, and the machine takes an int8 image "
            "[C, H, W]"
        )


def fold_zero_point(node: Node) -> np.ndarray:
    """``bias'[o] = bias[o] - input_zero_point * sum_k w[o, k]``, int32 [O].

    Raises CompileError when ``|bias| + 255 * sum |w|`` or ``|bias'| + 128 * sum |w|`` reaches 2**31.
    """
    weight = node.constants["weight"].astype(np.int64)
    bias = node.constants["bias"].astype(np.int64)
    folded: np.ndarray = bias - node.integer("input_zero_point") * weight.sum(axis=1)
    magnitude = np.abs(weight).sum(axis=1)
    bound = np.maximum(np.abs(bias) + 255 * magnitude, np.abs(folded) + OPERAND_MAXIMUM * magnitude)
    worst = int(bound.argmax())
    if bound[worst] >= LIMIT:
        raise CompileError(
            f"{where(node)}: output channel {worst} can reach {int(bound[worst])}, and an accumulator "
            "must stay below 2**31"
        )
    return folded.astype(np.int32)


def multipliers(node: Node, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """(multiplier, shift) of a REQUANTIZE, int64 [columns] each. Raises CompileError when one cannot be encoded."""
    pair = []
    for name, low, high in (
        ("multiplier", 1, (1 << MULTIPLIER_BITS) - 1),
        ("shift", SHIFT_MIN, SHIFT_MAX),
    ):
        values = np.atleast_1d(node.constants[name]).astype(np.int64)
        if values.shape not in ((1,), (columns,)):
            raise CompileError(f"{where(node)}: {name} must have 1 or {columns} values, not {values.shape}")
        if values.min() < low or values.max() > high:
            raise CompileError(
                f"{where(node)}: {name} must be in {low}..{high}, not {values.min()}..{values.max()}"
            )
        pair.append(np.broadcast_to(values, (columns,)))
    return pair[0], pair[1]


def bits(node: Node, allowed: tuple[int, ...]) -> int:
    """The width of a REQUANTIZE. A zero point is only possible with 8 bits."""
    value = node.integer("bits")
    if value not in allowed:
        raise CompileError(
            f"{where(node)}: requantizes to {value} bits where {' or '.join(map(str, allowed))} are needed"
        )
    if value != 8 and node.integer("zero_point"):
        raise CompileError(
            f"{where(node)}: a {value}-bit result has no zero point, but this has {node.integer('zero_point')}"
        )
    return value


def zero_point(node: Node) -> int:
    """The zero point attribute as a signed byte."""
    value = node.integer("zero_point")
    if not -128 <= value <= 127:
        raise CompileError(f"{where(node)}: zero_point must be in -128..127, not {value}")
    return value


def row_constants(node: Node) -> tuple[int, int]:
    """(m_o, s_o) of a SOFTMAX, LAYERNORM or RMSNORM, ``2**14 <= m_o < 2**15``."""
    multiplier, shift = node.integer("multiplier"), node.integer("shift")
    if not 1 << (MULTIPLIER_BITS - 1) <= multiplier < 1 << MULTIPLIER_BITS or not 1 <= shift <= SHIFT_MAX:
        raise CompileError(
            f"{where(node)}: needs 2**14 <= multiplier < 2**15 and shift in 1..{SHIFT_MAX}, not {multiplier}, {shift}"
        )
    return multiplier, shift


def activation_matches(node: Node, config: AcceleratorConfig) -> None:
    """The graph's GELU or SiLU must be the one that this accelerator has, in every field."""
    _matches(node, config, "activation", tuple(field.name for field in dataclasses.fields(config.activation)))


def norm_matches(node: Node, config: AcceleratorConfig) -> None:
    """The graph's layer norm or RMS norm must be computed as this accelerator does."""
    _matches(node, config, "norm", ("variant",))


def softmax_matches(node: Node, config: AcceleratorConfig) -> None:
    """The graph's softmax must be the one that this accelerator has, and its probabilities not more precise."""
    _matches(node, config, "softmax", ("variant", "fraction_bits"))
    wanted, built = node.integer("probability_bits"), config.softmax.probability_bits
    if wanted > built:
        raise CompileError(
            f"{where(node)}: quantized for {wanted} probability bits, but the accelerator multiplies "
            f"{built} (softmax.probability_bits)"
        )


def _matches(node: Node, config: AcceleratorConfig, part: str, names: tuple[str, ...]) -> None:
    for name in names:
        wanted, built = node.attributes[name], getattr(getattr(config, part), name)
        if wanted != built:
            raise CompileError(
                f"{where(node)}: quantized for {part}.{name} = {wanted}, but the accelerator has {built}"
            )


def attention_needs(
    node: Node, blocks: Sequence[range], head_columns: int, config: AcceleratorConfig, *, a_bits: int
) -> list[Need]:
    """Keys that the softmax is safe for, of which S holds a block; columns of a head between two blocks; what the
    products of attention can reach.

    blocks : of the keys of a row. a_bits : of a probability; 16 are two planes.
    """
    keys = blocks[-1].stop
    softmax = f"softmax.variant = {config.softmax.variant}"
    safe = constant_need(softmax, keys, limits(config.softmax).max_keys, "keys", where(node))
    slot = Need(
        what=SCORE_BUFFER,
        needed=max(map(len, blocks)),
        available=config.s_depth * config.array.depth,
        unit="keys",
        who=where(node),
        field="memory.score_keys",
        most=ATTENTION_KEYS,
    )
    reached = f"{where(node)} with {head_columns} channels a head and {keys} keys"
    accumulator = _attention_bound(blocks, head_columns, wide=a_bits > 8)
    largest = constant_need("a 32-bit accumulator", accumulator, LIMIT - 1, "steps", reached)
    if len(blocks) == 1:
        return [safe, slot, largest]
    offered = context_columns()
    partial = Need(
        what=PARTIAL_CONTEXTS,
        needed=next((size for size in offered if size >= head_columns), head_columns),
        available=config.memory.context_columns,
        unit="columns",
        who=f"{where(node)} with {head_columns} channels a head and {len(blocks)} blocks of keys",
        field="memory.context_columns",
        most=offered[-1],
        mendable=head_columns <= offered[-1],
    )
    return [safe, slot, partial, largest]


def context_columns() -> tuple[int, ...]:
    """The values that ``memory.context_columns`` may have, ascending."""
    _, known = ranges(MemoryConfig)["context_columns"]
    assert isinstance(known, Choice)
    return known.allowed


def _attention_bound(blocks: Sequence[range], head_columns: int, *, wide: bool) -> int:
    """The most that an accumulator of scores or context can reach. A shift to a larger maximum, which rounds, makes
    no partial context larger."""
    keys = blocks[-1].stop
    context = keys * OPERAND_MAXIMUM * PROBABILITY_MAXIMUM << context_bits(wide=wide, blocks=len(blocks))
    if wide:
        half = 1 << (WIDE_BITS - 1)
        context += sum((len(block) * OPERAND_MAXIMUM * PLANE_MAXIMUM + half) >> WIDE_BITS for block in blocks)
    return max(head_columns * OPERAND_MAXIMUM * OPERAND_MAXIMUM, context)


def at_most(node: Node, what: str, value: int, limit: int) -> Need:
    """``value <= limit``, of something that is the same in every machine."""
    return constant_need("the machine", value, limit, what, where(node))
