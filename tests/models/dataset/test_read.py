"""A user's images: every form is read, and every fault is one sentence before any work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vitreous.models import LoadedModel, ModelError, VisionTransformer, ViTConfig, load
from vitreous.models.dataset.image_set import spread
from vitreous.models.dataset.pictures import pixels
from vitreous.models.dataset.read import read
from vitreous.spec.images import ImageOrigin

CONFIG = ViTConfig(image_size=8, patch_size=4, in_channels=3, dim=8, depth=1, heads=2, num_classes=3)
SHAPE = (3, 8, 8)
FLOATS = np.random.default_rng(0).normal(size=(6, *SHAPE)).astype(np.float32)
PIXELS = np.random.default_rng(1).integers(0, 256, (6, *SHAPE), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def net() -> VisionTransformer:
    module = VisionTransformer(CONFIG).eval()
    module.input_mean, module.input_std = (0.5,) * 3, (0.5,) * 3  # type: ignore[assignment]
    return module


def saved(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "own.npz", **arrays)  # type: ignore[arg-type]
    return folder / "own.npz"


def picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (16, 12)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_an_npz_of_pixels_with_labels(tmp_path: Path) -> None:
    path = saved(tmp_path, images=PIXELS, labels=LABELS)
    model = load(net(), calibration=path, test=str(path))
    torch.testing.assert_close(model.test_images, (torch.from_numpy(PIXELS).float() / 255 - 0.5) / 0.5)
    assert model.test_labels is not None
    assert model.test_labels.tolist() == LABELS.tolist()
    assert model.test_source == f"{path}: 6 images"
    assert (model.calibration_origin, model.test_origin) == (ImageOrigin.GIVEN, ImageOrigin.GIVEN)
    fewer = load(net(), calibration=path, calibration_images=2, test=path, test_images=3)
    assert fewer.calibration_source == f"{path}: 2 of 6 images, evenly spread"
    assert fewer.test_labels is not None
    assert fewer.test_labels.tolist() == [0, 2, 1]


def test_normalization_beside_the_images_comes_first(tmp_path: Path) -> None:
    mean, std = np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 4.0])
    path = saved(tmp_path, images=PIXELS, mean=mean, std=std)
    model = load(VisionTransformer(CONFIG), calibration=path)
    expected = (PIXELS / 255 - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(model.calibration, torch.from_numpy(expected).float())
    assert model.mean == (0.1, 0.2, 0.3)


def test_class_folders_are_sorted_and_spread_over_the_classes(tmp_path: Path) -> None:
    for label, name in enumerate(("ant", "bee", "cat")):
        for number in range(4):
            picture(tmp_path / name / f"{number}.png", (80 * label, 0, 255))
    found = read(tmp_path, option="--test", shape=SHAPE, most=6)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.images.dtype == torch.uint8
    assert found.images[:, 0, 4, 4].tolist() == [0, 0, 80, 80, 160, 160]
    assert "6 of 12 pictures, evenly spread, resized and centre-cropped to 8 x 8" in found.source
    assert load(net(), calibration=tmp_path, test=tmp_path).test_labels is not None


def test_folders_named_by_numbers_are_these_labels(tmp_path: Path) -> None:
    for name in ("2", "0"):
        picture(tmp_path / name / "a.png", (0, 0, 0))
    found = read(tmp_path, option="--test", shape=SHAPE)
    assert found.labels is not None
    assert (found.labels.tolist(), found.named) == ([0, 2], None)


@pytest.mark.parametrize("text", ["file,label\nb.png,2\na.png,1\n", "b.png 2\na.png 1\n"])
def test_a_labels_file_names_pictures_and_classes(tmp_path: Path, text: str) -> None:
    picture(tmp_path / "a.png", (10, 0, 0))
    picture(tmp_path / "b.png", (20, 0, 0))
    (tmp_path / ("labels.csv" if "," in text else "labels.txt")).write_text(text)
    found = read(tmp_path, option="--test", shape=SHAPE)
    assert found.labels is not None
    assert found.labels.tolist() == [2, 1]
    assert found.images[:, 0, 0, 0].tolist() == [20, 10]


def test_a_picture_is_fitted_by_the_rule() -> None:
    wide = Image.new("RGB", (32, 8), (0, 0, 0))
    wide.paste((255, 255, 255), (12, 0, 20, 8))  # the centre, a square
    assert pixels(wide, SHAPE, 1.0).min() == 255
    assert pixels(wide, (1, 8, 8), 1.0).shape == (1, 8, 8)
    # With a crop of one half the picture is twice as large before its centre is cut out.
    assert pixels(wide.resize((16, 4)), SHAPE, 0.5)[:, 4, 4].tolist() == [255, 255, 255]
    with pytest.raises(ModelError, match="pictures have 1 or 3 channels, the model takes 4"):
        pixels(wide, (4, 8, 8), 1.0)


def test_a_data_set_of_pictures_and_a_named_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [(Image.new("RGB", (20, 20), (9, 9, 9)), 1)] * 3
    found = read(items, option="--test", shape=SHAPE)
    assert (found.images.shape, found.images.max()) == ((3, 3, 8, 8), 9)
    (tmp_path / "user_data_sets.py").write_text(
        "import numpy as np\ndef pair():\n    return np.zeros((2, 3, 8, 8), np.uint8), [0, 1]\n"
    )
    monkeypatch.chdir(tmp_path)
    named = read("user_data_sets:pair", option="--test", shape=SHAPE)
    assert named.labels is not None
    assert (len(named.images), named.labels.tolist()) == (2, [0, 1])
    with pytest.raises(ModelError, match="has no data set pari; did you mean 'pair'"):
        read("user_data_sets:pari", option="--test")


def test_numbers_are_evenly_spread() -> None:
    assert list(spread(10, 5)) == [0, 2, 4, 6, 8]
    assert list(spread(3, None)) == list(spread(3, 7)) == [0, 1, 2]


def with_one(images: np.ndarray, value: float) -> np.ndarray:
    changed = images.copy()
    changed[2, 0, 1, 1] = value
    return changed


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"images": FLOATS[:, :, :4]}, r"own.npz are \[3, 4, 8\], the model takes \[3, 8, 8\]"),
        ({"images": FLOATS.transpose(0, 2, 3, 1)}, r"\[8, 8, 3\], .*; the channels come first: permute"),
        ({"images": FLOATS[0]}, r"must be a tensor \[n, C, H, W\] with n of at least 1, not \[3, 8, 8\]"),
        ({"images": FLOATS[:0]}, "with n of at least 1"),
        ({"images": PIXELS.astype(np.int64)}, "are int64; give pixels as uint8 in 0..255, or normalised"),
        ({"images": FLOATS > 0}, "are bool; give pixels as uint8"),
        ({"images": np.array(["a"])}, "must be a tensor or an array of numbers, not"),
        (
            {"images": with_one(FLOATS, np.nan)},
            "1 of 6 images have values that are not finite, the first is image 2",
        ),
        ({"images": PIXELS.astype(np.float32)}, "reach 0..255; normalised by mean 0.5, 0.5, 0.5 and std"),
        ({"images": PIXELS / 255}, "lie in 0..1, as pixels do that were not normalised"),
        ({"images": FLOATS, "labels": LABELS[:5]}, r"one label for each image is needed, \[6\], not \[5\]"),
        (
            {"images": FLOATS, "labels": LABELS * 1.0},
            "labels must be integers, the numbers of classes, not float64",
        ),
        ({"images": FLOATS, "labels": LABELS + 1}, "label 3 of image 2 is outside 0..2, the model's classes"),
        ({"images": FLOATS, "labels": LABELS - 1}, "label -1 of image 0 is outside 0..2"),
        ({"pictures": FLOATS}, "own.npz holds pictures; the images must be called images"),
        ({"images": PIXELS, "mean": np.ones(3)}, "holds one of mean and std; give both or neither"),
        ({"images": PIXELS, "mean": np.ones(2), "std": np.ones(2)}, "have 3 channels; mean .* do not fit"),
    ],
)
def test_wrong_arrays_are_one_sentence(arrays: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=sentence):
        load(net(), calibration=FLOATS, test=saved(tmp_path, **arrays))


def two_folders(folder: Path) -> None:
    for name in ("ant", "bee"):
        picture(folder / name / "a.png", (0, 0, 0))


def beside(folder: Path) -> None:
    two_folders(folder)
    picture(folder / "a.png", (0, 0, 0))


def text_file(folder: Path) -> None:
    (folder / "a.png").write_text("no picture")


def missing(folder: Path) -> None:
    (folder / "labels.csv").write_text("file,label\nb.png,1\n")


def without_number(folder: Path) -> None:
    picture(folder / "b.png", (0, 0, 0))
    (folder / "labels.csv").write_text("b.png,1\nb.png,bee\n")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: None, "holds no pictures"),
        (
            two_folders,
            "2 class folders, and the model has 3 classes; name the folders by the classes' numbers",
        ),
        (beside, "holds pictures beside class folders"),
        (text_file, "a.png cannot be read as a picture"),
        (missing, "labels.csv, line 2: .*b.png does not exist"),
        (without_number, "labels.csv, line 2: 'b.png,bee' is not FILE,NUMBER"),
    ],
)
def test_wrong_folders_are_one_sentence(make: Callable[[Path], None], sentence: str, tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(ModelError, match=sentence):
        load(net(), calibration=FLOATS, test=tmp_path)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("nowhere", "--test nowhere does not exist; give an .npz file with images and labels, a folder"),
        ("no.npz", "--test no.npz does not exist"),
        ("README.md", "--test README.md is none of the files that are read"),
        (3, "--test: images is int; give an .npz file"),
        ([(FLOATS[0], 1, 2)], "gives 3 values for an image; give the image and its label"),
        ([(FLOATS[0], 1), FLOATS[1]], "gives labels with some of its images only"),
        ([FLOATS[0], PIXELS[1]], "holds images of several shapes or types"),
        ([], "--test: images holds no images"),
        (lambda: 1 / 0, "--test: images failed: ZeroDivisionError"),
        (FLOATS * 1000, "reach"),
    ],
)
def test_wrong_data_is_one_sentence(data: Any, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        load(net(), calibration=FLOATS, test=data)


def test_calibration_and_test_that_were_normalised_differently_are_refused() -> None:
    module = VisionTransformer(CONFIG).eval()
    with pytest.raises(
        ModelError, match="calibration images reach .* and test images .*; both must be normalised"
    ):
        load((module, FLOATS), test=20 * FLOATS)


def test_data_that_does_not_fit_into_memory_is_refused_before_it_is_converted() -> None:
    class Endless:
        def __len__(self) -> int:
            return 1 << 40

        def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
            return np.broadcast_to(np.float32(0), (3, 1 << 15, 1 << 15)), 0

    with pytest.raises(ModelError, match="are 12 GiB as float32; use fewer with --test-images N"):
        read(Endless(), option="--test")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, images=FLOATS)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ModelError, match="own.npz cannot be read"):
        read(path, option="--test")
    np.save(tmp_path / "own.npy", FLOATS)
    assert len(read(tmp_path / "own.npy", option="--test", shape=SHAPE).images) == 6


def test_pixels_of_a_shipped_model_are_normalized_as_its_own(tmp_path: Path) -> None:
    own: LoadedModel = load("fashion-vit")
    grey = np.random.default_rng(2).integers(0, 256, (4, 28, 28), np.uint8)
    model = load("fashion-vit", test=saved(tmp_path, images=grey, labels=np.arange(4)))
    expected = (torch.from_numpy(grey)[:, None].float() / 255 - own.mean[0]) / own.std[0]
    torch.testing.assert_close(model.test_images, expected)
    assert torch.equal(model.calibration, own.calibration)
    assert (model.calibration_origin, model.test_origin) == (ImageOrigin.SHIPPED, ImageOrigin.GIVEN)
