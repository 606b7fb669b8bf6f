"""Fashion-MNIST: the data set as its publishers store it (gzip IDX files), and the constants that go with it.

Images are 28x28 grey levels in ``uint8``; the network sees ``(x / 255 - MEAN) / STD``, with the mean and the
deviation of the 60,000 training images. Source of the data: Zalando SE, MIT licence, see ``data/LICENSE``.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vitreous.models.errors import ModelError
from vitreous.models.vit import ViTConfig

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
MEAN = (0.2860,)
STD = (0.3530,)
CONFIG = ViTConfig(
    image_size=28,
    patch_size=4,
    in_channels=1,
    dim=64,
    depth=6,
    heads=2,
    mlp_ratio=3.0,
    num_classes=len(CLASSES),
)

_HERE = Path(__file__).parent
WEIGHTS = _HERE / "weights" / "fashion-vit.safetensors"
CALIBRATION = _HERE / "data" / "fashion-calibration.npz"
TEST = _HERE / "data" / "fashion-test.npz"

# IDX: two zero bytes, the element type (8 = unsigned byte), the number of dimensions, then each as big-endian u32.
_IDX_UNSIGNED_BYTE = 8


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a gzip-compressed IDX file of unsigned bytes. Raises ``ModelError`` if it is missing or malformed."""
    try:
        raw = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist; is dataset-fashion-mnist installed?") from None
    except (OSError, EOFError, zlib.error) as error:
        raise ModelError(f"{path} is not a readable gzip file: {error}") from None
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] != _IDX_UNSIGNED_BYTE:
        raise ModelError(f"{path} is not an IDX file of unsigned bytes")
    start = 4 + 4 * raw[3]
    shape = tuple(int.from_bytes(raw[at : at + 4], "big") for at in range(4, start, 4))
    if len(raw) != start + int(np.prod(shape)):
        raise ModelError(f"{path} holds {len(raw) - start} values where its header says {shape}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def read_split(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """Images ``uint8 [n, 28, 28]`` and labels ``int64 [n]`` of the ``"train"`` or the ``"t10k"`` split."""
    images = read_idx(folder / f"{split}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{split}-labels-idx1-ubyte.gz")
    if images.ndim != 3 or images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        raise ModelError(f"{folder} holds {images.shape} images and {labels.shape} labels, not Fashion-MNIST")
    return torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64))


def read_shipped(path: Path) -> tuple[Tensor, Tensor]:
    """Images ``uint8 [n, 28, 28]`` and labels ``int64 [n]`` of ``CALIBRATION`` or ``TEST``.

    Raises ``ModelError`` if the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            images, labels = stored["images"], stored["labels"]
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist") from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ModelError(f"{path} is damaged: {error}") from None
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))


def normalize(images: Tensor) -> Tensor:
    """``uint8 [n, 28, 28]`` to the network's input, ``float32 [n, 1, 28, 28]``."""
    return (images.unsqueeze(1).float() / 255 - MEAN[0]) / STD[0]


def correct(model: nn.Module, images: Tensor, labels: Tensor) -> int:
    """How many of ``images`` (``uint8 [n, 28, 28]``) have their label as the largest logit of ``model``."""
    with torch.inference_mode():
        found = torch.cat([model(normalize(chunk)).argmax(1) for chunk in images.split(500)])
    return int((found == labels).sum())
