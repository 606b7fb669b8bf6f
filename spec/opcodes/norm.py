"""NORM: layer norm or RMS norm of row tiles of the residual stream, into a panel of X."""

from __future__ import annotations

from collections import Counter

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.layout import ceil_div
from vitreous.spec.opcodes.kinds import Field, Memory, Queue
from vitreous.spec.opcodes.opcode import Accesses, Fields, OpcodeSpec, Region
from vitreous.spec.variants import NORMS

FIELDS = (
    Field("r_base", 16),
    Field("r_stride", 16),
    Field("channels", 16),
    Field("row_tiles", 12),
    Field("x_base", 16),
    Field("x_stride", 16),
    Field("epsilon", 32),
    Field("multiplier", 15),
    Field("shift", 6),
    Field("zero_point", 8, signed=True),
    Field("centred", 1),
)


def has_mean_pass(i: Fields, config: AcceleratorConfig) -> bool:
    """Whether a NORM with fields ``i`` reads each tile once more, for its mean."""
    return NORMS[config.norm.variant].mean_pass and bool(i["centred"])


def accesses(i: Fields, config: AcceleratorConfig) -> Accesses:
    """The stream is read, the panel is written."""
    panel = ceil_div(i["channels"], config.array.depth)
    return Accesses(
        (Region(Memory.R, i["r_base"], i["channels"], i["row_tiles"], i["r_stride"]),),
        (Region(Memory.X, i["x_base"], panel, i["row_tiles"], i["x_stride"]),),
    )


def counts(i: Fields, config: AcceleratorConfig) -> Counter[str]:
    """Columns of every pass, and words of the panel."""
    columns = i["channels"] * i["row_tiles"]
    words = ceil_div(i["channels"], config.array.depth) * i["row_tiles"]
    passes = 2 + has_mean_pass(i, config)
    return Counter({"r_reads": passes * columns, "norm_columns": columns, "x_writes": words})


def line(i: Fields, config: AcceleratorConfig, moved: Accesses) -> str:
    """Channels and constants."""
    kind = "channels" if i["centred"] else "channels (RMS)"
    constants = f"m {i['multiplier']} s {i['shift']} epsilon {i['epsilon']} zero {i['zero_point']}"
    return f"{moved}; {i['channels']} {kind}, {constants}"


NORM = OpcodeSpec(Queue.VECTOR, FIELDS, accesses, counts, line, counted=("channels", "row_tiles", "centred"))
