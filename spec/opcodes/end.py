"""END: the program is done once all queues are empty; dispatch itself executes it."""

from __future__ import annotations

from collections import Counter

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.opcodes.opcode import Accesses, Fields, OpcodeSpec


def accesses(i: Fields, config: AcceleratorConfig) -> Accesses:
    """None."""
    return Accesses()


def counts(i: Fields, config: AcceleratorConfig) -> Counter[str]:
    """None beside the instruction itself."""
    return Counter()


def line(i: Fields, config: AcceleratorConfig, moved: Accesses) -> str:
    """It has no fields."""
    return "all queues empty: done"


END = OpcodeSpec(None, (), accesses, counts, line, counted=())
