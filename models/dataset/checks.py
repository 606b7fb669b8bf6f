"""What images and labels must be, one sentence for each fault, and the one rule that normalizes pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitreous.models.dataset.image_set import Normalization
from vitreous.models.errors import ModelError

Shape = tuple[int, int, int]
UNLIKE = 10
"""Images of one network whose largest values differ by more than this were not normalised in the same way."""

FAR = 8
"""Spans beyond the range of normalised pixels at which floats are none: noise stays below, pixels in 0..255 do not."""


def as_tensor(values: Any, what: str) -> Tensor:
    """A tensor or an array as a tensor on the CPU without a gradient. Raises ModelError for anything else."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return torch.from_numpy(np.ascontiguousarray(values))
    if not isinstance(values, Tensor):
        raise ModelError(f"{what} must be a tensor or an array of numbers, not {type(values).__name__}")
    return values.detach().cpu()


def checked_images(values: Any, what: str, shape: Shape | None) -> Tensor:
    """Images ``[n, C, H, W]`` as uint8 pixels or float32. ``shape``: that of the model, where it is known.

    Grey pixels ``[n, H, W]`` get their one channel. Raises ModelError for another shape or type, and for values that
    are not finite.
    """
    images = as_tensor(values, what)
    if images.ndim == 3 and images.dtype == torch.uint8 and (shape is None or shape[0] == 1):
        images = images.unsqueeze(1)
    if images.ndim != 4 or not images.numel():
        raise ModelError(
            f"{what} must be a tensor [n, C, H, W] with n of at least 1, not {list(images.shape)}"
        )
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ModelError(
            f"{what} are {_name(images)}; give pixels as uint8 in 0..255, or normalised floating-point images"
        )
    found = tuple(images.shape[1:])
    if shape is not None and found != shape:
        channels, height, width = shape
        last = found == (height, width, channels)
        hint = "; the channels come first: permute(0, 3, 1, 2)" if last else ""
        raise ModelError(f"{what} are {list(found)}, the model takes {list(shape)}{hint}")
    if images.dtype == torch.uint8:
        return images.contiguous()
    images = images.to(torch.float32).contiguous()
    bad = ~torch.isfinite(images).flatten(1).all(1)
    if bool(bad.any()):
        raise ModelError(
            f"{what}: {int(bad.sum()):,} of {len(images):,} images have values that are not finite, the first is image "
            f"{int(bad.nonzero()[0])}"
        )
    return images


def normalized(images: Tensor, what: str, normalization: Normalization | None) -> Tensor:
    """Checked images as the network takes them, float32: ``(pixel / 255 - mean) / std`` of uint8, floats as they are.

    Raises ModelError for pixels without a normalization, for one of another number of channels, and for floats that lie
    where normalised pixels cannot.
    """
    if normalization is not None:
        mean, std = normalization
        channels = images.shape[1]
        if len(mean) != channels or len(std) != channels or not all(value > 0 for value in std):
            raise ModelError(
                f"{what} have {channels} channels; mean {list(mean)} and std {list(std)} do not fit them"
            )
    if images.dtype != torch.uint8:
        if normalization is not None:
            _require_normalized(images, what, normalization)
        return images
    if normalization is None:
        raise ModelError(
            f"{what} are pixels (uint8), and the model does not say how it normalises them: give the module the "
            "attributes input_mean and input_std (one number for each channel, of pixels in 0..1), or give "
            "normalised floating-point images"
        )
    centre, spread = (torch.tensor(values)[:, None, None] for values in normalization)
    return (images.float() / 255 - centre) / spread


def _require_normalized(images: Tensor, what: str, normalization: Normalization) -> None:
    """Floats that are pixels in 0..1 or 0..255 after all."""
    mean, std = normalization
    low = min(-m / s for m, s in zip(mean, std, strict=True))
    high = max((1 - m) / s for m, s in zip(mean, std, strict=True))
    least, most = float(images.min()), float(images.max())
    if low <= -0.1 and least >= 0 and most <= 1:
        found = "lie in 0..1, as pixels do that were not normalised"
    elif least < low - FAR * (high - low) or most > high + FAR * (high - low):
        found = f"reach {least:.4g}..{most:.4g}"
    else:
        return
    raise ModelError(
        f"{what} {found}; normalised by mean {_listed(mean)} and std {_listed(std)} they lie in "
        f"{low:.3g}..{high:.3g}: normalise them, or give pixels as uint8"
    )


def checked_labels(values: Any, count: int, what: str) -> Tensor:
    """One class number for each image, int64 ``[n]``. Raises ModelError."""
    labels = as_tensor(values, f"{what}: the labels")
    if labels.shape != (count,):
        raise ModelError(f"{what}: one label for each image is needed, [{count}], not {list(labels.shape)}")
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise ModelError(f"{what}: labels must be integers, the numbers of classes, not {_name(labels)}")
    return labels.long()


def check_classes(labels: Tensor, classes: int, what: str, named: int | None) -> None:
    """Raises ModelError for a label that is no class of the model, and for other class folders than it has."""
    if named is not None and named != classes:
        raise ModelError(
            f"{what}: {named} class folders, and the model has {classes} classes; name the folders by the classes' "
            "numbers, or give labels.csv with lines FILE,NUMBER"
        )
    wrong = (labels < 0) | (labels >= classes)
    if bool(wrong.any()):
        first = int(wrong.nonzero()[0])
        raise ModelError(
            f"{what}: label {int(labels[first])} of image {first} is outside 0..{classes - 1}, the model's classes"
        )


def check_alike(calibration: Tensor, test: Tensor) -> None:
    """Raises ModelError where the two were plainly not normalised in the same way."""
    one, two = float(calibration.abs().max()), float(test.abs().max())
    if max(one, two) > UNLIKE * min(one, two):
        raise ModelError(
            f"calibration images reach {one:.4g} and test images {two:.4g}; both must be normalised in the same way"
        )


def _name(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
