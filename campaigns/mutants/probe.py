"""One mutant: simulate every prepared case on the hardware description of *this* tree and compare with the
recorded windows.

Run as ``python -m campaigns.mutants.probe CASES BUILD`` in a tree whose ``hw`` is mutated. Prints one JSON line
with the verdict. It imports
no torch: what is right was computed by golden before and is read from files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from vitreous.sim.errors import SimulationError
from vitreous.sim.run.build import build
from vitreous.sim.run.runtime import simulate
from vitreous.spec import program
from vitreous.spec.config import AcceleratorConfig


def probe(cases: Path, builds: Path) -> dict[str, object]:
    """The verdict: ``caught`` with the reason, ``survived``, or ``unbuildable`` (not a valid mutation)."""
    for folder in sorted(path for path in cases.iterdir() if path.is_dir()):
        compiled = program.load(folder / "program.safetensors")
        config = AcceleratorConfig.from_dict(compiled.config)
        limits = json.loads((folder / "limits.json").read_text())
        try:
            build(config, root=builds)
        except Exception as error:  # whatever breaks the build makes the mutation worthless
            return {"verdict": "unbuildable", "why": f"{type(error).__name__}: {error}"[:300]}
        try:
            images = list(np.load(folder / "images.npy", allow_pickle=False))
            run = simulate(
                compiled,
                images,
                config,
                folder=builds / f"run-{folder.name}",
                build_root=builds,
                maximum_cycles=limits["maximum_cycles"],
                trace=False,
            )
        except SimulationError as error:
            return {"verdict": "caught", "why": f"{folder.name}: {error}"[:160]}
        expected = np.load(folder / "windows.npy", allow_pickle=False)
        for image, window in zip(run.images, expected, strict=True):
            different = int((image.window != window).sum())
            if different:
                why = f"{folder.name}: {different} of {window.size} stored bytes differ"
                return {"verdict": "caught", "why": why}
    return {"verdict": "survived", "why": ""}


if __name__ == "__main__":
    print(json.dumps(probe(Path(sys.argv[1]), Path(sys.argv[2]))))
