"""``read``: the one way to a user's images, whatever holds them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitreous.models.dataset import pictures
from vitreous.models.dataset.checks import Shape, as_tensor, checked_images, checked_labels
from vitreous.models.dataset.image_set import ImageSet, Normalization, counted, require_room, spread
from vitreous.models.errors import ModelError
from vitreous.models.named import current_folder_first, find

FORMS = "an .npz file with images and labels, a folder of pictures, or package.module:dataset"


@dataclass(frozen=True, kw_only=True)
class _Want:
    """What is asked of the data: arguments of ``read``."""

    option: str
    name: str
    shape: Shape | None
    fit: Shape | None
    crop: float
    most: int | None

    @property
    def count_option(self) -> str:
        return f"{self.option}-images"


def read(
    data: Any,
    *,
    option: str,
    name: str = "",
    shape: Shape | None = None,
    fit: Shape | None = None,
    crop: float = 1.0,
    most: int | None = None,
) -> ImageSet:
    """Images and labels of ``data``, checked, not yet normalized.

    data : an ``.npz`` (``images``, ``labels``, perhaps ``mean`` and ``std``) or ``.npy`` file; a folder of pictures;
        ``package.module:dataset``; images, ``(images, labels)`` or a mapping of both as tensors or arrays; a torch
        ``Dataset`` or any iterable of ``(image, label)`` or of batches of them, such as a ``DataLoader``; a function
        without arguments that returns one of these.
    option : of which the data is the value. name : of data in memory, for people; the option's where empty.
    shape : ``(C, H, W)`` that images must have, where the model says so. fit, crop : of ``pictures``.
    most : take at most so many, evenly spread.

    Raises ModelError for data that is missing, damaged, of another form, or does not fit the model.
    """
    want = _Want(
        option=option, name=name or f"{option}: images", shape=shape, fit=fit or shape, crop=crop, most=most
    )
    return _named(data, want) if isinstance(data, str | Path) else _held(data, want)


def _named(data: str | Path, want: _Want) -> ImageSet:
    path = Path(data)
    if path.is_dir():
        if want.fit is None:
            raise ModelError(
                f"{path}: pictures are fitted to the model's input, and its shape is unknown; give the module an "
                "attribute input_shape = (C, H, W)"
            )
        return pictures.read_folder(path, want.fit, want.crop, want.most, want.count_option)
    if path.suffix in (".npz", ".npy"):
        return _file(path, want)
    if path.exists():
        raise ModelError(f"{want.option} {path} is none of the files that are read; give {FORMS}")
    if isinstance(data, str) and ":" in data:
        return _held(find(data, "dataset"), replace(want, name=data))
    raise ModelError(f"{want.option} {data} does not exist; give {FORMS}")


def _file(path: Path, want: _Want) -> ImageSet:
    try:
        found: Any = np.load(path, allow_pickle=False)
        if not isinstance(found, np.ndarray):
            with found:
                found = dict(found)
    except FileNotFoundError:
        raise ModelError(f"{want.option} {path} does not exist; give {FORMS}") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        # numpy takes whatever it does not know for pickled, and advises to load that.
        reason = "it holds no arrays of numbers" if "pickle" in str(error) else error
        raise ModelError(f"{want.option} {path} cannot be read: {reason}") from None
    if isinstance(found, dict) and "images" not in found:
        raise ModelError(
            f"{want.option} {path} holds {', '.join(sorted(found)) or 'nothing'}; the images must be called images, "
            "their labels labels"
        )
    return _held(found, replace(want, name=str(path)))


def _held(data: Any, want: _Want) -> ImageSet:
    """Of data in memory."""
    name, most = want.name, want.most
    if callable(data) and not _is_sequence(data) and not isinstance(data, Tensor):
        data = _called(data, name)
    normalization, labels = None, None
    if isinstance(data, Mapping):
        normalization = _normalization(data, name)
        labels, data = data.get("labels"), data.get("images")
    elif isinstance(data, tuple) and len(data) == 2 and _is_array(data[0]):
        data, labels = data
    if not _is_array(data):
        return _items(data, want)
    chosen = list(spread(len(data) if data.ndim else 0, most))
    require_room(len(chosen), data.shape[1:], name, want.count_option)
    labels = None if labels is None else checked_labels(np.asarray(labels), len(data), name)[chosen]
    return ImageSet(
        images=checked_images(data if len(chosen) == len(data) else data[chosen], name, want.shape),
        labels=labels,
        source=f"{name.removesuffix(': images')}: {counted(len(chosen), len(data))}",
        normalization=normalization,
    )


def _items(data: Any, want: _Want) -> ImageSet:
    """Of a data set that gives an image and its label, or a batch of them, at a time."""
    name, most = want.name, want.most
    if _is_sequence(data):
        chosen, total = spread(len(data), most), len(data)
        found: Iterator[Any] = (data[index] for index in chosen)
    elif isinstance(data, Iterable):
        found, total = iter(data), None
    else:
        raise ModelError(
            f"{name} is {type(data).__name__}; give {FORMS}, (images, labels), or a torch Dataset"
        )
    images: list[Tensor] = []
    labels: list[Tensor] = []
    count = 0
    for item in found:
        parts = list(item) if isinstance(item, tuple | list) else [item]
        if len(parts) not in (1, 2):
            raise ModelError(f"{name} gives {len(parts)} values for an image; give the image and its label")
        image, label = (*parts, None)[:2]
        batch = _batch(image, want)
        images.append(batch)
        if label is not None:
            labels.append(torch.as_tensor(label).reshape(-1))
        count += len(batch)
        require_room(count, batch.shape[1:], name, want.count_option)
        if most is not None and count >= most:
            break
    if not images:
        raise ModelError(f"{name} holds no images")
    if any(batch.shape[1:] != images[0].shape[1:] or batch.dtype != images[0].dtype for batch in images):
        raise ModelError(f"{name} holds images of several shapes or types; they must be alike")
    whole = torch.cat(images)[:most]
    if labels and sum(map(len, labels)) != count:
        raise ModelError(f"{name} gives labels with some of its images only")
    return ImageSet(
        images=checked_images(whole, name, want.shape),
        labels=checked_labels(torch.cat(labels)[:most], len(whole), name) if labels else None,
        source=f"{name.removesuffix(': images')}: {counted(len(whole), total or len(whole))}",
    )


def _batch(image: Any, want: _Want) -> Tensor:
    """What a data set gave for one item as ``[n, C, H, W]``; a picture of Pillow is fitted to the model."""
    name = want.name
    if hasattr(image, "convert") and hasattr(image, "resize"):
        if want.fit is None:
            raise ModelError(f"{name} gives pictures, and the model's input shape is unknown")
        return pictures.pixels(image, want.fit, want.crop)[None]
    if not _is_array(image) or image.ndim not in (3, 4):
        raise ModelError(
            f"{name} must give images [C, H, W] or pictures, with their labels, not {type(image).__name__}"
        )
    require_room(1, image.shape[-3:], name, want.count_option)
    tensor = as_tensor(image, name)
    return tensor if tensor.ndim == 4 else tensor[None]


def _called(function: Callable[[], Any], name: str) -> Any:
    try:
        with current_folder_first():  # where what it imports may lie, too
            return function()
    except Exception as error:  # whatever the user's function raises
        raise ModelError(f"{name} failed: {type(error).__name__}: {error}") from error


def _normalization(data: Mapping[str, Any], name: str) -> Normalization | None:
    """``mean`` and ``std`` beside the images."""
    given = [data.get(key) for key in ("mean", "std")]
    if all(value is None for value in given):
        return None
    if any(value is None for value in given):
        raise ModelError(f"{name} holds one of mean and std; give both or neither")
    mean, std = (tuple(float(value) for value in np.atleast_1d(np.asarray(part))) for part in given)
    return mean, std


def _is_array(data: Any) -> bool:
    return isinstance(data, Tensor | np.ndarray)


def _is_sequence(data: Any) -> bool:
    """A data set that gives its items by number."""
    return hasattr(data, "__getitem__") and hasattr(data, "__len__")
