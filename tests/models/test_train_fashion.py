import gzip
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vitreous.models import train_fashion


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set of the right format with few images: the label is where the bright band lies."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(4)
    for split, count in (("train", 48), ("t10k", 16)):
        labels = torch.randint(0, 10, (count,), generator=generator, dtype=torch.uint8)
        images = torch.zeros(count, 28, 28, dtype=torch.uint8)
        for image, label in zip(images, labels.tolist(), strict=True):
            image[2 * label + 4 : 2 * label + 6] = 200
        header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28))
        (tmp_path / f"{split}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(header + images.numpy().tobytes())
        )
        header = bytes([0, 0, 8, 1]) + count.to_bytes(4, "big")
        (tmp_path / f"{split}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(header + labels.numpy().tobytes())
        )
    return tmp_path


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(data: Path, tmp_path: Path) -> None:
    def train(out: str, *more: str) -> list[str]:
        flags = ["--data", str(data), "--epochs", "3", "--batch", "16", "--quiet"]
        train_fashion.main(["--out", str(tmp_path / out), *flags, *more])
        return (tmp_path / out / "log.jsonl").read_text().splitlines()

    assert len(train("whole")) == 3
    assert len(train("parts", "--stop-after", "2")) == 2
    assert len(train("parts")) == 3
    whole, parts = (load_file(tmp_path / out / "fashion-vit.safetensors") for out in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_augmentation_shifts_and_flips_whole_images() -> None:
    images = torch.zeros(200, 28, 28, dtype=torch.uint8)
    images[:, 10, 6] = 255
    moved = train_fashion.augment(images, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    places = {tuple(place) for place in (moved == 255).nonzero()[:, 1:].tolist()}
    assert (moved == 255).flatten(1).sum(1).tolist() == [1] * 200
    expected = {(row, column) for row in range(9, 12) for column in (5, 6, 7, 20, 21, 22)}
    assert places == expected


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [train_fashion.learning_rate(step, 100, 10, 1.0) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0)
    assert all(later < earlier for earlier, later in pairwise(rates[11:]))
