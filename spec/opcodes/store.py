"""STORE: rows of words of X, W or R to the write window in DRAM."""

from __future__ import annotations

from collections import Counter

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.opcodes import transfer
from vitreous.spec.opcodes.kinds import Queue
from vitreous.spec.opcodes.opcode import Accesses, Fields, OpcodeSpec


def accesses(i: Fields, config: AcceleratorConfig) -> Accesses:
    """The words on the chip are read."""
    return Accesses(reads=(transfer.region(i),))


def counts(i: Fields, config: AcceleratorConfig) -> Counter[str]:
    """Beats and words."""
    return transfer.counts(i, config, "store_beats", "reads")


STORE = OpcodeSpec(
    queue=Queue.STORE,
    fields=transfer.TRANSFER,
    accesses=accesses,
    counts=counts,
    counted=transfer.COUNTED,
    line=transfer.line,
)
