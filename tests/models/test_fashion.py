import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from vitreous.models import ModelError, fashion, load, macs

RECORD = json.loads(fashion.WEIGHTS.with_suffix(".json").read_text())


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_accuracy_on_the_shipped_images_is_the_recorded_one() -> None:
    model = load("fashion-vit")
    images, labels = fashion.read_shipped(fashion.TEST)
    recorded = RECORD["float_accuracy"]["shipped_test_images"]
    assert model.test_labels is not None
    assert torch.equal(model.test_labels, labels)
    assert torch.equal(model.test_images, fashion.normalize(images))
    assert len(labels) == recorded["images"] == 512
    assert fashion.correct(model.module, images, labels) == recorded["correct"]
    assert recorded["accuracy"] == recorded["correct"] / 512


def test_the_record_describes_the_model_and_reaches_its_goal() -> None:
    whole = RECORD["float_accuracy"]["all_test_images"]
    assert whole["images"] == 10_000
    assert whole["accuracy"] == whole["correct"] / 10_000
    assert whole["accuracy"] >= 0.89
    assert RECORD["macs_per_image"] == macs(fashion.CONFIG)
    assert RECORD["parameters"] == sum(p.numel() for p in load("fashion-vit").module.parameters())


def test_the_page_quotes_the_record() -> None:
    page = (fashion.WEIGHTS.parent.parent / "README.md").read_text()
    for score in RECORD["float_accuracy"].values():
        assert f"| {score['correct']} | {100 * score['accuracy']:.2f} % |" in page
    assert f"{RECORD['parameters']:,} parameters, {RECORD['macs_per_image']:,} multiply-accumulates" in page


@pytest.mark.parametrize(("path", "count"), [(fashion.CALIBRATION, 256), (fashion.TEST, 512)])
def test_shipped_images_are_whole(path: Path, count: int) -> None:
    images, labels = fashion.read_shipped(path)
    assert images.dtype == torch.uint8
    assert images.shape == (count, 28, 28)
    assert set(labels.tolist()) == set(range(10))
    # The training images, from which MEAN and STD come, are a larger sample of the same pictures.
    assert abs(images.float().mean() / 255 - fashion.MEAN[0]) < 0.02
    assert abs(images.float().std() / 255 - fashion.STD[0]) < 0.02


def test_what_ships_is_small_and_licensed() -> None:
    assert fashion.WEIGHTS.stat().st_size < 1_500_000
    assert fashion.CALIBRATION.stat().st_size + fashion.TEST.stat().st_size < 400_000
    notice = (fashion.TEST.parent / "LICENSE").read_text()
    assert "Zalando SE" in notice
    assert "Permission is hereby granted, free of charge" in notice


def test_damaged_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.npz"
    with pytest.raises(ModelError, match=r"images.npz does not exist"):
        fashion.read_shipped(path)
    shutil.copy(fashion.TEST, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"images.npz is damaged"):
        fashion.read_shipped(path)
    np.savez(path, images=np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(ModelError, match=r"images.npz is damaged"):
        fashion.read_shipped(path)


def idx(shape: tuple[int, ...], values: bytes, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + values


def test_idx_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(idx((2, 3), bytes(range(6)))))
    assert fashion.read_idx(path).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not gzip", "is not a readable gzip file"),
        (gzip.compress(idx((6,), bytes(6)))[:-9], "is not a readable gzip file"),
        (gzip.compress(b"\0\0"), "is not an IDX file of unsigned bytes"),
        (gzip.compress(idx((6,), bytes(6), kind=13)), "is not an IDX file of unsigned bytes"),
        (gzip.compress(idx((7,), bytes(6))), r"holds 6 values where its header says \(7,\)"),
    ],
    # Names of their own: gzip writes the time into the bytes, and workers must collect the same names.
    ids=["text", "truncated", "short", "other kind", "other size"],
)
def test_a_damaged_idx_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        fashion.read_idx(path)


def test_a_missing_data_set_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist; is dataset-fashion-mnist installed"):
        fashion.read_split(tmp_path, "train")
