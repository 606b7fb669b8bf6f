"""Which MATMUL fields the machine refuses with ILLEGAL_FIELD; docs/machine.md has the list in words."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Mux, Value
from amaranth.lib import data

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Activation, Memory, Operands, Scale
from vitreous.spec.softmax import limits


def illegal(fields: data.View[data.StructLayout], config: AcceleratorConfig) -> Value:
    """One bit: the MATMUL of these fields must not start on this accelerator."""
    to_panel = (fields.destination == Memory.X) | (fields.destination == Memory.W)
    to_scores = fields.destination == Memory.S
    from_scores = fields.operands == Operands.SW
    activation = fields.activation == Activation.SMOOTH
    depth = config.array.depth
    in_parts = ~(fields.first_block & fields.last_block)
    faults = [
        ~(to_panel | to_scores | (fields.destination == Memory.R)),
        fields.operands > max(Operands),
        fields.activation > max(Activation),
        (fields.k_words == 0) | (fields.row_tiles == 0) | (fields.columns == 0),
        (to_scores | from_scores) & (fields.row_tiles != 1),
        from_scores & (fields.k_words > config.s_depth),
        to_scores & (fields.columns > config.s_depth * depth),
        ~to_panel & (fields.activation != Activation.NONE),
        to_scores & ((fields.scale == Scale.SOFTMAX) | (fields.scale == Scale.LANE)),
        (fields.scale == Scale.SOFTMAX) & ~from_scores,
        (to_scores | activation) & ((fields.multiplier == 0) | (fields.shift == 0)),
        to_scores & ~fields.multiplier[-1],  # the row scale divides a normalized one
        from_scores & (to_scores | (fields.scale != Scale.SOFTMAX)),
        in_parts & (from_scores & (fields.columns > config.memory.context_columns)),
        in_parts & (to_scores | from_scores) & (not limits(config.softmax).blocks),
        fields.extra_planes & ~from_scores,
        fields.extra_planes & (config.softmax.probability_bits == 8),
    ]
    return Mux(reduce(or_, faults), 1, 0)
