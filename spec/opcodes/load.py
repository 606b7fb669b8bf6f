"""LOAD: rows of words from DRAM to an on-chip memory."""

from __future__ import annotations

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.opcodes import transfer
from vitreous.spec.opcodes.kinds import Queue
from vitreous.spec.opcodes.opcode import Accesses, Fields


def accesses(i: Fields, config: AcceleratorConfig) -> Accesses:
    """The words on the chip are written."""
    return Accesses(writes=(transfer.region(i),))


LOAD = transfer.opcode(Queue.LOAD, accesses, beats="load_beats", access="writes")
