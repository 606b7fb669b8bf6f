from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.golden.random_graph import Sizes, random_graph, random_image
from vitreous.golden import GoldenError, logits_to_real, quantize_image, run, run_batch
from vitreous.golden.interpreter import OPERATIONS
from vitreous.spec.config import ActivationConfig, NormConfig, SoftmaxConfig
from vitreous.spec.graph import Graph, Op, Tensor
from vitreous.spec.variants import EXACT

SIZES = [
    Sizes(),
    Sizes(class_token=False, nonlinearity="relu", softmax=SoftmaxConfig(variant="online")),
    Sizes(grid=(1, 1), class_token=False, width=3, heads=1, hidden=5, depth=1, classes=2),
    Sizes(channels=3, grid=(2, 5), patch=2, width=20, heads=4, hidden=7),
    Sizes(softmax=SoftmaxConfig(probability_bits=8), activation=ActivationConfig(variant="table")),
    Sizes(activation=ActivationConfig(interpolate=False, step_bits=4)),
    Sizes(
        softmax=SoftmaxConfig(variant="ibert"),
        activation=ActivationConfig(variant="poly"),
        norm=NormConfig(variant="two_pass"),
    ),
    Sizes(
        softmax=SoftmaxConfig(variant="ita", probability_bits=8),
        activation=ActivationConfig(variant="shift", function="silu"),
        norm=NormConfig(variant="two_pass"),
        centred=False,
    ),
    Sizes(
        softmax=SoftmaxConfig(variant=EXACT),
        activation=ActivationConfig(variant=EXACT),
        norm=NormConfig(variant=EXACT),
    ),
    Sizes(
        activation=ActivationConfig(variant=EXACT, function="silu"),
        norm=NormConfig(variant=EXACT),
        centred=False,
    ),
]


def test_every_operation_is_here_and_nothing_else() -> None:
    assert set(OPERATIONS) == set(Op)


def test_every_operation_with_arithmetic_has_a_file_of_its_name() -> None:
    places = {Op.ACTIVATION: "activation.activation", Op.SOFTMAX: "softmax.softmax"}
    for op in set(Op) - {Op.INPUT, Op.CONSTANT, Op.OUTPUT}:
        module = importlib.import_module(f"vitreous.golden.{places.get(op, f'ops.{op}')}")
        assert callable(getattr(module, str(op)))


@pytest.mark.parametrize("sizes", SIZES, ids=range(len(SIZES)))
def test_one_image_equals_the_same_image_in_a_batch(sizes: Sizes) -> None:
    graph = random_graph(sizes, seed=3)
    images = random_image(graph, 5, 7)
    seen: list[tuple[int, int]] = []
    batched = run_batch(graph, images, batch=3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 7), (6, 7), (7, 7)]
    assert batched.shape == (7, sizes.classes)
    assert len({tuple(row) for row in batched}) > 1, "the images make a difference"
    for image, logits in zip(images, batched, strict=True):
        values = run(graph, image)
        assert list(values) == [graph.output.name]
        np.testing.assert_array_equal(values[graph.output.name][0], logits)


@pytest.mark.parametrize("sizes", SIZES, ids=range(len(SIZES)))
def test_keep_returns_every_tensor_as_the_graph_describes_it(sizes: Sizes) -> None:
    graph = random_graph(sizes)
    values = run(graph, random_image(graph), keep=True)
    assert set(values) == set(graph.tensors)
    for name, entry in graph.tensors.items():
        assert (values[name].shape, str(values[name].dtype)) == (entry.shape, entry.dtype)


# How far the context may be from float64, in steps of its output: ita's terms are powers of two.
FLOAT_CASES = [(sizes, 40 if sizes.softmax.variant == "ita" else 3) for sizes in SIZES if sizes.width == 16]


@pytest.mark.parametrize(("sizes", "context"), FLOAT_CASES, ids=range(len(FLOAT_CASES)))
def test_a_graph_against_float64(sizes: Sizes, context: float) -> None:
    """The first block's integer tensors, read back through real arithmetic with PyTorch's own functions."""
    graph = random_graph(dataclasses.replace(sizes, depth=1))
    v = {name: torch.from_numpy(x).double() for name, x in run(graph, random_image(graph), keep=True).items()}
    functional, unit = torch.nn.functional, 1 << sizes.softmax.fraction_bits
    normalize = functional.layer_norm if sizes.centred else functional.rms_norm
    normal = normalize(v["embedded.out"], (16,)) * 32
    assert (v["blocks.0.norm1.out"] - normal.clamp(-128, 127)).abs().max() < 0.6
    q, k = (v[f"blocks.0.attn.{x}.out"].unflatten(-1, (2, 8)).transpose(0, 1) for x in "qk")
    score = q @ k.transpose(1, 2) * unit / (1600 * np.sqrt(8))
    assert (v["blocks.0.attn.scores.requantize.out"] - score).abs().max() < 0.6
    p = torch.softmax(score * np.log(2) / unit, dim=-1)
    values = v["blocks.0.attn.v.out"].unflatten(-1, (2, 8)).transpose(0, 1)
    mixed = ((p @ values) * 1.3).transpose(0, 1).flatten(1) - 3
    assert (v["blocks.0.attn.context.out"] - mixed.clamp(-128, 127)).abs().max() < context
    if sizes.nonlinearity == "relu":
        return
    smooth = functional.silu if sizes.activation.function == "silu" else functional.gelu
    activation = smooth(v["blocks.0.mlp.fc1.out"] / 1024) * 50 - 100
    # An error of 0.02 (poly, shift, table, and delta without interpolation) is one step here.
    close = sizes.activation.variant == EXACT or (
        sizes.activation.variant == "delta" and sizes.activation.interpolate
    )
    bound = 0.6 if close else 1.6
    assert (v["blocks.0.mlp.gelu.requantize.out"] - activation.clamp(-128, 127)).abs().max() < bound


