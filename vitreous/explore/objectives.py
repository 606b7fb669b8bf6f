"""What a point is judged by: its figures, and which of them may be objectives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vitreous.characterize.approx import EXCHANGE, Exchange
from vitreous.errors import RunError
from vitreous.explore.evaluation import Accuracy, Cycles
from vitreous.explore.space import Target
from vitreous.reports.area.area import area, measurements
from vitreous.reports.energy.energy import energy
from vitreous.reports.energy.technology import load_technology
from vitreous.spec.config import AcceleratorConfig
from vitreous.studies.estimate import latency_ms

CELLS = "um2"
CELL_UNIT = "µm²"
"""The column of an area that counts silicon, memories left out; where it is empty, an FPGA's resources count."""


def area_unit(family: str) -> str:
    """What ``area`` is in. Raises RunError where an area of ``family`` is not one number."""
    if CELLS in measurements(family).columns:
        return CELL_UNIT
    _exchange(family)
    return "LUT equivalents"


def _exchange(family: str) -> Exchange:
    for known, exchange in EXCHANGE.items():
        if known == family:
            return exchange
    raise RunError(f"What a DSP block counts in an area is known for {', '.join(EXCHANGE)}, not for {family}")


@dataclass(frozen=True, kw_only=True)
class Objective:
    """``figure`` of a point, to be made small or large. how : one word of ``reports.record.provenance``, and a
    sentence."""

    figure: str
    unit: str
    maximize: bool
    how: str
    meaning: str


OBJECTIVES: Mapping[str, Objective] = {
    "latency": Objective(
        figure="latency_ms", unit="ms", maximize=False, how="modelled",
        meaning="cycles of the cycle model for one image at the given clock",
    ),
    "energy": Objective(
        figure="energy_mj", unit="mJ", maximize=False, how="modelled",
        meaning="typical energy of one image: events of the cycle model, DRAM and static power; with its range",
    ),
    "area": Objective(
        figure="area", unit="LUT equivalents", maximize=False, how="modelled",
        meaning="composed of measured blocks; on an FPGA each DSP and block of memory counts as many LUTs as a "
        "device has for each; of standard cells without memories",
    ),
    "accuracy": Objective(
        figure="accuracy", unit="", maximize=True, how="measured",
        meaning="golden on the model's labelled test images; without labels the fraction of images to which float "
        "model and integer graph give the same class",
    ),
    "fidelity": Objective(
        figure="fidelity_db", unit="dB", maximize=True, how="measured",
        meaning="golden on the model's test images: power of the float model's logits over that of their error, "
        "to 1 dB: less is noise over few images",
    ),
}  # fmt: skip


def area_figures(config: AcceleratorConfig, family: str) -> dict[str, float]:
    """``lut, ff, dsp, bram``, ``uram`` where there is some, or ``um2``, and ``area`` in LUT equivalents or in um2, with
    its range by the errors of the formulas (``reports.area.area.Area.errors``). Raises ReportError.
    """
    composed = area(config, family)
    total = composed.total
    columns = ("lut", "ff", "dsp", "bram", "uram", CELLS, "bits")
    found = {name: float(getattr(total, name)) for name in columns if getattr(total, name, None)}
    if found.get(CELLS):
        weights = {CELLS: 1.0}
    else:
        exchange = _exchange(family)
        weights = {"lut": 1.0, "dsp": exchange.dsp, "bram": exchange.bram, "uram": exchange.uram}
    whole = sum(weight * found.get(name, 0.0) for name, weight in weights.items())
    off = sum(w * found.get(name, 0.0) * composed.errors.get(name, 0.0) for name, w in weights.items())
    return {**found, "area": whole, "area_low": whole - off, "area_high": whole + off}


def cost_figures(config: AcceleratorConfig, target: Target, cycles: Cycles) -> dict[str, float]:
    """Cycles, latency, and energy with its range, of one image. Raises ReportError."""
    tables = load_technology(target.technology)
    spent = energy(cycles.counters, config, tables, dram=target.dram, clock_mhz=target.clock_mhz)
    return {
        "cycles": cycles.cycles,
        "latency_ms": latency_ms(cycles.cycles, target.clock_mhz),
        "energy_low_mj": 1e3 * spent.total.low,
        "energy_mj": 1e3 * spent.total.typical,
        "energy_high_mj": 1e3 * spent.total.high,
        "power_w": spent.power_w.typical,
    }


def accuracy_figures(accuracy: Accuracy) -> dict[str, float]:
    """``accuracy`` (the share of correct images, or of agreeing ones), ``agreement`` and ``fidelity_db``."""
    agreement = accuracy.agree / accuracy.images
    share = agreement if accuracy.correct is None else accuracy.correct / accuracy.images
    return {"accuracy": share, "agreement": agreement, "fidelity_db": float(round(accuracy.fidelity_db))}
