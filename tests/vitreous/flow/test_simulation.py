"""What `vitreous simulate` reads before it simulates."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.vitreous.test_cli import tiny_graph, tiny_program
from vitreous.errors import RunError
from vitreous.flow.display import Display
from vitreous.flow.simulation import Prepared, SimulateOptions, prepare
from vitreous.models import ModelError
from vitreous.spec import graph as graphs
from vitreous.spec import program as programs

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 4, 4), np.uint8)


def prepared(folder: Path, count: int = 2, **normalization: list[float]) -> Prepared:
    path = programs.save(tiny_program(), folder / "program.safetensors")
    graphs.save(dataclasses.replace(tiny_graph(), preprocessing=normalization), folder / "graph.safetensors")
    np.savez(folder / "test.npz", images=PIXELS, labels=np.arange(3))
    options = SimulateOptions(test=str(folder / "test.npz"), count=count)
    return prepare(path, folder / "out", options, Display(quiet=True))


def test_pixels_are_normalized_as_the_graphs_calibration_images_were(tmp_path: Path) -> None:
    found = prepared(tmp_path, mean=[0.5], std=[0.25])
    real = (PIXELS[:2, None] / 255 - 0.5) / 0.25
    assert np.abs(found.inputs - np.floor(real / 0.5 + 0.5)).max() == 0
    assert found.inputs.dtype == np.int8
    assert not (tmp_path / "out").exists()


def test_pixels_without_a_normalization_and_too_many_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not say how it normalises them"):
        prepared(tmp_path, mean=[0.0], std=[1.0])
    with pytest.raises(RunError, match="test.npz has 3 images; 4 were asked for"):
        prepared(tmp_path, count=4, mean=[0.5], std=[0.25])
