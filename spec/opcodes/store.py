"""STORE: rows of words of X, W or R to the write window in DRAM."""

from __future__ import annotations

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.opcodes import transfer
from vitreous.spec.opcodes.kinds import Queue
from vitreous.spec.opcodes.opcode import Accesses, Fields


def accesses(i: Fields, config: AcceleratorConfig) -> Accesses:
    """The words on the chip are read."""
    return Accesses(reads=(transfer.region(i),))


STORE = transfer.opcode(Queue.STORE, accesses, beats="store_beats", access="reads")
