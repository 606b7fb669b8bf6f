"""The simulated DRAM as data: its size, which a program decides, and its timing; no simulator is needed here."""

from __future__ import annotations

from dataclasses import dataclass

from vitreous.sim.errors import SimulationError
from vitreous.spec import layout
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.limits import MEMORY_LATENCY, WINDOW_ALIGN
from vitreous.spec.program import Program

LEAST_BITS = 26
"""The simulated DRAM has at least this many address bits: 64 MiB, so that most programs share one simulator."""
MOST_BITS = 32
"""Of an address on the bus."""


@dataclass(frozen=True, kw_only=True)
class MemoryTiming:
    """The simulated DRAM: cycles from an accepted address to its first beat, and beats for every 100 cycles."""

    latency: int = MEMORY_LATENCY
    throughput: int = 100

    def __post_init__(self) -> None:
        if self.latency < 1:
            raise SimulationError(f"The memory latency must be at least 1 cycle, not {self.latency}")
        if not 1 <= self.throughput <= 100:
            raise SimulationError(
                f"The memory throughput must be in 1..100 beats per 100 cycles, not {self.throughput}"
            )


def check_program(program: Program, config: AcceleratorConfig) -> None:
    """Raises SimulationError when the program is for another accelerator or needs more DRAM than addresses reach."""
    if program.config_digest != config.digest:
        raise SimulationError(
            f"The program was compiled for configuration {program.config_digest}, "
            f"the accelerator {config.name} has {config.digest}"
        )
    if _needed(program) > 1 << MOST_BITS:
        raise SimulationError(
            f"The program needs {_needed(program)} bytes of DRAM, and {MOST_BITS}-bit addresses reach {1 << MOST_BITS}"
        )


def memory_bits(*programs: Program) -> int:
    """log2 of the bytes of a simulated DRAM that holds any of ``programs``."""
    return max(LEAST_BITS, *((_needed(program) - 1).bit_length() for program in programs))


def _needed(program: Program) -> int:
    """Bytes of both windows."""
    return write_base(program) + program.write_size


def write_base(program: Program) -> int:
    """Where the write window begins, in bytes: behind what the program reads, aligned."""
    return layout.align(program.read_size, WINDOW_ALIGN)
