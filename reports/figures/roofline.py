"""The roofline: MAC a second that each layer attains, against what the array, the bus and the memories allow.

A ceiling is either ``N**2 V G`` multiply-accumulates a cycle (flat) or a number of bytes a second (a slope): the DRAM
port gives ``beat bytes * throughput`` a cycle, a panel memory one word. A layer's intensity is its MAC over the bytes
that its own instructions move through that port. A layer whose operands were loaded while the previous one computed
can lie above the slope of DRAM: then that slope is no ceiling for it, and the array's is the one that it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vitreous.reports.figures.events import Events, dram_bytes
from vitreous.reports.figures.figures import LayerRow
from vitreous.reports.record.record import Record
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Memory
from vitreous.spec.layout import word_bytes

DRAM, PANELS, RESIDUAL = "DRAM", "panels", "residual"
ARRAY, LOADED_AHEAD = "array", "array, loaded ahead"


@dataclass(frozen=True, kw_only=True)
class Slope:
    """``bytes_per_second`` of a port; ``bytes_per_cycle`` at any clock. ``what`` says which ports it sums."""

    port: str
    what: str
    bytes_per_cycle: float
    bytes_per_second: float


@dataclass(frozen=True, kw_only=True)
class LayerPoint:
    """One layer: MAC a second, attained and allowed.

    dram_bytes, panel_bytes : moved by its instructions; intensity is MAC over DRAM bytes, None without any.
    roof : ``min(peak, intensity * DRAM bandwidth)``, and the peak where the layer lies above that, because its loads
    ran in the time of other layers; ``bound`` names which of these. So ``attained`` is never above ``roof``.
    """

    label: str
    macs: int
    dram_bytes: int
    panel_bytes: int
    attained: float
    intensity: float | None
    panel_intensity: float | None
    roof: float
    bound: str


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """``peak`` in MAC a second, slopes, and a point for each layer with products; ``whole`` is the whole image."""

    clock_mhz: float
    peak: float
    slopes: tuple[Slope, ...]
    points: tuple[LayerPoint, ...]
    whole: LayerPoint | None

    @property
    def ridge(self) -> float:
        """The intensity from which on the array is the limit, not DRAM: MAC a byte."""
        return self.peak / self.slopes[0].bytes_per_second


def slopes(config: AcceleratorConfig, clock_mhz: float, throughput: int) -> tuple[Slope, ...]:
    """DRAM first. ``throughput`` : beats of the memory for every 100 cycles."""
    panel, residual = word_bytes(config, Memory.X), word_bytes(config, Memory.R)
    entries = (
        (
            DRAM,
            f"AXI read port, {throughput} beats for every 100 cycles",
            config.bus.beat_bytes * throughput / 100,
        ),
        (PANELS, "a word of A and a word of B each cycle, from X, W or S", 2.0 * panel),
        (RESIDUAL, "a word of R each cycle", float(residual)),
    )
    return tuple(
        Slope(port=port, what=what, bytes_per_cycle=size, bytes_per_second=size * clock_mhz * 1e6)
        for port, what, size in entries
    )


def _panel_bytes(counts: Counter[str], config: AcceleratorConfig) -> int:
    # A word of S holds 16-bit scores, of which the array gets one word of 8-bit probabilities for each pass.
    return 2 * counts["array_busy"] * word_bytes(config, Memory.X)


def roofline(record: Record, rows: Sequence[LayerRow], events: Events, clock_mhz: float) -> Roofline:
    """From the layer table's rows, whose cycles are measured, and the events of the program's instructions."""
    config = record.accelerator
    peak = config.array.macs_per_cycle * clock_mhz * 1e6
    lines = slopes(config, clock_mhz, record.simulation.memory_throughput)

    def point(label: str, macs: int, cycles: float, done: Counter[str]) -> LayerPoint:
        outside, inside = dram_bytes(done, config), _panel_bytes(done, config)
        slope = lines[0].bytes_per_second * macs / outside if outside else float("inf")
        attained = macs / cycles * clock_mhz * 1e6
        # A whole image cannot load ahead of itself, a layer can.
        ahead = slope < min(peak, attained)
        return LayerPoint(
            label=label,
            macs=macs,
            dram_bytes=outside,
            panel_bytes=inside,
            attained=attained,
            intensity=macs / outside if outside else None,
            panel_intensity=macs / inside if inside else None,
            roof=peak if ahead else min(peak, slope),
            bound=LOADED_AHEAD if ahead else ARRAY if peak <= slope else DRAM,
        )

    points = tuple(
        point(row.label, row.macs, row.cycles, events.layers[row.label])
        for row in rows
        if row.macs and row.cycles
    )
    whole = None
    if record.model.macs:
        cycles = record.simulation.images[0].counters["cycles"]
        whole = point("whole image", record.model.macs, cycles, events.total)
    return Roofline(clock_mhz=clock_mhz, peak=peak, slopes=lines, points=points, whole=whole)
