"""What the precision of probabilities costs and is worth, for each attention: the data of a report's table."""

from __future__ import annotations

from typing import Any

from vitreous.compiler.operations import Attention, Operation
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.graph import Graph
from vitreous.spec.layout import ceil_div


def context_cycles(attention: Attention, config: AcceleratorConfig, *, a_bits: int) -> int:
    """Cycles of the array for probabilities of ``a_bits`` times values, all heads and query tiles, without any waiting.

    ``passes * heads * query tiles * ceil(d / N)`` times the sum over the blocks of keys of ``max(ceil(keys / V), N)``;
    each plane of 8 bits is a pass.
    """
    lanes, depth = config.array.lanes, config.array.depth
    tiles = ceil_div(attention.query.rows, lanes) * ceil_div(attention.head_columns, lanes)
    row = sum(max(ceil_div(len(block), depth), lanes) for block in attention.blocks)
    return attention.heads * tiles * row * ceil_div(a_bits, 8)


def attention_widths(
    operations: tuple[Operation, ...], graph: Graph, config: AcceleratorConfig
) -> list[dict[str, Any]]:
    """One entry for each attention, in order: its precision, its cycles with 8 and 16 bits, what calibration measured.

    ``measured`` is what ``quant.calibrate.precision`` left in the graph's notes, by precision; empty where nothing is.
    ``gain`` is of ``quant.calibrate.widths``; None where it tried no attention alone.
    """
    known = {entry["name"]: entry for entry in graph.notes.get("attention", {}).get("layers", ())}
    return [
        {
            "name": operation.output,
            "layer": operation.layer,
            "heads": operation.heads,
            "queries": operation.query.rows,
            "keys": operation.key.rows,
            "probability_bits": operation.a_bits,
            "cycles": {
                "8": context_cycles(operation, config, a_bits=8),
                "16": context_cycles(operation, config, a_bits=16),
            },
            "measured": known.get(operation.output, {}).get("measured", {}),
            "gain": known.get(operation.output, {}).get("gain"),
        }
        for operation in operations
        if isinstance(operation, Attention)
    ]


def width_choice(graph: Graph) -> dict[str, Any]:
    """Who chose the precisions and by which errors of the output, as the graph's notes say; empty where they do not."""
    return {name: value for name, value in graph.notes.get("attention", {}).items() if name != "layers"}
