"""An accelerator file for every point of a front, so that a design can be run as it was found."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from vitreous.explore.fields import QUANTIZATION
from vitreous.flow.accelerator import as_toml
from vitreous.reports.exploration.exploration import Exploration, ExploredPoint, Searched
from vitreous.spec.storage import write_text

FOLDER = "points"
_OPTIONS = {
    "observer": "--observer",
    "calibration_images": "--calibration-images",
    "probability_bits": "--probability-bits",
}
"""Of the quantization's fields those that `vitreous run` has an option for."""


def write(found: Exploration, folder: Path, given: Sequence[str]) -> dict[tuple[int, int], str]:
    """Write ``points/*.toml`` anew; the path of each file relative to ``folder``, by search and point.

    given : options of the model and its data that the exploration was begun with, for the command in each file.
    """
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    links = {}
    for number, searched in enumerate(found.searches):
        for point in searched.front:
            if point.config is None:
                continue
            stem = f"{point.number}" if len(found.searches) == 1 else f"{number}-{point.number}"
            name = f"{FOLDER}/{stem}.toml"
            write_text(folder / name, accelerator_file(found, searched, point, folder / name, given))
            links[number, point.number] = name
    return links


def accelerator_file(
    found: Exploration, searched: Searched, point: ExploredPoint, path: Path, given: Sequence[str] = ()
) -> str:
    """The text of the file: where the point is from, the command that runs it, and every field of its accelerator."""
    assert point.config is not None
    figures = ", ".join(
        f"{goal.name} {point.figures[goal.figure]:.4g} {goal.unit}".rstrip() for goal in found.goals
    )
    chosen = {
        name.partition(".")[2]: value
        for name, value in {**found.fixed, **point.settings}.items()
        if name.partition(".")[0] == QUANTIZATION
    }
    words = [f"{_OPTIONS[name]} {value}" for name, value in chosen.items() if name in _OPTIONS]
    words += [f"--clock {searched.clock_mhz:g} --technology {searched.technology} --dram {searched.dram}"]
    left = [f"{name} = {value}" for name, value in chosen.items() if name not in _OPTIONS]
    lines = [
        f"Point {point.number} of {found.name}, {searched.label}; estimated: {figures}.",
        f"  vitreous run {' '.join([searched.model, '--accelerator', str(path), *given, *words])} --out build/point",
        *([f"Quantization that the command has no option for: {', '.join(left)}."] if left else []),
    ]
    return as_toml(point.config, "\n".join(lines))
