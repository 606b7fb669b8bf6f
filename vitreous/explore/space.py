"""What is explored: dimensions, technologies, limits and objectives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from vitreous.explore.fields import Value
from vitreous.explore.limits import Limits
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.limits import MEMORY_LATENCY


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A field and the values that it may take, in the file's order; a single one fixes the field."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What every design is costed for: energies, DRAM, clock, what area is counted in, and the memory's timing."""

    technology: str
    dram: str
    clock_mhz: float
    area: str = "xcup"
    memory_latency: int = MEMORY_LATENCY
    memory_throughput: int = 100

    @property
    def label(self) -> str:
        return f"{Path(self.technology).stem}, {self.dram}, {self.clock_mhz:g} MHz"


@dataclass(frozen=True, kw_only=True)
class Space:
    """A whole exploration. Every model with every target is a search of its own: their figures do not compare."""

    name: str
    models: tuple[str, ...]
    targets: tuple[Target, ...]
    base: AcceleratorConfig
    dimensions: tuple[Dimension, ...]
    objectives: tuple[str, ...]
    limits: Limits
    accuracy_images: int | None = None

    @property
    def searched(self) -> tuple[Dimension, ...]:
        return tuple(d for d in self.dimensions if len(d.values) > 1)

    @property
    def fixed(self) -> dict[str, Value]:
        return {d.name: d.values[0] for d in self.dimensions if len(d.values) == 1}

    @property
    def size(self) -> int:
        """How many combinations there are, including infeasible ones."""
        return math.prod(len(d.values) for d in self.dimensions)
