"""How an exploration is done, whatever is explored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vitreous.spec.folders import SIMULATORS


@dataclass(frozen=True, kw_only=True)
class Options:
    """points : of every search. confirm : points of each front that run in RTL, at most.

    workers, scheduler : processes of this machine, or an existing Dask cluster. build_root : compiled simulators.
    calibration, test : files, folders or ``package.module:dataset`` in the place of the models' own images.
    """

    points: int = 100
    seed: int = 0
    workers: int = 1
    scheduler: str | None = None
    confirm: int = 8
    checkpoint: Path | None = None
    calibration: str | None = None
    test: str | None = None
    build_root: Path = SIMULATORS

    @property
    def words(self) -> list[str]:
        """The options of the model and its data, as `vitreous run` takes them too."""
        given = {"--checkpoint": self.checkpoint, "--calibration": self.calibration, "--test": self.test}
        return [word for name, value in given.items() if value is not None for word in (name, str(value))]
