"""Loud hidden units made quieter: the one change of the canonical form that is not exact.

A channel of the layer before a smooth activation is divided by ``c`` and the column of those after multiplied by it.
For what is zero on the left and the identity on the right, ``c * f(x / c)`` is off by at most ``c`` times what ``f`` is
from ReLU (0.17 for GELU), where ``x`` reaches ``c`` times the limit; the mean of that over calibration goes into the
bias after. Two reasons: Q6.10 ends at 32; and one step serves all hidden units, so that a few at many times the size of
the others leave them few integers. How far the loudest are brought down is chosen by what the network's output loses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from vitreous.quant.calibrate.canonical import Channels, copied, scale_rows
from vitreous.quant.calibrate.formats import Format
from vitreous.quant.calibrate.forward import Forward
from vitreous.quant.calibrate.reference import compute
from vitreous.quant.importer import float_ir as ir
from vitreous.spec.numbers import ACTIVATION_INPUT

Parts = Callable[[], Iterable[Tensor]]
"""Gives some calibration images in parts that fit in memory, as often as it is called."""
_MARGIN = 1.1
"""Between the largest activation input that calibration saw and what a squeezed channel is made for."""
_LIMIT = ACTIVATION_INPUT.maximum / 2.0**ACTIVATION_INPUT.fraction
_LOWER = (24.0, 16.0)
"""To which inputs may be brought down beyond what the format needs; below that the change itself costs more."""
_GAIN = 0.2
"""Of the squared error, by which a lower limit must be better than the one before."""
_GRID = 65
"""Points between a channel's least and largest input at which its output's range is looked for."""


def squeezed(
    encoder: ir.Encoder, channels: dict[int, Channels], parts: Parts, *, symmetric: bool, choose: bool
) -> tuple[ir.Encoder, dict[str, int]]:
    """``encoder``, or a copy with its loud hidden units scaled, and how many of each activation are, by name.

    channels : of its activations' inputs. symmetric : whether activations' int8 formats are. choose : whether lower
    limits than the format's are tried.
    """
    loud = loud_channels(encoder, channels, min(_LOWER) if choose else _LIMIT)
    if not loud:
        return encoder, {}
    limit = _LIMIT
    if choose:
        plain = Forward(encoder)
        exact = [plain(images) for images in parts()]
        least = math.inf
        for each in (_LIMIT, *_LOWER):
            factors = loud_channels(encoder, channels, each)
            formats = _formats(encoder, channels, factors, symmetric=symmetric)
            error = _error(squeeze(encoder, factors, parts()), formats, parts(), exact)
            if error < (1 - _GAIN) * least:
                limit, least = each, error
    factors = loud_channels(encoder, channels, limit)
    if not factors:
        return encoder, {}
    names = {encoder.name(source): source.serial for source in encoder.sources if source.serial in factors}
    counts = {name: int((factors[serial] > 1).sum()) for name, serial in names.items()}
    return squeeze(encoder, factors, parts()), counts


def squeeze(encoder: ir.Encoder, factors: dict[int, Tensor], parts: Iterable[Tensor]) -> ir.Encoder:
    """A copy of ``encoder`` in which the channels of activations' inputs are divided by ``factors``, by serial."""
    lost = _lost(encoder, factors, parts)
    made = copied(encoder)
    readers = _linear_readers(made)
    for activation in made.each(ir.Activation):
        factor = factors.get(activation.serial)
        if factor is not None:
            scale_rows(activation.input, 1 / factor)
            for reader in readers[activation.serial]:
                reader.bias = reader.bias + reader.weight @ lost[activation.serial]
                reader.weight = reader.weight * factor
    return made


def loud_channels(encoder: ir.Encoder, channels: dict[int, Channels], limit: float) -> dict[int, Tensor]:
    """What to divide inputs' channels by, ``[width]`` and at least 1: of the activations that need it, by serial."""
    readers = _linear_readers(encoder)
    found = {}
    for activation in encoder.each(ir.Activation):
        if activation.function != "relu" and activation.serial in readers:
            reach = channels[activation.input.serial].reach() * _MARGIN / limit
            if bool((reach > 1).any()):
                found[activation.serial] = reach.clamp(min=1)
    return found


def _linear_readers(encoder: ir.Encoder) -> dict[int, list[ir.Linear]]:
    """By serial of the activations that linear layers alone read: these layers."""
    found: dict[int, list[ir.Linear]] = {}
    others = set()
    for source in encoder.sources:
        for part in source.inputs:
            if isinstance(source, ir.Linear):
                found.setdefault(part.serial, []).append(source)
            else:
                others.add(part.serial)
    return {serial: readers for serial, readers in found.items() if serial not in others}


def _lost(encoder: ir.Encoder, factors: dict[int, Tensor], parts: Iterable[Tensor]) -> dict[int, Tensor]:
    """The mean over ``parts`` of ``f(x) - c * f(x / c)``, by channel."""
    if not factors:
        return {}
    sums = {serial: torch.zeros_like(factor) for serial, factor in factors.items()}
    rows = dict.fromkeys(factors, 0)
    activations = {a.input.serial: a for a in encoder.each(ir.Activation) if a.serial in factors}

    def look(source: ir.Source, value: Tensor) -> Tensor:
        activation = activations.get(source.serial)
        if activation is not None:
            factor = factors[activation.serial]
            loud = (factor > 1).nonzero().flatten()
            x, factor = value.flatten(0, 1)[:, loud].double(), factor[loud]
            lost = compute(activation, [x]) - factor * compute(activation, [x / factor])
            sums[activation.serial][loud] += lost.sum(0)
            rows[activation.serial] += len(x)
        return value

    forward = Forward(encoder)
    for images in parts:
        forward(images, look)
    return {serial: total / rows[serial] for serial, total in sums.items()}


def _formats(
    encoder: ir.Encoder, channels: dict[int, Channels], factors: dict[int, Tensor], *, symmetric: bool
) -> dict[int, Format]:
    """Of smooth activations' outputs, by serial: the least and largest value that their inputs' ranges give."""
    grid = torch.linspace(0, 1, _GRID, dtype=torch.float64)[:, None]
    found = {}
    for activation in encoder.each(ir.Activation):
        if activation.function != "relu":
            seen = channels[activation.input.serial]
            inputs = (seen.low + (seen.high - seen.low) * grid) / factors.get(activation.serial, 1.0)
            outputs = compute(activation, [inputs])
            low, high = min(float(outputs.min()), 0.0), max(float(outputs.max()), 0.0)
            found[activation.serial] = Format(low, high, symmetric)
    return found


def _error(
    made: ir.Encoder, formats: dict[int, Format], parts: Iterable[Tensor], exact: list[Tensor]
) -> float:
    """The squared error of the logits of ``parts`` with the activations in int8, nothing else rounded."""

    def edit(source: ir.Source, value: Tensor) -> Tensor:
        return formats[source.serial].rounded(value) if source.serial in formats else value

    forward = Forward(made)
    found = (forward(images, edit) for images in parts)
    return sum(float((a - b).double().square().sum()) for a, b in zip(found, exact, strict=True))
