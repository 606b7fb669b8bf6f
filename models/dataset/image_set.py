"""Images with their labels, wherever they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from vitreous.models.errors import ModelError

Normalization = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel, of pixels in 0..1."""
LARGEST_BYTES = 8 << 30


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """What was read. ``images`` ``[n, C, H, W]``: pixels as uint8, or normalised floats. ``labels`` int64 ``[n]``.

    source : whose they are and how many, for people. named : where the labels are numbers of class folders, how many of
    these there are. normalization : where the data itself says how its pixels are normalised.
    """

    images: Tensor
    labels: Tensor | None
    source: str
    named: int | None = None
    normalization: Normalization | None = None


def spread(available: int, most: int | None) -> Sequence[int]:
    """At most ``most`` of ``available`` numbers, evenly spread: of sorted class folders each class gets its share."""
    if most is None or most >= available:
        return range(available)
    return [index * available // most for index in range(most)]


def counted(chosen: int, available: int, what: str = "image") -> str:
    """``256 of 2,000 images, evenly spread``."""
    if chosen == available:
        return f"{available:,} {what}{'' if available == 1 else 's'}"
    return f"{chosen:,} of {available:,} {what}s, evenly spread"


def require_room(count: int, shape: Sequence[int], name: str, option: str) -> None:
    """Raises ModelError where so many images do not fit into memory as float32."""
    size = 4 * count
    for extent in shape:
        size *= extent
    if size > LARGEST_BYTES:
        raise ModelError(
            f"{name}: {count:,} images of {' x '.join(map(str, shape))} are {size / 2**30:.0f} GiB as float32; "
            f"use fewer with {option} N"
        )
