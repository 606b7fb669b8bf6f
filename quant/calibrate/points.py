"""Which values of an encoder become integer tensors of their own, and in what format."""

from __future__ import annotations

from dataclasses import dataclass

from vitreous.quant.importer import float_ir as ir
from vitreous.quant.scheme import QuantScheme


@dataclass(frozen=True)
class Point:
    """What to observe at a node: 8 or 16 bits, symmetric or not, one token or (None) all."""

    bits: int
    symmetric: bool
    row: int | None = None


def points(encoder: ir.Encoder, scheme: QuantScheme) -> dict[int, Point]:
    """By serial, all sources that become integer tensors, in order."""
    users: dict[int, list[ir.Source]] = {}
    for source in encoder.sources:
        for part in source.inputs:
            users.setdefault(part.serial, []).append(source)
    found = {
        source.serial: _point(source, users.get(source.serial, []), scheme) for source in encoder.sources
    }
    return {serial: point for serial, point in found.items() if point is not None}


def _point(source: ir.Source, users: list[ir.Source], scheme: QuantScheme) -> Point | None:
    if isinstance(source, ir.Image):
        return Point(8, scheme.symmetric_input)
    if isinstance(source, ir.Activation):
        return Point(8, scheme.symmetric_activations)
    if isinstance(source, ir.Norm):
        return Point(8, True, source.input.index if isinstance(source.input, ir.Select) else None)
    if isinstance(source, ir.Attention):
        return Point(8, True)
    if isinstance(source, ir.STREAM):
        return None if isinstance(source, ir.Select) else Point(16, True)
    return _linear_point(source, users) if isinstance(source, ir.Linear) else None


def _linear_point(source: ir.Linear, users: list[ir.Source]) -> Point | None:
    for user in users:
        if isinstance(user, ir.Attention):
            return Point(8, True)
        if isinstance(user, ir.Add) and user.branch is source:
            return Point(16, True)
        if isinstance(user, ir.Activation | ir.Start):
            return None
    return Point(16, True)
