"""How many cycles the host allows a run, from the cycle model."""

from __future__ import annotations

from vitreous.sim.cycles.model import predict
from vitreous.sim.dram import MemoryTiming
from vitreous.sim.errors import SimulationError
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import ErrorCode
from vitreous.spec.program import Program

FACTOR = 2
"""The model is within 1 % of the hardware on a memory that keeps its timing; a run of twice the time hangs."""
SLACK = 10_000
"""Cycles on top, so that a short program has time for a memory that is late."""
LONGEST = (1 << 32) - 1
"""What the register holds."""


def explanation(code: ErrorCode, limit: int) -> str:
    """What a host adds to the name of an error that no instruction caused; empty for the others."""
    if code is ErrorCode.CYCLE_LIMIT:
        return f": it was not done after {limit} cycles, the limit that the host set"
    if code is ErrorCode.BUS_SILENT:
        return ": the memory did not answer, reset it too"
    if code is ErrorCode.PARITY:
        return ": a bit of its state changed by itself; reset it, set its registers, and run again"
    return ""


def cycle_limit(program: Program, config: AcceleratorConfig, timing: MemoryTiming) -> int:
    """What register CYCLE_LIMIT should be: ``FACTOR`` times the predicted cycles and ``SLACK``, and ``LONGEST`` for a
    program that does not end in the model; 0, no limit, for one that takes longer than the register can say.

    Raises SimulationError when the program is for another accelerator.
    """
    try:
        limit = FACTOR * predict(program, config, timing).cycles + SLACK
    except SimulationError:
        if program.config_digest != config.digest:
            raise
        return LONGEST  # the machine says better than the model why it does not end
    return limit if limit <= LONGEST else 0
