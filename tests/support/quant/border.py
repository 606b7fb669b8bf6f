"""The border between the float model and the integer graph: tensor by tensor, so that a failure names the layer."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from vitreous.golden.interpreter import run
from vitreous.quant.calibrate.reference import evaluate
from vitreous.quant.importer.float_ir import Encoder
from vitreous.spec.graph import Graph, Op
from vitreous.spec.images import quantize_images, real_values


def noise_ratios(graph: Graph, encoder: Encoder, images: Tensor) -> dict[str, float]:
    """Signal to noise in dB of every integer tensor that has one scale, over all images, in execution order.

    The input of a ReLU is left out: it is saturated at the zero point before the ReLU has seen it.
    """
    expected = evaluate(encoder, images)
    before_relu = {name for node in graph for name in node.inputs if node.op is Op.RELU}
    compared = [
        t for t in graph.tensors.values() if t.scale and t.name in expected and t.name not in before_relu
    ]
    power = {entry.name: np.zeros(2) for entry in compared}
    for number, image in enumerate(quantize_images(graph, images.numpy())):
        values = run(graph, image, keep=True)
        for entry in compared:
            real = expected[entry.name][number].numpy().reshape(entry.shape)
            error = real_values(entry, values[entry.name]) - real
            power[entry.name] += ((real**2).sum(), (error**2).sum())
    return {name: 10 * float(np.log10((pair[0] + 1e-30) / (pair[1] + 1e-30))) for name, pair in power.items()}


def assert_border(graph: Graph, encoder: Encoder, images: Tensor, least: float) -> None:
    """Fail, naming the first layer, where an integer tensor is further than ``least`` dB from the float model."""
    for name, ratio in noise_ratios(graph, encoder, images).items():
        layer = graph.producer(name).layer
        assert ratio >= least, (
            f"quant: {name} of layer '{layer}' is {ratio:.1f} dB from the float model, not {least}"
        )
