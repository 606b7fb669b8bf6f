from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.golden.random_graph import Sizes, random_graph
from vitreous.spec.graph import SIGNATURES, Graph, GraphError, Node, Op, Tensor


def tensor(name: str) -> Tensor:
    return Tensor(name=name, dtype="int8", shape=(1, 2, 2))


def graph_of(*nodes: Node, extra: tuple[str, ...] = ()) -> Graph:
    names = [name for node in nodes for name in node.outputs]
    return Graph(name="g", nodes=nodes, tensors={n: tensor(n) for n in (*names, *extra)})


INPUT = Node(op=Op.INPUT, name="in", outputs=("a",))
OUTPUT = Node(op=Op.OUTPUT, name="out", inputs=("a",), outputs=("z",))


def test_every_operation_has_a_signature() -> None:
    assert set(SIGNATURES) == set(Op)


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
        ((INPUT, relu), (), "A graph must end with its only output node"),
        ((), (), "A graph must begin with its only input node"),
        (
            (INPUT, Node(op=Op.INPUT, name="in2", outputs=("y",)), OUTPUT),
            (),
            "begin with its only input node",
        ),
        (
            (INPUT, OUTPUT, Node(**{**RELU, "inputs": ("z",)})),
            (),
            "A graph must end with its only output node",
        ),
    ]
    for nodes, extra, sentence in cases:
        with pytest.raises(GraphError, match=sentence):
            graph_of(*nodes, extra=extra)
    with pytest.raises(GraphError, match=r"Node r \(relu\): output 'b' has no tensor entry"):
        Graph(name="g", nodes=(INPUT, relu, OUTPUT), tensors={n: tensor(n) for n in "az"})
