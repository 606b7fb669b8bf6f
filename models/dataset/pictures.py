"""Pictures as a network takes them: a folder of files, and one picture's pixels.

The rule, for every picture: decoded to RGB (three channels) or grey (one); resized by bicubic interpolation so that it
just covers the model's height and width divided by ``crop``; the centre of it is cut out. ``crop`` is the model's own
``crop_pct`` where it has one (timm), else 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitreous.models.dataset.checks import Shape
from vitreous.models.dataset.image_set import ImageSet, counted, require_room, spread
from vitreous.models.errors import ModelError

ENDS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
LABEL_FILES = ("labels.csv", "labels.txt")
_MODES = {1: "L", 3: "RGB"}


def pixels(picture: Any, shape: Shape, crop: float) -> Tensor:
    """A picture of Pillow as uint8 ``[C, H, W]`` by the rule above. Raises ModelError for 2, 4 or more channels."""
    from PIL import Image

    channels, height, width = shape
    if channels not in _MODES:
        raise ModelError(f"pictures have 1 or 3 channels, the model takes {channels}: give arrays")
    flat = picture.convert(_MODES[channels])
    scale = max(height / flat.height, width / flat.width) / crop
    size = (max(width, round(flat.width * scale)), max(height, round(flat.height * scale)))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    fitted = flat.resize(size, Image.Resampling.BICUBIC).crop((left, top, left + width, top + height))
    array = np.asarray(fitted, np.uint8).reshape(height, width, channels)
    return torch.from_numpy(array.transpose(2, 0, 1).copy())


def rule(shape: Shape, crop: float) -> str:
    """What was done to each picture, in a few words for the source of the data."""
    share = "" if crop == 1 else f" (crop {crop:g})"
    return f"resized and centre-cropped to {shape[1]} x {shape[2]}{share}"


def read_folder(folder: Path, shape: Shape, crop: float, most: int | None, option: str) -> ImageSet:
    """Pictures of a folder: with a labels file, in class folders (sorted by name), or without labels.

    Raises ModelError for a folder without pictures, a picture that cannot be read, and a labels file with another line.
    """
    files, labels, named = _listed(folder)
    chosen = spread(len(files), most)
    require_room(len(chosen), shape, str(folder), option)
    images = torch.stack([_read(files[index], shape, crop) for index in chosen])
    source = f"{folder}: {counted(len(chosen), len(files), 'picture')}, {rule(shape, crop)}"
    picked = None if labels is None else torch.tensor([labels[index] for index in chosen])
    return ImageSet(images=images, labels=picked, source=source, named=named)


def _listed(folder: Path) -> tuple[list[Path], list[int] | None, int | None]:
    """Files, labels, and how many class folders gave these their numbers."""
    for name in LABEL_FILES:
        if (folder / name).is_file():
            files, labels = _labelled(folder / name)
            return files, labels, None
    flat = _pictures(folder)
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and _pictures(path))
    if classes and flat:
        raise ModelError(
            f"{folder} holds pictures beside class folders; put each into the folder of its class"
        )
    if flat:
        return flat, None, None
    if not classes:
        raise ModelError(
            f"{folder} holds no pictures ({', '.join(ENDS)}), neither itself nor in class folders"
        )
    numbered = all(path.name.isdecimal() for path in classes)
    numbers = [int(path.name) if numbered else index for index, path in enumerate(classes)]
    pairs = [
        (file, number) for path, number in zip(classes, numbers, strict=True) for file in _pictures(path)
    ]
    return [file for file, _ in pairs], [number for _, number in pairs], None if numbered else len(classes)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDS and path.is_file())


def _labelled(path: Path) -> tuple[list[Path], list[int]]:
    """Lines FILE,NUMBER (or separated by blanks), the first may be a heading; files lie beside or below ``path``."""
    files, labels = [], []
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, _, label = line.rpartition(",") if "," in line else line.strip().rpartition(" ")
        if not label.strip().isdecimal() or not name.strip():
            if number == 1:
                continue
            raise ModelError(f"{path}, line {number}: {line.strip()!r} is not FILE,NUMBER")
        files.append(path.parent / name.strip())
        labels.append(int(label))
        if not files[-1].is_file():
            raise ModelError(f"{path}, line {number}: {files[-1]} does not exist")
    if not files:
        raise ModelError(f"{path} names no pictures; its lines are FILE,NUMBER")
    return files, labels


def _read(path: Path, shape: Shape, crop: float) -> Tensor:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return pixels(picture, shape, crop)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ModelError(f"{path} cannot be read as a picture: {error}") from None
