from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.support.golden.random_graph import Sizes, random_graph
from vitreous.spec.graph import Graph, GraphError, Node, Op, Rows, Tensor


def tensor(name: str) -> Tensor:
    return Tensor(name=name, dtype="int8", shape=(1, 2, 2))


def graph_of(*nodes: Node, extra: tuple[str, ...] = ()) -> Graph:
    names = [name for node in nodes for name in node.outputs]
    return Graph(name="g", nodes=nodes, tensors={n: tensor(n) for n in (*names, *extra)})


INPUT = Node(op=Op.INPUT, name="in", outputs=("a",))
OUTPUT = Node(op=Op.OUTPUT, name="out", inputs=("a",), outputs=("z",))


def test_look_ups() -> None:
    graph = random_graph(Sizes(depth=1))
    assert graph.input.name == "image"
    assert graph.output.name == "logits"
    assert graph.producer("blocks.0.attn.m").op is Op.SOFTMAX
    assert [n.name for n in graph.consumers("blocks.0.norm1.out")] == [f"blocks.0.attn.{x}" for x in "qkv"]


RELU: dict[str, Any] = {
    "op": Op.RELU,
    "name": "r",
    "inputs": ("a",),
    "outputs": ("b",),
    "attributes": {"zero_point": 0},
}
NODES = [
    ({"inputs": ()}, r"Node r \(relu\): takes 1 inputs, not 0"),
    ({"outputs": ("b", "c")}, r"Node r \(relu\): has 1 outputs, not 2"),
    ({"attributes": {}}, r"Node r \(relu\): attributes must be \['zero_point'\], not \[\]"),
    ({"constants": {"w": np.zeros(1)}}, r"Node r \(relu\): constants must be \[\], not \['w'\]"),
    (
        {"attributes": {"zero_point": 0.5}},
        r"Node r \(relu\): attribute zero_point must be an integer, not 0.5",
    ),
    (
        {"attributes": {"zero_point": True}},
        r"Node r \(relu\): attribute zero_point must be an integer, not True",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), NODES, ids=[s for _, s in NODES])
def test_nodes_check_their_signature(change: dict[str, Any], sentence: str) -> None:
    assert Node(**RELU).integer("zero_point") == 0
    with pytest.raises(GraphError, match=sentence):
        Node(**{**RELU, **change})


def test_tensors_check_themselves() -> None:
    with pytest.raises(GraphError, match="Tensor t: dtype must be one of int8, int16, int32, not 'float32'"):
        Tensor(name="t", dtype="float32", shape=(1,))
    with pytest.raises(GraphError, match=r"Tensor t: every size must be a positive integer, not \(3, 0\)"):
        Tensor(name="t", dtype="int8", shape=(3, 0))
    for shape, source in (((3, 4), ""), ((3, 4), 5), ((3, 4, 5), "r"), ((3,), "r")):
        with pytest.raises(
            GraphError, match="Tensor t: rows_from must name a value, and the tensor must be a"
        ):
            Tensor(name="t", dtype="int8", shape=shape, rows_from=source)  # type: ignore[arg-type]


def test_kinds_of_attributes() -> None:
    smooth = {
        "function": "gelu",
        "variant": "delta",
        "step_bits": 5,
        "range": 4.5,
        "fraction_bits": 14,
        "interpolate": True,
    }

    def node(**changes: Any) -> Node:
        attributes = {**smooth, **changes}
        return Node(op=Op.ACTIVATION, name="s", inputs=("a",), outputs=("b",), attributes=attributes)

    node(range=4, interpolate=False)
    for change, sentence in (
        ({"function": 3}, "attribute function must be a string, not 3"),
        ({"range": "wide"}, "attribute range must be a number, not 'wide'"),
        ({"range": True}, "attribute range must be a number, not True"),
        ({"interpolate": 1}, "attribute interpolate must be true or false, not 1"),
        ({"step_bits": 5.0}, "attribute step_bits must be an integer, not 5.0"),
    ):
        with pytest.raises(GraphError, match=rf"Node s \(activation\): {sentence}"):
            node(**change)


