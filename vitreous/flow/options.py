"""How a run is done, beside its model, its accelerator and its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitreous.spec.folders import SIMULATORS
from vitreous.spec.limits import MEMORY_LATENCY

if TYPE_CHECKING:
    from vitreous.reports import EnergyChoice


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is done, beside model, data, accelerator and folder.

    calibration_images : use so many; None for all that the model brings, and at most 256 of data that were given.
    test_images : use so many of the test data that were given; None for all. probability_bits None: 16 in attentions
    where the network's output gains from them, else 8. clock_mhz None: the report assumes one. energy None: the report
    takes its default technology and DRAM.
    """

    images: int = 1
    observer: str = "output"
    calibration_images: int | None = None
    test_images: int | None = None
    probability_bits: int | None = None
    checkpoint: str | Path | None = None
    memory_latency: int = MEMORY_LATENCY
    memory_throughput: int = 100
    clock_mhz: float | None = None
    energy: EnergyChoice | None = None
    build_root: Path = SIMULATORS
