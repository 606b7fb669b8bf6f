from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support.golden.random_graph import Sizes, random_graph
from vitreous.spec.graph import Graph, Tensor
from vitreous.spec.images import ImageError, quantize_images, real_values


def graph_with(scale: float, zero_point: int) -> Graph:
    graph = random_graph(Sizes())
    entry = dataclasses.replace(graph.input, scale=scale, zero_point=zero_point)
    logits = Tensor(name="logits", dtype="int16", shape=(1, 10), scale=0.5, zero_point=3)
    return dataclasses.replace(graph, tensors={**graph.tensors, "image": entry, "logits": logits})


def test_images_and_back() -> None:
    graph = graph_with(0.02, -10)
    real = np.linspace(-3, 3, 144).reshape(1, 12, 12)
    quantized = quantize_images(graph, real)
    assert quantized.dtype == np.int8
    inside = (quantized > -128) & (quantized < 127)
    assert inside.any()
    assert (np.abs(0.02 * (quantized.astype(int) + 10) - real)[inside] <= 0.01 + 1e-12).all()
    assert (quantized.min(), quantized.max()) == (-128, 127)
    np.testing.assert_array_equal(quantize_images(graph, np.stack([real, real]))[1], quantized)
    assert real_values(graph.output, np.array([[3, 5]], np.int16)).tolist() == [[0.0, 1.0]]
    assert np.abs(real_values(graph.input, quantized) - real)[inside].max() <= 0.01 + 1e-12


def test_ties_are_rounded_up() -> None:
    """Every half step of an int8's range and beyond, against integers; a little below a tie goes down."""
    graph = graph_with(0.25, 5)
    halves = np.arange(-288, 288)
    real = (halves * 0.125).reshape(4, 1, 12, 12)
    expected = np.clip((halves + 1) // 2 + 5, -128, 127)
    np.testing.assert_array_equal(quantize_images(graph, real).ravel(), expected)
    below = quantize_images(graph, real - 1e-9).ravel()
    np.testing.assert_array_equal(below, np.clip(halves // 2 + 5, -128, 127))


def test_what_has_no_one_scale_is_refused() -> None:
    graph = graph_with(0.0, 0)
    with pytest.raises(ImageError, match="Tensor image: the input needs a positive scale, not 0.0"):
        quantize_images(graph, np.zeros((1, 12, 12)))
    with pytest.raises(ImageError, match="image has a scale for each channel or row, not one"):
        real_values(graph.input, np.zeros((1, 12, 12), np.int8))


@pytest.mark.parametrize("shape", [(1, 4, 4), (12, 12), (1, 1, 1, 12, 12)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"random takes images of \[1, 12, 12\], not a tensor of \["):
        quantize_images(graph_with(0.02, 0), np.zeros(shape))
