"""The cost of one piece at any size: a linear fit of its formula over measured runs, and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitreous.reports.area.block_memory import GEOMETRIES
from vitreous.reports.area.pieces import Piece

Kind = Literal["measured", "interpolated", "extrapolated"]
_MAIN = ("lut", "um2")
"""The column by which a fit is judged: the largest one of its target."""


@dataclass(frozen=True)
class Run:
    """One measured run: sizes, and cost by column."""

    sizes: Mapping[str, float]
    cost: Mapping[str, float]


@dataclass(frozen=True)
class Estimate:
    """A cost by column. ``kind``: how it was obtained; ``error``: the largest relative error that the fit makes on
    one of its runs when that run is left out, judged by the largest column; None where no run can be left out.
    errors : the same for every column that a run left out can check.
    """

    cost: Mapping[str, float]
    kind: Kind
    error: float | None = None
    errors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Fit:
    """``cost = features @ coefficients`` of one piece and variant, by least squares over ``runs``."""

    piece: Piece
    target: str
    runs: tuple[Run, ...]
    columns: tuple[str, ...]

    def at(self, sizes: Mapping[str, float]) -> Estimate:
        """The measured run of these sizes, else the fit; never below zero."""
        for run in self.runs:
            if all(run.sizes.get(name) == value for name, value in sizes.items() if name != "blocks"):
                return Estimate(run.cost, "measured")
        used, coefficients = self._solution
        features = np.array(self.piece.features(sizes))[used]
        values = np.maximum(features @ coefficients, 0.0)
        cost = {c: float(v) for c, v in zip(self.columns, values, strict=True)}
        errors = dict(self.errors)
        if self.piece.memory and self.target in GEOMETRIES:
            cost["bram"] = sizes["blocks"]
            errors["bram"] = 0.0
        elif self.piece.memory and "bits" in cost:
            cost["bits"] = sizes["width"] * sizes["words"]
        kind: Kind = "interpolated" if self._inside(sizes) else "extrapolated"
        return Estimate(cost, kind, self.error, errors)

    def _inside(self, sizes: Mapping[str, float]) -> bool:
        """Every size, and every term of the formula, lies between the smallest and the largest measured one."""
        measured = [self.piece.with_blocks(run.sizes, self.target) for run in self.runs]
        sizes_inside = all(
            min(run[name] for run in measured) <= value <= max(run[name] for run in measured)
            for name, value in sizes.items()
        )
        features = np.array(self.piece.features(sizes))
        low, high = self._matrix.min(axis=0), self._matrix.max(axis=0)
        return sizes_inside and bool(np.all((low <= features) & (features <= high)))

    @cached_property
    def _matrix(self) -> NDArray[np.float64]:
        return np.array(
            [self.piece.features(self.piece.with_blocks(run.sizes, self.target)) for run in self.runs]
        )

    @cached_property
    def _values(self) -> NDArray[np.float64]:
        return np.array([[run.cost[c] for c in self.columns] for run in self.runs])

    @cached_property
    def _solution(self) -> tuple[list[int], NDArray[np.float64]]:
        used = self._terms
        solution = np.linalg.lstsq(self._matrix[:, used], self._values, rcond=None)[0]
        return used, solution.astype(np.float64)

    @cached_property
    def _terms(self) -> list[int]:
        """The core and as many further terms as make the error of a run left out least."""
        independent = _independent(self._matrix)
        core = max(1, sum(index < self.piece.core for index in independent))
        best, least = independent[:core], self._left_out(independent[:core])
        for length in range(core + 1, len(independent) + 1):
            error = self._left_out(independent[:length])
            if least is not None and error is not None and error < least:
                best, least = independent[:length], error
        return best

    @cached_property
    def error(self) -> float | None:
        """The largest relative error on a run that is left out of the fit; None where every run is needed."""
        return self._left_out(self._terms)

    @cached_property
    def errors(self) -> dict[str, float]:
        """The same by column, for the columns that it can be said of."""
        found = {c: self._left_out(self._terms, number) for number, c in enumerate(self.columns)}
        return {c: error for c, error in found.items() if error is not None}

    @cached_property
    def _main(self) -> int:
        return next(index for index, c in enumerate(self.columns) if c in _MAIN)

    def _left_out(self, used: list[int], column: int | None = None) -> float | None:
        """``|e / (1 - h)| / value``, h: the run's leverage on its own fit; None if a run alone decides a term."""
        a = self._matrix[:, used]
        leverage = np.diag(a @ np.linalg.pinv(a))
        truth = self._values[:, self._main if column is None else column]
        residual = truth - a @ np.linalg.lstsq(a, truth, rcond=None)[0]
        free = (leverage < 1 - 1e-6) & (truth > 0)
        if not free.any():
            return None
        return float(np.max(np.abs(residual[free] / (1 - leverage[free])) / truth[free]))


def _independent(matrix: NDArray[np.float64]) -> list[int]:
    """The leading columns that the runs can tell apart: with few runs the less important terms are left out."""
    used: list[int] = []
    for index in range(matrix.shape[1]):
        if np.linalg.matrix_rank(matrix[:, [*used, index]]) > len(used):
            used.append(index)
    return used