def test_gelu_has_every_attribute_of_its_node() -> None:
    """Each changes the result of a graph that is otherwise the same."""
    base = {"function": "gelu", "variant": "delta", "step_bits": 5, "range": 4.5, "fraction_bits": 14}
    changes = [{}, {"interpolate": False}, {"step_bits": 3}, {"range": 1.0}, {"function": "silu"}]
    found = set()
    for change in changes:
        graph = random_graph(Sizes(depth=1, activation=ActivationConfig(**{**base, **change})))  # type: ignore[arg-type]
        values = run(graph, random_image(graph), keep=True)
        found.add(values["blocks.0.mlp.gelu.out"].tobytes())
    assert len(found) == len(changes)


def test_exact_probabilities_are_the_truth_that_the_others_approach() -> None:
    """Contexts of the same scores: two planes are nearer to exact than one."""
    found = {}
    for name, softmax in {
        "exact": SoftmaxConfig(variant=EXACT),
        "wide": SoftmaxConfig(),
        "narrow": SoftmaxConfig(probability_bits=8),
    }.items():
        graph = random_graph(Sizes(depth=1, grid=(6, 6), softmax=softmax))
        found[name] = run(graph, random_image(graph), keep=True)["blocks.0.attn.context.out"].astype(int)
    wide, narrow = (np.abs(found[name] - found["exact"]) for name in ("wide", "narrow"))
    assert wide.max() <= 1
    assert wide.mean() < narrow.mean()


def changed(graph: Graph, node: str, **changes: Any) -> Graph:
    nodes = tuple(dataclasses.replace(n, **changes) if n.name == node else n for n in graph.nodes)
    return dataclasses.replace(graph, nodes=nodes)


def test_errors_name_the_node() -> None:
    graph = random_graph(Sizes())
    image = random_image(graph)
    head = next(n for n in graph if n.name == "head")
    big = np.full(10, (1 << 31) - 1, np.int32)
    overflowing = changed(graph, "head", constants={**head.constants, "bias": big})
    with pytest.raises(GoldenError, match=r"Node head \(linear\): An accumulator overflows 32 bits"):
        run(overflowing, image)
    narrow = changed(graph, "head", constants={**head.constants, "weight": np.ones((10, 3), np.int8)})
    with pytest.raises(GoldenError, match=r"Node head \(linear\): inputs of shapes .* do not fit together"):
        run(narrow, image)
    norm = next(n for n in graph if n.op is Op.SOFTMAX)
    unknown = changed(graph, norm.name, attributes={**norm.attributes, "variant": "other"})
    with pytest.raises(GoldenError, match=rf"Node {norm.name} \(softmax\): softmax.variant must be one of"):
        run(unknown, image)
    wrong = {**graph.tensors, "logits": Tensor(name="logits", dtype="int16", shape=(1, 11))}
    with pytest.raises(
        GoldenError, match=r"Node output \(output\): logits is torch.int16 \(1, 10\), but the graph says"
    ):
        run(dataclasses.replace(graph, tensors=wrong), image)


def test_a_wrong_image_is_refused() -> None:
    graph = random_graph(Sizes())
    with pytest.raises(
        GoldenError, match=r"random takes int8 images of \(1, 12, 12\), not float64 \(1, 12, 12\)"
    ):
        run(graph, np.zeros((1, 12, 12)))
    with pytest.raises(
        GoldenError, match=r"random takes int8 images of n x \(1, 12, 12\), not int8 \(1, 12, 12\)"
    ):
        run_batch(graph, np.zeros((1, 12, 12), np.int8))


def test_quantize_image_and_back() -> None:
    graph = random_graph(Sizes())
    entry = Tensor(name="image", dtype="int8", shape=graph.input.shape, scale=0.02, zero_point=-10)
    logits = Tensor(name="logits", dtype="int16", shape=(1, 10), scale=0.5, zero_point=3)
    graph = dataclasses.replace(graph, tensors={**graph.tensors, "image": entry, "logits": logits})
    real = np.linspace(-3, 3, 144).reshape(1, 12, 12)
    quantized = quantize_image(graph, real)
    assert quantized.dtype == np.int8
    inside = (quantized > -128) & (quantized < 127)
    assert inside.any()
    assert (np.abs(0.02 * (quantized.astype(int) + 10) - real)[inside] <= 0.01 + 1e-12).all()
    assert (quantized.min(), quantized.max()) == (-128, 127)
    assert logits_to_real(graph, np.array([[3, 5]], np.int16)).tolist() == [[0.0, 1.0]]
    without = dataclasses.replace(
        graph, tensors={**graph.tensors, "image": dataclasses.replace(entry, scale=0.0)}
    )
    with pytest.raises(GoldenError, match="Tensor image: the input needs a positive scale"):
        quantize_image(without, real)
