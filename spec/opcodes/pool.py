"""POOL: the mean over tokens of row tiles of the residual stream."""

from __future__ import annotations

from collections import Counter

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.opcodes.kinds import Field, Memory, Queue
from vitreous.spec.opcodes.opcode import Accesses, Fields, OpcodeSpec, Region

FIELDS = (
    Field("r_base", 16),
    Field("r_stride", 16),
    Field("channels", 16),
    Field("row_tiles", 12),
    Field("tokens", 16),
    Field("first", 8),
    Field("o_base", 16),
    Field("multiplier", 15),
    Field("shift", 6),
)


def accesses(i: Fields, config: AcceleratorConfig) -> Accesses:
    """Tokens are read, one tile is written."""
    return Accesses(
        (Region(Memory.R, i["r_base"], i["channels"], i["row_tiles"], i["r_stride"]),),
        (Region(Memory.R, i["o_base"], i["channels"]),),
    )


def counts(i: Fields, config: AcceleratorConfig) -> Counter[str]:
    """Words of R."""
    return Counter({"r_reads": i["channels"] * i["row_tiles"], "r_writes": i["channels"]})


def line(i: Fields, config: AcceleratorConfig, moved: Accesses) -> str:
    """Tokens and constants."""
    return f"{moved}; mean of tokens {i['first']}..{i['tokens'] - 1}, m {i['multiplier']} s {i['shift']}"


POOL = OpcodeSpec(Queue.VECTOR, FIELDS, accesses, counts, line, counted=("channels", "row_tiles"))
