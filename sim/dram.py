"""The simulated DRAM as data: its size, its timing, and whether a program fits; no simulator is needed here."""

from __future__ import annotations

from dataclasses import dataclass

from vitreous.sim.errors import SimulationError
from vitreous.spec import layout
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.limits import MEMORY_LATENCY, WINDOW_ALIGN
from vitreous.spec.program import Program

DRAM_BYTES = 1 << 26


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
    """Raises SimulationError when the program is for another accelerator or needs more DRAM than the bench has."""
    if program.config_digest != config.digest:
        raise SimulationError(
            f"The program was compiled for configuration {program.config_digest}, "
            f"the accelerator {config.name} has {config.digest}"
        )
    needed = write_base(program) + program.write_size
    if needed > DRAM_BYTES:
        raise SimulationError(f"The program needs {needed} bytes of DRAM, the bench has {DRAM_BYTES}")


def write_base(program: Program) -> int:
    """Where the write window begins, in bytes: behind what the program reads, aligned."""
    return layout.align(program.read_size, WINDOW_ALIGN)