def test_types_and_widths_of_tensors() -> None:
    entry = Tensor(name="t", dtype="int16", shape=(8, 3), rows_from="expert.0")
    assert entry.rows == Rows(8, "expert.0")
    assert entry.bits == 16
    assert str(entry.type) == "int16 [expert.0 <= 8, 3]"
    assert str(tensor("t").type) == "int8 [1, 2, 2]"
    assert Tensor(name="t", dtype="int8", shape=(8, 3)).rows == Rows(8)


def test_graphs_check_their_order() -> None:
    relu = Node(**RELU)
    assert len(list(graph_of(INPUT, relu, OUTPUT))) == 3
    cases: list[tuple[tuple[Node, ...], tuple[str, ...], str]] = [
        ((relu, INPUT, OUTPUT), (), r"Node r \(relu\): input 'a' is not computed before it"),
        (
            (INPUT, relu, Node(**{**RELU, "name": "s"}), OUTPUT),
            (),
            r"Node s \(relu\): output 'b' is computed twice",
        ),
        ((INPUT, relu, Node(**{**RELU, "outputs": ("c",)}), OUTPUT), (), "Node r: two nodes have this name"),
        ((INPUT, OUTPUT), ("extra",), "Tensors without a producer: extra"),
        ((INPUT, relu), (), "Graph g: needs at least one output node"),
        ((), (), "Graph g: needs at least one input node"),
        (
            (INPUT, OUTPUT, Node(**{**RELU, "inputs": ("z",)})),
            (),
            r"Node r \(relu\): input 'z' is an output of the graph, which no node reads",
        ),
    ]
    for nodes, extra, sentence in cases:
        with pytest.raises(GraphError, match=sentence):
            graph_of(*nodes, extra=extra)
    with pytest.raises(GraphError, match=r"Node r \(relu\): output 'b' has no tensor entry"):
        Graph(name="g", nodes=(INPUT, relu, OUTPUT), tensors={n: tensor(n) for n in "az"})
    with pytest.raises(GraphError, match=r"Node r \(relu\): output 'b' has the entry of 'z'"):
        Graph(name="g", nodes=(INPUT, relu, OUTPUT), tensors={n: tensor(n.replace("b", "z")) for n in "abz"})


def test_several_inputs_and_outputs() -> None:
    second = Node(op=Op.INPUT, name="in2", outputs=("b",))
    last = Node(op=Op.OUTPUT, name="out2", inputs=("b",), outputs=("y",))
    graph = graph_of(INPUT, OUTPUT, second, last)
    assert [entry.name for entry in graph.inputs] == ["a", "b"]
    assert [entry.name for entry in graph.outputs] == ["z", "y"]
    with pytest.raises(GraphError, match=r"Graph g has 2 inputs \(a, b\) where exactly one is needed"):
        _ = graph.input
    with pytest.raises(GraphError, match=r"Graph g has 2 outputs \(z, y\) where exactly one is needed"):
        _ = graph.output
    one = graph_of(INPUT, OUTPUT)
    assert (one.inputs, one.outputs) == ((one.input,), (one.output,))


@pytest.mark.parametrize("changed", ["embed.out", "position.out", "embedded.out"])
@pytest.mark.parametrize("change", [{"scale": 0.5}, {"zero_point": 3}], ids=["scale", "zero point"])
def test_an_addition_has_one_format(changed: str, change: dict[str, Any]) -> None:
    """Formats of both operands and of the sum, each in its turn, without a class token in between."""
    graph = random_graph(Sizes(depth=1, class_token=False))
    wrong = {**graph.tensors, changed: dataclasses.replace(graph.tensors[changed], **change)}
    found = "0.5 and 0" if "scale" in change else "1 and 3"
    with pytest.raises(
        GraphError,
        match=r"Node embedded \(add\): both inputs and the sum must have one scale and zero point, but embed.out has "
        rf"(1 and 0 and .* has {found}|{found} and .* has 1 and 0)",
    ):
        dataclasses.replace(graph, tensors=wrong)
