"""NORM: layer norm or RMS norm of row tiles of the residual stream, into a panel of X; channels can be shifted."""

from __future__ import annotations

from collections import Counter

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.layout import SHIFTS_PER_WORD, ceil_div
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
    Field("shifted", 1),
    Field("shift_base", 16),
)


def has_mean_pass(i: Fields, config: AcceleratorConfig) -> bool:
    """Whether a NORM with fields ``i`` reads each tile once more, for its mean."""
    return NORMS[config.norm.variant].mean_pass and bool(i["centred"])


def shift_words(i: Fields) -> int:
    """Words of P that a NORM with fields ``i`` reads for each tile: none unless it is ``shifted``."""
    return ceil_div(i["channels"], SHIFTS_PER_WORD) if i["shifted"] else 0


def accesses(i: Fields, config: AcceleratorConfig) -> Accesses:
    """The stream and the shifts are read, the panel is written."""
    panel = ceil_div(i["channels"], config.array.depth)
    shifts = (Region(Memory.P, i["shift_base"], shift_words(i)),) if i["shifted"] else ()
    return Accesses(
        (Region(Memory.R, i["r_base"], i["channels"], i["row_tiles"], i["r_stride"]), *shifts),
        (Region(Memory.X, i["x_base"], panel, i["row_tiles"], i["x_stride"]),),
    )


def counts(i: Fields, config: AcceleratorConfig) -> Counter[str]:
    """Columns of every pass, words of shifts and of the panel."""
    columns = i["channels"] * i["row_tiles"]
    words = ceil_div(i["channels"], config.array.depth) * i["row_tiles"]
    passes = 2 + has_mean_pass(i, config)
    found = Counter({"r_reads": passes * columns, "norm_columns": columns, "x_writes": words})
    if i["shifted"]:
        found["p_reads"] = shift_words(i) * i["row_tiles"]
    return found


def line(i: Fields, config: AcceleratorConfig, moved: Accesses) -> str:
    """Channels and constants."""
    kind = "channels" if i["centred"] else "channels (RMS)"
    constants = f"m {i['multiplier']} s {i['shift']} epsilon {i['epsilon']} zero {i['zero_point']}"
    return f"{moved}; {i['channels']} {kind}, {constants}{', shifted' if i['shifted'] else ''}"


NORM = OpcodeSpec(
    Queue.VECTOR, FIELDS, accesses, counts, line, counted=("channels", "row_tiles", "centred", "shifted")
)
