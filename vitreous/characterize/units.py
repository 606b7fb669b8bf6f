"""``python -m vitreous.characterize.units``: measures every entry of the catalogue of nonlinear units and writes
their page.

Errors and accuracies come from ``golden``, costs from Yosys, latencies from the hardware. What takes long is kept in
the cache, so that a second run, or one after an interruption, does only what is missing or changed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vitreous.characterize import distributions
from vitreous.characterize import errors as unit_errors
from vitreous.characterize import models as unit_models
from vitreous.characterize.catalog import ALONE, Config, Entry, Part, catalogue
from vitreous.characterize.cost import per_lane, unit_cost
from vitreous.characterize.distributions import Shipped
from vitreous.characterize.models import Models
from vitreous.flow import recording
from vitreous.flow.display import Display
from vitreous.reports.synthesis.netlist import DEPTH_RULE
from vitreous.reports.synthesis.synthesis import FAMILIES, Family, tool
from vitreous.reports.units import page as unit_page
from vitreous.reports.units.units import COLUMNS, FILE, PartCost, UnitRow, Units
from vitreous.spec.config import AcceleratorConfig, ActivationConfig, NormConfig, SoftmaxConfig
from vitreous.spec.folders import SYNTHESIS
from vitreous.spec.storage import write_text
from vitreous.spec.variants import ActivationFunction, ActivationVariant, NormVariant, SoftmaxVariant

SOURCES = {
    "largest, mean, own, rounded, row sums": "golden against float64 (vitreous/characterize/errors.py) on "
    "the distributions "
    "above; golden equals the RTL bit for bit. The mean of softmax is the mean of the means of all distributions",
    "cycles": "the hardware's own constants (hw/), which the tests of each unit measure",
    "cost": "Yosys on the unit alone, flattened, without pads and retiming (reports/synthesis/synthesis.py "
    "says what counts as a "
    "LUT in each family); a lane is the slope between two widths of the unit",
    "levels": DEPTH_RULE,
    "accuracy": unit_models.ACCURACY,
    "layer": unit_models.LAYER,
    "safe range": "the limits in spec, which configuration, quant, compiler and golden enforce",
}


def costs(part: Part, family: Family, cache: Path) -> PartCost:
    """One part in one family. Raises ReportError."""
    if part.widths == ALONE:
        alone = unit_cost(lambda: part.make(1), part.name, family, cache=cache)
        lane = {c: float(getattr(alone, c)) for c in COLUMNS}
        return PartCost(
            part=part.name, family=family, lane=lane, shared=dict.fromkeys(COLUMNS, 0.0), depth=alone.depth
        )
    found = per_lane(part.make, part.name, family, lanes=part.widths, cache=cache)
    return PartCost(
        part=part.name,
        family=family,
        lane={c: found.lane[c] for c in COLUMNS},
        shared={c: found.shared[c] for c in COLUMNS},
        depth=found.depth,
    )


def _activation_errors(config: ActivationConfig, shipped: Shipped) -> dict[str, Any]:
    error = unit_errors.activation_error(config, shipped)
    x, y, truth = unit_errors.activation_values(config)
    return {
        "error_unit": "the function",
        "largest": error.largest,
        "mean": error.mean,
        "rounded": error.rounded,
        "curve": tuple(unit_errors.curve(x, y - truth, -8.0, 8.0)),
    }


def _softmax_errors(config: SoftmaxConfig, shipped: Shipped) -> dict[str, Any]:
    found = unit_errors.softmax_errors(config, shipped)
    worst = unit_errors.worst(found)
    return {
        "error_unit": "a probability",
        "largest": worst.largest,
        "mean": {"all": worst.mean},
        "scores": tuple(found),
    }


def _norm_errors(config: NormConfig) -> dict[str, Any]:
    truth, error = unit_errors.norm_values(config)
    return {
        "error_unit": "steps",
        "largest": float(error.max()),
        "mean": {"all": float(error.mean())},
        "curve": tuple(unit_errors.curve(truth, error, -128.0, 128.0)),
    }


def _division_errors(name: str) -> dict[str, Any]:
    reciprocal = name == "reciprocal"
    x, error = unit_errors.reciprocal_values() if reciprocal else unit_errors.root_values()
    return {
        "error_unit": "relative",
        "largest": float(np.abs(error).max()),
        "mean": {"all": float(np.abs(error).mean())},
        "curve": tuple(unit_errors.curve(x, error, 1.0, 2.0 if reciprocal else 4.0)),
    }


def errors(entry: Entry, shipped: Shipped) -> dict[str, Any]:
    """The fields of ``UnitRow`` that are about errors."""
    found: dict[str, Any] = {
        "error_unit": "",
        "largest": None,
        "mean": {},
        "rounded": None,
        "scores": (),
        "curve": (),
    }
    match entry.config:
        case ActivationConfig():
            found |= _activation_errors(entry.config, shipped)
        case SoftmaxConfig():
            found |= _softmax_errors(entry.config, shipped)
        case NormConfig():
            found |= _norm_errors(entry.config)
        case None if entry.name in ("reciprocal", "rsqrt"):
            found |= _division_errors(entry.name)
    return found


def exact(config: Config) -> Config:
    """The same function in float64."""
    if isinstance(config, ActivationConfig):
        return ActivationConfig(function=config.function, variant=ActivationVariant.EXACT, fraction_bits=16)
    return (
        SoftmaxConfig(variant=SoftmaxVariant.EXACT)
        if isinstance(config, SoftmaxConfig)
        else NormConfig(variant=NormVariant.EXACT)
    )


def _judged(entry: Entry, models: Models) -> dict[str, Any]:
    """Accuracy and layer error; of activation functions only GELU has them, because both models use it."""
    other = (
        isinstance(entry.config, ActivationConfig) and entry.config.function is not ActivationFunction.GELU
    )
    if entry.config is None or other:
        return {"correct": None, "layer": None}
    return {
        "correct": int(models.accuracy(entry.config)["correct"]),
        "layer": models.layer_error(entry.config, exact(entry.config)),
    }


def _row(entry: Entry, shipped: Shipped, models: Models, cost: Sequence[PartCost]) -> UnitRow:
    accelerator = AcceleratorConfig()
    names = ("name", "function", "variant", "formats", "throughput", "safe")
    return UnitRow(
        **{name: getattr(entry, name) for name in names},
        default=entry.config in (accelerator.softmax, accelerator.activation, accelerator.norm),
        latency=entry.latency(),
        cost=tuple(cost),
        **errors(entry, shipped),
        **_judged(entry, models),
    )


def _synthesized(
    entries: Sequence[Entry], families: Sequence[Family], cache: Path, display: Display
) -> dict[str, list[PartCost]]:
    cost: dict[str, list[PartCost]] = {entry.name: [] for entry in entries}
    jobs = [(entry, part, family) for family in families for entry in entries for part in entry.parts]
    with display.stage("synthesis") as stage:
        for index, (entry, part, family) in enumerate(jobs):
            stage.part(f"{part.name}, {family}", index, len(jobs))
            cost[entry.name].append(costs(part, family, cache))
        stage.note(f"{len(jobs)} parts and families, {tool()}")
    return cost


def _described(shipped: Shipped) -> dict[str, str]:
    """The distributions in words."""
    sets = list(distributions.score_rows(4096, shipped))
    channels = ", ".join(map(str, distributions.NORM_CHANNELS))
    return {
        **{f"activation, {name}": what for name, what in distributions.ACTIVATIONS.items()},
        "scores": f"{len(sets)} sets: flat rows, normal rows, and {sets[-1].what}",
        "layer norm": f"normal rows of {channels} channels, several deviations, with means of 0 and 4 deviations",
    }


def collect(cache: Path, families: Sequence[Family], display: Display) -> Units:
    """Measure every entry of the catalogue. Raises the rooms' own errors."""
    from vitreous.flow.steps import one_thread

    entries, models = catalogue(), Models(cache)
    cost = _synthesized(entries, families, cache, display)
    with display.stage("errors and accuracy") as stage, one_thread():
        shipped = distributions.shipped(cache)
        rows = []
        for index, entry in enumerate(entries):
            stage.part(entry.name, index, len(entries))
            rows.append(_row(entry, shipped, models, cost[entry.name]))
        truths: dict[str, Config] = {
            "softmax": SoftmaxConfig(),
            "gelu": ActivationConfig(),
            "layer norm": NormConfig(),
        }
        references = {"float": int(models.accuracy(None)["correct"])}
        references |= {
            name: int(models.accuracy(exact(config))["correct"]) for name, config in truths.items()
        }
        stage.note(f"{len(rows)} entries")
    return Units(
        rows=tuple(rows),
        images=int(models.accuracy(None)["images"]),
        references=references,
        distributions=_described(shipped),
        tool=tool(),
        sources=SOURCES,
        versions={name: recording.versions()[name] for name in ("python", "torch", "amaranth")},
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write ``units.md`` and ``units/*.svg`` to ``--docs`` and the data to ``--data``."""
    parser = argparse.ArgumentParser(prog="python -m vitreous.characterize.units", description=main.__doc__)
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of units.md (default: docs)")
    parser.add_argument(
        "--data", type=Path, default=FILE, help="file of the data (default: that of the report)"
    )
    parser.add_argument("--cache", type=Path, default=SYNTHESIS, help="folder of results that are kept")
    parser.add_argument("--family", action="append", choices=FAMILIES, help="may be repeated (default: all)")
    chosen = parser.parse_args(arguments)
    display = Display()
    try:
        units = collect(chosen.cache, chosen.family or FAMILIES, display)
    except KeyboardInterrupt:
        sys.exit("vitreous.characterize.units: interrupted; the same command resumes where it stopped")
    write_text(chosen.data, json.dumps(units.as_dict(), indent=1) + "\n")
    for path in unit_page.write(units, chosen.docs):
        display.line(str(path))


if __name__ == "__main__":
    main()
