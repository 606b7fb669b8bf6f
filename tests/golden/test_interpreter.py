from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.golden.random_graph import Sizes, random_graph, random_image
from vitreous.golden import GoldenError, run, run_batch
from vitreous.golden.interpreter import OPERATIONS
from vitreous.spec.config import ActivationConfig, NormConfig, SoftmaxConfig
from vitreous.spec.graph import Graph, GraphError, Node, Op, Tensor
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
    Sizes(grid=(12, 8)),  # 97 keys: blocks of 64 and 33
    Sizes(grid=(13, 13), depth=1, softmax=SoftmaxConfig(probability_bits=16)),
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
    """Contexts of the same scores: two passes are nearer to exact than one."""
    found = {}
    for name, softmax in {
        "exact": SoftmaxConfig(variant=EXACT),
        "wide": SoftmaxConfig(probability_bits=16),
        "narrow": SoftmaxConfig(probability_bits=8),
    }.items():
        graph = random_graph(Sizes(depth=1, grid=(6, 6), softmax=softmax))
        found[name] = run(graph, random_image(graph), keep=True)["blocks.0.attn.context.out"].astype(int)
    wide, narrow = (np.abs(found[name] - found["exact"]) for name in ("wide", "narrow"))
    assert wide.max() <= 1
    assert wide.mean() < narrow.mean()


def test_rows_of_several_blocks_differ_from_whole_ones_by_roundings() -> None:
    """And rows of one block do not differ."""
    for grid, differs in (((12, 12), True), ((9, 10), False)):
        found = []
        for blocks in (True, False):
            graph = random_graph(Sizes(depth=1, grid=grid, blocks=blocks))
            values = run(graph, random_image(graph), keep=True)
            found.append(values["blocks.0.attn.context.out"].astype(int))
        assert np.abs(found[0] - found[1]).max() <= 3
        assert (found[0] != found[1]).any() == differs


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


FAULTS: list[tuple[Op, Callable[..., Any], str]] = [
    (
        Op.LINEAR,
        lambda node, x: x[0].int() @ torch.ones((3, 10), dtype=torch.int32),
        r"Node embed \(linear\): inputs of shapes \(1, 9, 16\) do not fit together",
    ),
    (
        Op.SOFTMAX,
        lambda node, x: SoftmaxConfig(variant="other"),
        r"Node blocks.0.attn.softmax \(softmax\): softmax.variant must be one of",
    ),
    (
        Op.OUTPUT,
        lambda node, x: x[0][..., :9],
        r"Node output \(output\): logits is torch.int16 \(1, 9\), but the graph says int16 \(1, 10\)",
    ),
    (
        Op.OUTPUT,
        lambda node, x: x[0].int(),
        r"Node output \(output\): logits is torch.int32 \(1, 10\), but the graph says int16 \(1, 10\)",
    ),
]


