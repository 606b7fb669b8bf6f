"""A model with its data in an exploration: what was kept is believed only while both are what they were."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.explore import tiny
from vitreous.errors import RunError
from vitreous.explore.evaluation import numerics
from vitreous.explore.fields import design
from vitreous.explore.options import Options
from vitreous.explore.source import loaded, source_of
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.images import ImageOrigin


def saved(path: Path, seed: int) -> str:
    model = source_of(tiny.MODEL, Options())[1]
    images = np.random.default_rng(seed).normal(size=(5, *model.input_shape)).astype(np.float32)
    np.savez(path, images=images, labels=np.arange(5) % model.classes)
    return str(path)


def test_data_is_part_of_every_key_and_a_changed_file_is_refused(tmp_path: Path) -> None:
    options = Options(test=saved(tmp_path / "test.npz", 1), calibration=str(tmp_path / "test.npz"))
    source, model = source_of(tiny.MODEL, options)
    assert (model.test_origin, len(model.test_images)) == (ImageOrigin.GIVEN, 5)
    own, _ = source_of(tiny.MODEL, Options())
    made = design(AcceleratorConfig(), {})
    assert numerics(made, source).key != numerics(made, own).key
    assert loaded(source).test_source == model.test_source
    saved(tmp_path / "test.npz", 2)
    loaded.cache_clear()
    with pytest.raises(RunError, match="or its images are not what they were when the exploration began"):
        loaded(source)
    assert source_of(tiny.MODEL, options)[0].digest != source.digest


def test_the_commands_of_points_name_the_data() -> None:
    options = Options(checkpoint=Path("w.safetensors"), test="own.npz")
    assert options.words == ["--checkpoint", "w.safetensors", "--test", "own.npz"]
    assert Options().words == []
