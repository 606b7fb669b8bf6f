"""Calibration observers: what range of real values an integer tensor should cover.

All three kinds keep one histogram of ``2 * HALF`` bins around zero whose width is a power of two and doubles, by adding
neighbouring bins, when a value falls outside. So memory is bounded, any split in batches gives the same counts, and a
bin is at most 1/1024 of the largest magnitude: at least eight bins for one step of an int8 tensor.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from vitreous.quant._torchao import ObserverBase

HALF = 2048
_SEARCH = 80


class RangeObserver(ObserverBase):
    """Collects the values of one tensor and proposes an int8 or int16 scale and zero point.

    Parameters
    ----------
    method : ``minmax``, ``percentile`` or ``mse``.
    percentile : percent of values inside the two-sided ``percentile`` range.
    symmetric : zero point 0 and a range ``-a .. a``; otherwise ``[low, high]`` with ``low <= 0 <= high``.
    row : observe only these tokens of ``[B, T, D]``; None for all.
    dtype : ``torch.int8`` or ``torch.int16``.
    """

    def __init__(
        self,
        dtype: torch.dtype = torch.int8,
        *,
        method: str = "minmax",
        percentile: float = 99.99,
        symmetric: bool = True,
        row: slice | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype)
        self.method, self.percentile, self.symmetric, self.row = method, percentile, symmetric, row
        self.low, self.high = math.inf, -math.inf
        self.width = 0.0
        self.counts = torch.zeros(2 * HALF, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        """Count the values of ``x`` and return it."""
        seen = x.detach()
        if self.row is not None and seen.dim() == 3 and seen.shape[1] > 1:
            seen = seen[:, self.row]
        low, high = float(seen.min()), float(seen.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        if self.method != "minmax":
            self._count(seen.reshape(-1).double(), max(abs(low), abs(high)))
        return x

    def _count(self, values: Tensor, largest: float) -> None:
        if not math.isfinite(largest):
            return
        if largest > 0 and self.width == 0:
            # Nothing but zeros so far: they are in the bin right of zero at any width.
            self.width = 2.0 ** math.ceil(math.log2(largest / HALF))
        while largest > self.width * HALF:
            quarter = torch.zeros(HALF // 2, dtype=torch.float64)
            self.counts = torch.cat([quarter, self.counts.reshape(-1, 2).sum(1), quarter])
            self.width *= 2
        bins = (values / self.width).floor() if self.width else torch.zeros_like(values)
        index = (bins.long() + HALF).clamp(0, 2 * HALF - 1)
        self.counts += torch.bincount(index, minlength=2 * HALF).double()

    @property
    def centers(self) -> Tensor:
        """The middle of each bin."""
        return (torch.arange(-HALF, HALF, dtype=torch.float64) + 0.5) * self.width

    def interval(self) -> tuple[float, float]:
        """The chosen real range ``(low, high)``, ``low <= 0 <= high``; ``low = -high`` when symmetric."""
        return self.interval_by(self.method)

    def interval_by(self, method: str) -> tuple[float, float]:
        """``interval`` by another method; only ``minmax`` where this one is ``minmax``, which keeps no histogram."""
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        if self.symmetric:
            high = max(-low, high)
            low = -high
        if method == "minmax" or self.width == 0 or high == low:
            return low, high
        if method == "percentile":
            return self._percentile(low, high)
        return self._least_error(low, high)

    def _percentile(self, low: float, high: float) -> tuple[float, float]:
        """Cut equal shares of the values from both ends (of the magnitudes when symmetric)."""
        share = 1 - self.percentile / 100
        if self.symmetric:
            magnitudes = self.counts[HALF:] + self.counts[:HALF].flip(0)
            edge = min(high, self._edge(magnitudes, share))
            return -edge, edge
        upper = self._edge(
            self.counts[HALF:], share / 2 * self.counts.sum() / self.counts[HALF:].sum().clamp(min=1)
        )
        below = self.counts[:HALF].flip(0)
        lower = self._edge(below, share / 2 * self.counts.sum() / below.sum().clamp(min=1))
        return max(low, -lower), min(high, upper)

    def _edge(self, counts: Tensor, share: float | Tensor) -> float:
        """The upper edge of the bin below which all but ``share`` of ``counts`` lie."""
        total = float(counts.sum())
        if total == 0:
            return 0.0
        inside = counts.cumsum(0) >= total * (1 - float(share)) - 1e-9 * total
        return (int(inside.nonzero()[0]) + 1) * self.width if bool(inside.any()) else HALF * self.width

    def _least_error(self, low: float, high: float) -> tuple[float, float]:
        """The range with the least squared error: shrunk in steps of 1/80 from both ends, then from each."""
        used = self.counts.nonzero().squeeze(1)
        values, counts = self.centers[used], self.counts[used]
        fractions = torch.arange(_SEARCH, 0, -1, dtype=torch.float64) / _SEARCH
        lows, highs = low * fractions, high * fractions
        low, high = self._best(values, counts, lows, highs)
        if not self.symmetric:
            low, high = self._best(values, counts, lows, torch.full_like(highs, high))
            low, high = self._best(values, counts, torch.full_like(lows, low), highs)
        return low, high

    def _best(self, values: Tensor, counts: Tensor, lows: Tensor, highs: Tensor) -> tuple[float, float]:
        errors = []
        for low, high in zip(lows.tolist(), highs.tolist(), strict=True):
            scale, zero_point = scale_of(low, high, self.symmetric, self.dtype)
            errors.append(
                float((counts * (rounded(values, scale, zero_point, self.dtype) - values) ** 2).sum())
            )
        best = int(torch.tensor(errors, dtype=torch.float64).argmin())
        return float(lows[best]), float(highs[best])

    def calculate_qparams(self, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """``(scale, zero point)`` as tensors of one element, the form that torchao reads."""
        scale, zero_point = scale_of(*self.interval(), self.symmetric, self.dtype)
        return torch.tensor([scale], dtype=torch.float64), torch.tensor([zero_point], dtype=torch.int64)


def scale_of(low: float, high: float, symmetric: bool, dtype: torch.dtype = torch.int8) -> tuple[float, int]:
    """Scale and zero point for ``low .. high``: ``value = scale * (integer - zero_point)``.

    Symmetric: ``scale = max(|low|, |high|) / 127``. Otherwise ``scale = (high - low) / 255`` and ``low`` is -128.
    A range of nothing but zero gets the scale ``2**-7``, which keeps it exact.
    """
    info = torch.iinfo(dtype)
    if symmetric:
        largest = max(-low, high)
        return (largest / info.max if largest > 0 else 2.0**-7), 0
    if high <= low:
        return 2.0**-7, info.min
    scale = (high - low) / (info.max - info.min)
    return scale, max(info.min, min(info.max, round(info.min - low / scale)))


def rounded(values: Tensor, scale: float, zero_point: int, dtype: torch.dtype = torch.int8) -> Tensor:
    """``values`` after a trip through integers of ``dtype``, rounding half up."""
    info = torch.iinfo(dtype)
    integers = ((values / scale + 0.5).floor() + zero_point).clamp(info.min, info.max)
    return (integers - zero_point) * scale


def weight_scales(weight: Tensor, method: str) -> Tensor:
    """Symmetric int8 scales ``[O]`` of ``weight [O, K]``.

    ``mse`` takes for each channel the fraction of its largest magnitude, 0.5 to 1 in steps of 1/80, with the least
    squared error; other methods the largest magnitude. Zero for a channel of zeros.
    """
    largest = weight.abs().amax(1)
    if method != "mse":
        return largest / 127
    best = torch.full_like(largest, math.inf)
    scales = largest / 127
    for step in range(_SEARCH, _SEARCH // 2 - 1, -1):
        candidate = largest * (step / _SEARCH) / 127
        safe = candidate.clamp(min=torch.finfo(torch.float64).tiny)[:, None]
        error = (((weight / safe + 0.5).floor().clamp(-127, 127) * safe - weight) ** 2).sum(1)
        better = error < best
        best, scales = torch.where(better, error, best), torch.where(better, candidate, scales)
    return scales