@pytest.mark.parametrize(("op", "fault", "sentence"), FAULTS)
def test_results_are_checked_when_they_are_made(
    op: Op, fault: Callable[..., Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph's entries are right (a graph checks them itself), the arithmetic is not."""
    graph = random_graph(Sizes())
    monkeypatch.setitem(OPERATIONS, op, fault)
    with pytest.raises(GoldenError, match=sentence):
        run(graph, random_image(graph))


def test_a_graph_that_does_not_fit_together_cannot_be_made() -> None:
    graph = random_graph(Sizes())
    head = next(n for n in graph if n.name == "head")
    with pytest.raises(
        GraphError, match=r"Node head \(linear\): constant weight must be int8 \[O, 16\], not int8"
    ):
        changed(graph, "head", constants={**head.constants, "weight": np.ones((10, 3), np.int8)})


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


def two_by_two(rows_from: str | None = None) -> Graph:
    """``sum = a + b`` and ``activated = relu(requantize(linear(norm(a))))``, over at most 6 rows of 4 channels."""
    weight = np.random.default_rng(0).integers(-100, 100, (4, 4)).astype(np.int8)
    norm = {"variant": "one_pass", "multiplier": 1 << 14, "shift": 10, "epsilon": 5, "zero_point": 0}
    factor = {"multiplier": np.array([1 << 14], np.int32), "shift": np.array([20], np.int32)}
    scale = {"zero_point": -5, "bits": 8}
    bias = {"bias": np.zeros(4, np.int32)}
    shifts = {"channel_shifts": np.array([0, 1, 0, 3], np.uint8)}
    steps: list[tuple[Op, str, tuple[str, ...], str, dict[str, Any], dict[str, Any]]] = [
        (Op.INPUT, "a", (), "int16", {}, {}),
        (Op.INPUT, "b", (), "int16", {}, {}),
        (Op.ADD, "both", ("a", "b"), "int16", {}, {}),
        (Op.OUTPUT, "sum", ("both",), "int16", {}, {}),
        (Op.LAYERNORM, "normed", ("a",), "int8", norm, shifts),
        (Op.LINEAR, "acc", ("normed",), "int32", {"input_zero_point": 0}, {"weight": weight, **bias}),
        (Op.REQUANTIZE, "narrow", ("acc",), "int8", scale, factor),
        (Op.RELU, "rectified", ("narrow",), "int8", {"zero_point": -5}, {}),
        (Op.OUTPUT, "activated", ("rectified",), "int8", {}, {}),
    ]
    nodes = [
        Node(op=op, name=f"n.{name}", inputs=x, outputs=(name,), attributes=attributes, constants=constants)
        for op, name, x, _, attributes, constants in steps
    ]
    tensors = {
        name: Tensor(name=name, dtype=dtype, shape=(6, 4), rows_from=rows_from)
        for _, name, _, dtype, _, _ in steps
    }
    return Graph(name="pair", nodes=tuple(nodes), tensors=tensors)


def rows(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(1 << 15), 1 << 15, (count, 4)).astype(np.int16)


def test_two_inputs_and_two_outputs() -> None:
    graph, a, b = two_by_two(), rows(6, 1), rows(6, 2)
    found = run(graph, {"b": b, "a": a})
    assert list(found) == ["sum", "activated"]
    np.testing.assert_array_equal(found["sum"], np.clip(a.astype(int) + b, -(1 << 15), (1 << 15) - 1))
    assert found["activated"].dtype == np.int8
    assert found["activated"].min() == -5
    assert len(np.unique(found["activated"])) > 3
    kept = run(graph, {"a": a, "b": b}, keep=True)
    assert set(kept) == set(graph.tensors)
    np.testing.assert_array_equal(kept["a"], a)
    other = run(graph, {"a": a, "b": rows(6, 3)})
    np.testing.assert_array_equal(other["activated"], found["activated"])
    assert (other["sum"] != found["sum"]).any()


def test_inputs_are_given_by_name() -> None:
    graph, a, b = two_by_two(), rows(6, 1), rows(6, 2)
    with pytest.raises(GraphError, match=r"Graph pair has 2 inputs \(a, b\) where exactly one is needed"):
        run(graph, a)
    with pytest.raises(GraphError, match=r"Graph pair has 2 inputs \(a, b\) where exactly one is needed"):
        run_batch(graph, a[None])
    with pytest.raises(GoldenError, match="pair takes the inputs a, b, not a"):
        run(graph, {"a": a})
    with pytest.raises(GoldenError, match="pair takes the inputs a, b, not a, b, c"):
        run(graph, {"a": a, "b": b, "c": b})
    with pytest.raises(GoldenError, match=r"pair takes int16 values of b of \(6, 4\), not int16 \(5, 4\)"):
        run(graph, {"a": a, "b": b[:5]})
    with pytest.raises(GoldenError, match=r"pair takes int16 values of b of \(6, 4\), not int8 \(6, 4\)"):
        run(graph, {"a": a, "b": b.astype(np.int8)})
    one = random_graph(Sizes())
    image = random_image(one)
    np.testing.assert_array_equal(run(one, {"image": image})["logits"], run(one, image)["logits"])


@pytest.mark.parametrize("count", [6, 4, 1, 0])
def test_fewer_rows_where_data_says_how_many(count: int) -> None:
    """The rows that there are come out as they do among all of them."""
    graph, a, b = two_by_two("expert.0"), rows(6, 1), rows(6, 2)
    whole = run(two_by_two(), {"a": a, "b": b}, keep=True)
    found = run(graph, {"a": a[:count], "b": b[:count]}, keep=True)
    assert set(found) == set(whole)
    for name, values in found.items():
        assert values.dtype == whole[name].dtype
        assert values.shape == (count, 4)
        np.testing.assert_array_equal(values, whole[name][:count])


def test_rows_of_one_source_are_equally_many() -> None:
    graph, a, b = two_by_two("expert.0"), rows(7, 1), rows(7, 2)
    with pytest.raises(
        GoldenError, match=r"pair takes as many rows of b as of a \(both from expert.0\), not 3 and 4"
    ):
        run(graph, {"a": a[:4], "b": b[:3]})
    with pytest.raises(
        GoldenError, match=r"pair takes int16 values of a of \(expert.0 <= 6, 4\), not int16 \(7, 4\)"
    ):
        run(graph, {"a": a, "b": b})


def test_rows_that_get_lost_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATIONS, Op.RELU, lambda node, x: x[0][..., :-1, :])
    graph = two_by_two("expert.0")
    with pytest.raises(
        GoldenError,
        match=r"n.rectified \(relu\): rectified is torch.int8 \(3, 4\), but the graph says int8 \(4, 4\)",
    ):
        run(graph, {"a": rows(4, 1), "b": rows(4, 2)})


def test_a_row_that_is_not_there() -> None:
    """Which row is selected is checked against the bound when the graph is made, and against the data when it runs."""
    nodes = (
        Node(op=Op.INPUT, name="input", outputs=("x",)),
        Node(
            op=Op.SELECT_TOKEN,
            name="select",
            inputs=("x",),
            outputs=("row",),
            attributes={"index": 3, "count": 1},
        ),
        Node(op=Op.OUTPUT, name="output", inputs=("row",), outputs=("y",)),
    )
    tensors = {
        "x": Tensor(name="x", dtype="int16", shape=(6, 4), rows_from="expert.0"),
        "row": Tensor(name="row", dtype="int16", shape=(1, 4)),
        "y": Tensor(name="y", dtype="int16", shape=(1, 4)),
    }
    graph, x = Graph(name="g", nodes=nodes, tensors=tensors), rows(4, 0)
    np.testing.assert_array_equal(run(graph, x)["y"], x[3:])
    np.testing.assert_array_equal(run_batch(graph, np.stack([x, x])), np.stack([x[3], x[3]]))
    with pytest.raises(GoldenError, match=r"Node select \(select_token\): Token must be in 0..2, not 3"):
        run(graph, x[:3])


def test_an_output_of_constants_alone() -> None:
    nodes = (
        Node(op=Op.INPUT, name="input", outputs=("x",)),
        Node(op=Op.CONSTANT, name="constant", outputs=("c",), constants={"value": rows(2, 0)}),
        Node(op=Op.OUTPUT, name="output", inputs=("c",), outputs=("y",)),
    )
    tensors = {name: Tensor(name=name, dtype="int16", shape=(2, 4)) for name in "xcy"}
    graph = Graph(name="g", nodes=nodes, tensors=tensors)
    batched = run_batch(graph, np.stack([rows(2, seed) for seed in range(5)]), batch=3)
    np.testing.assert_array_equal(batched, np.stack([rows(2, 0)] * 5))
    np.testing.assert_array_equal(run(graph, rows(2, 1))["y"], rows(2, 0))
