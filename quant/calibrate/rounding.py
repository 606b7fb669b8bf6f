"""Weights to integers: nearest, or so that the errors of a row's weights cancel on what the layer reads.

Rounding to the nearest integer takes no notice of the inputs: a weight's error counts as much as its input is large,
and errors of columns whose inputs go together add up. ``compensated`` rounds column after column, those with the
largest inputs first, and lets the columns that are not rounded yet take over what each error does to the layer's
output, in the sense of least squares over calibration's inputs (optimal brain surgeon; GPTQ, Frantar et al., 2022,
arXiv 2210.17323). The integers are as many and as wide as before: nothing changes in the machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from vitreous.quant.calibrate.forward import Forward
from vitreous.quant.calibrate.observers import weight_scales
from vitreous.quant.importer import float_ir as ir

COMPENSATED = "compensated"
"""The method of a layer's weights; the others are those of ``weight_scales``."""
_DAMPING = 0.01
"""Of the mean squared input, added to every column's: inputs that calibration never saw still cost something."""
_ROWS = 1 << 14
"""Rows of inputs, evenly spread over tokens and images, that a layer's moments are taken over at most."""
_BLOCK = 64
"""Columns whose errors are handed on together: small products rather than many outer ones."""


class RoundedWeight(NamedTuple):
    """Integers ``[O, K]``, int8, of a weight whose columns hold their channels' shifts; ``steps [O]``, float64."""

    steps: Tensor
    integers: Tensor

    def values(self, shifts: Tensor | None) -> Tensor:
        """The float64 weights ``[O, K]`` that they stand for, without ``shifts [K]`` of the input."""
        found = self.integers.double() * self.steps[:, None]
        return found if shifts is None else found / 2.0**shifts


def round_weight(
    weight: Tensor, method: str, shifts: Tensor | None = None, moments: Tensor | None = None
) -> RoundedWeight:
    """``weight [O, K]``, float64, as integers; ``shifts [K]`` of its input are folded in.

    ``compensated`` needs the input's ``moments [K, K]`` and has the steps of ``minmax``.
    """
    folded = weight if shifts is None else weight * 2.0**shifts
    tiny = torch.finfo(torch.float64).tiny
    if method != COMPENSATED:
        steps = weight_scales(folded, method)
        return RoundedWeight(steps, nearest(folded, steps.clamp(min=tiny)).to(torch.int8))
    assert moments is not None
    scaled = moments.double()
    if shifts is not None:
        scaled = scaled / 2.0 ** (shifts[:, None] + shifts)
    steps = weight_scales(folded, "minmax")
    return RoundedWeight(steps, compensated(folded, steps.clamp(min=tiny), scaled).to(torch.int8))


def nearest(weight: Tensor, steps: Tensor) -> Tensor:
    """The nearest integers to ``weight [O, K]`` over ``steps [O]``, within +-127; halves go up."""
    return (weight / steps[:, None] + 0.5).floor().clamp(-127, 127)


def compensated(weight: Tensor, steps: Tensor, moments: Tensor) -> Tensor:
    """Integers ``q [O, K]`` for which ``sum_x |(weight - steps * q) x|**2`` is small, ``moments = sum_x x x^T``.

    With ``U`` the upper Cholesky factor of the inverse of the damped moments, in the order of rounding: column ``j``
    is rounded, and ``U[j, k] / U[j, j]`` of its error is taken off column ``k > j``.
    """
    damping = _DAMPING * moments.diagonal().mean()
    if not bool(damping > 0):
        return nearest(weight, steps)
    order = moments.diagonal().argsort(descending=True, stable=True)
    damped = moments[order][:, order] + damping * torch.eye(len(order), dtype=moments.dtype)
    upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)
    left, found = weight[:, order].clone(), torch.zeros_like(weight)
    for start in range(0, len(order), _BLOCK):
        stop = min(start + _BLOCK, len(order))
        errors = torch.zeros(len(weight), stop - start, dtype=weight.dtype)
        for column in range(start, stop):
            integers = nearest(left[:, column : column + 1], steps)
            found[:, order[column]] = integers[:, 0]
            error = (left[:, column] - integers[:, 0] * steps) / upper[column, column]
            left[:, column:stop] -= error[:, None] * upper[column, column:stop]
            errors[:, column - start] = error
        left[:, stop:] -= errors @ upper[start:stop, stop:]
    return found


def moments(encoder: ir.Encoder, parts: Iterable[Tensor], images: int) -> dict[int, Tensor]:
    """By serial of what linear layers read: the sum of ``x x^T`` over the rows of ``parts``, ``images`` in all.

    Float32 ``[K, K]``; of more than ``_ROWS`` rows, every second, third ... one.
    """
    wanted = {line.input.serial: -(-images * line.tokens // _ROWS) for line in encoder.each(ir.Linear)}
    found: dict[int, Tensor] = {}

    def look(source: ir.Source, value: Tensor) -> Tensor:
        if source.serial in wanted:
            rows = value.flatten(0, -2)[:: wanted[source.serial]]
            product = rows.mT @ rows
            known = found.get(source.serial)
            found[source.serial] = product if known is None else known.add_(product)
        return value

    forward = Forward(encoder)
    for batch in parts:
        forward(batch, look)
    return found
