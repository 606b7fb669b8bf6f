"""LOAD: rows of words from DRAM to an on-chip memory."""

from __future__ import annotations

from collections import Counter

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.opcodes import transfer
from vitreous.spec.opcodes.kinds import Queue
from vitreous.spec.opcodes.opcode import Accesses, Fields, OpcodeSpec


def accesses(i: Fields, config: AcceleratorConfig) -> Accesses:
    """The words on the chip are written."""
    return Accesses(writes=(transfer.region(i),))


def counts(i: Fields, config: AcceleratorConfig) -> Counter[str]:
    """Beats and words."""
    return transfer.counts(i, config, "load_beats", "writes")


LOAD = OpcodeSpec(
    queue=Queue.LOAD,
    fields=transfer.TRANSFER,
    accesses=accesses,
    counts=counts,
    counted=transfer.COUNTED,
    line=transfer.line,
)
