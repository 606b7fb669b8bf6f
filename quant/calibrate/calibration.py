"""Calibration: what every tensor of a recognized encoder holds over the images, and the formats that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vitreous.quant.calibrate.formats import Format
from vitreous.quant.calibrate.forward import Forward
from vitreous.quant.calibrate.observers import RangeObserver
from vitreous.quant.calibrate.points import Point, points
from vitreous.quant.calibrate.rounding import RoundedWeight
from vitreous.quant.calibrate.saturation import Saturation
from vitreous.quant.importer import float_ir as ir
from vitreous.quant.scheme import QuantScheme

Report = Callable[[int, int], None]
# Values of the largest tensor (an attention's scores, a hidden layer) of the images that run at once.
_VALUES_AT_ONCE = 1 << 23


@dataclass(eq=False)
class Seen:
    """Of some images: the observers of all tensors, and the largest magnitude of each channel of the norms' outputs.

    Both by serial.
    """

    observers: dict[int, RangeObserver] = field(default_factory=dict)
    reach: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibrated:
    """A recognized encoder in its canonical form, and all that follows from calibration images.

    encoder : what is lowered. exact : what it stands for; another one only where hidden units had to be squeezed.
    seen : over all images. held : the images that ranges were judged on. formats : of every int8 tensor, by serial.
    weights : of every linear layer as integers, by serial. saturation : what fixed ranges cut off.
    squeezed : sources whose channels ``encoder`` scales, by serial. losses : relative error of the output by rounded
    operation. notes : for the graph's.
    """

    encoder: ir.Encoder
    exact: ir.Encoder
    seen: Seen
    held: Tensor
    formats: dict[int, Format]
    weights: dict[int, RoundedWeight]
    saturation: Saturation
    squeezed: frozenset[int] = frozenset()
    losses: dict[str, float] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def observer(self, source: ir.Source) -> RangeObserver:
        """The observer of a source's values."""
        return self.seen.observers[source.serial]


def batches(encoder: ir.Encoder, images: Tensor) -> Iterator[Tensor]:
    """``images`` in parts that fit in memory."""
    largest = encoder.image.width
    for source in encoder.sources:
        largest = max(largest, source.tokens * source.width)
        if isinstance(source, ir.Attention):
            largest = max(largest, source.heads * source.tokens**2)
    at_once = max(1, _VALUES_AT_ONCE // largest)
    yield from images.split(at_once)


def observe(
    encoder: ir.Encoder,
    parts: dict[str, Tensor],
    scheme: QuantScheme,
    saturation: Saturation,
    report: Report | None = None,
) -> dict[str, Seen]:
    """Run ``encoder`` over ``parts`` of the images: what was seen in each, and ``all`` for all of them."""
    wanted = points(encoder, scheme)
    forward = Forward(encoder)
    found = {name: Seen() for name in (*parts, "all")}
    total, done = sum(map(len, parts.values())), 0
    for name, images in parts.items():
        for batch in batches(encoder, images):

            def look(source: ir.Source, value: Tensor, name: str = name) -> Tensor:
                point = wanted.get(source.serial)
                if point is not None:
                    for seen in (found[name], found["all"]):
                        _look(seen, source, value, point, scheme)
                saturation.see(source, value)
                return value

            forward(batch, look, saturation.see_scores)
            done += len(batch)
            if report is not None:
                report(done, total)
    return found


def _look(seen: Seen, source: ir.Source, value: Tensor, point: Point, scheme: QuantScheme) -> None:
    if source.serial not in seen.observers:
        method = scheme.observer if point.bits == 8 else "minmax"
        seen.observers[source.serial] = RangeObserver(
            torch.int8 if point.bits == 8 else torch.int16,
            method="mse" if method == "output" else method,
            percentile=scheme.percentile,
            symmetric=point.symmetric,
        )
    seen.observers[source.serial](value)
    if isinstance(source, ir.Norm):
        reach = value.abs().amax((0, 1)).double()
        known = seen.reach.get(source.serial)
        seen.reach[source.serial] = reach if known is None else torch.maximum(known, reach)
