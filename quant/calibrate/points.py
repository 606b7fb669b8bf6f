"""Which values of an encoder become integer tensors of their own, and in what format."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vitreous.quant.importer import float_ir as ir
from vitreous.quant.scheme import QuantScheme


@dataclass(frozen=True)
class Point:
    """What to observe at a node: 8 or 16 bits, symmetric or not, the tokens ``start, stop`` or (None) all."""

    bits: int
    symmetric: bool
    rows: tuple[int, int] | None = None

    def with_rows_of(self, other: Point) -> Point:
        """The same for the rows of both."""
        if self.rows is None or other.rows is None:
            return replace(self, rows=None)
        (start, stop), (first, last) = self.rows, other.rows
        return replace(self, rows=(min(start, first), max(stop, last)))


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
        return Point(8, True, _rows(source.input))
    if isinstance(source, ir.Attention):
        return Point(8, True)
    if isinstance(source, ir.STREAM):
        return None if isinstance(source, ir.Select) else Point(16, True)
    if isinstance(source, ir.HeadMean | ir.HeadSum):
        return Point(16, True)
    return _linear_point(source, users) if isinstance(source, ir.Linear) else None


def _linear_point(source: ir.Linear, users: list[ir.Source]) -> Point | None:
    for user in users:
        if isinstance(user, ir.Attention):
            return Point(8, True)
        if isinstance(user, ir.Add) and user.branch is source:
            return Point(16, True)
        if isinstance(user, ir.Activation | ir.Start | ir.Restart):
            return None
    return Point(16, True)


def _rows(source: ir.Source) -> tuple[int, int] | None:
    """The rows of the stream that are selected; None for all."""
    return (source.index, source.index + source.tokens) if isinstance(source, ir.Select) else None
