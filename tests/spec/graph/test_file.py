"""Graph files of all formats. Missing, truncated and foreign files: tests/spec/test_storage.py."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from tests.support.golden.random_graph import Sizes, random_graph
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.graph import Graph, GraphError, Node, Op, Tensor, load, save
from vitreous.spec.variants import EXACT, SoftmaxVariant


def described(graph: Graph) -> list[Any]:
    """Everything of a graph, with its constants as bytes."""
    nodes = [
        {
            **{field.name: getattr(node, field.name) for field in dataclasses.fields(node)},
            "constants": {key: (str(array.dtype), array.tobytes()) for key, array in node.constants.items()},
        }
        for node in graph
    ]
    return [graph.name, nodes, dict(graph.tensors), graph.macs, graph.preprocessing, graph.notes]


def without_blocks(text: dict[str, Any]) -> dict[str, Any]:
    """The text of a graph whose rows are one block each as format 3 wrote it."""
    for node in text["nodes"]:
        if node["op"] in ("softmax", "context"):
            assert node["attributes"].pop("key_block") == 0
            maxima = (node["outputs"] if node["op"] == "softmax" else node["inputs"]).pop()
            assert maxima.endswith(".softmax.maxima")
    tensors = [tensor for tensor in text["tensors"] if not tensor["name"].endswith(".softmax.maxima")]
    return text | {"format": "vitreous-graph-3", "tensors": tensors}


def rewritten(path: Path, former: str, *, format: str = "vitreous-graph-1") -> None:
    """The graph at ``path`` as format 1 wrote it, with its smooth activation called ``former``."""
    text, side = without_shifts(path)
    text["format"] = format
    for tensor in text["tensors"]:
        assert tensor.pop("rows_from") is None
    for node in text["nodes"]:
        if node["op"] == "activation":
            node["op"] = former
    side.write_text(json.dumps(text, indent=1))


def without_shifts(path: Path) -> tuple[dict[str, Any], Path]:
    """The text of the graph at ``path`` as format 3 wrote it and its file, the norms without their shifts, in the array
    file as well."""
    side = path.with_suffix(".json")
    text = without_blocks(json.loads(side.read_text()))
    arrays = load_file(path)
    for node in text["nodes"]:
        if node["op"] in ("layernorm", "rmsnorm"):
            node["constants"].remove("channel_shifts")
            assert not arrays.pop(f"{node['name']}.channel_shifts").any()
    save_file(arrays, path)
    return text, side


@pytest.mark.parametrize("variant", ["base2", "online", EXACT])
def test_files_of_format_3_are_the_same_graph(variant: SoftmaxVariant, tmp_path: Path) -> None:
    """Rows of any length were one block each."""
    graph = random_graph(Sizes(grid=(12, 12), depth=1, softmax=SoftmaxConfig(variant=variant), blocks=False))
    path = save(graph, tmp_path / "g.safetensors")
    side = path.with_suffix(".json")
    before = side.read_bytes()
    side.write_text(json.dumps(without_blocks(json.loads(before))))
    old = load(path)
    assert described(old) == described(graph)
    save(old, path)
    assert side.read_bytes() == before, "written back in today's format"


def test_blocks_of_keys_come_back(tmp_path: Path) -> None:
    graph = random_graph(Sizes(grid=(12, 12), depth=1))
    (softmax,) = (node for node in graph if node.op is Op.SOFTMAX)
    assert graph.tensors[softmax.outputs[3]].shape[-1] == 2, "145 keys"
    assert described(load(save(graph, tmp_path / "g.safetensors"))) == described(graph)


def test_a_graph_of_format_4_has_blocks(tmp_path: Path) -> None:
    path = save(random_graph(Sizes(blocks=False)), tmp_path / "g.safetensors")
    side = path.with_suffix(".json")
    side.write_text(json.dumps(without_blocks(json.loads(side.read_text())) | {"format": "vitreous-graph-4"}))
    with pytest.raises(GraphError, match=r"Node blocks.0.attn.softmax \(softmax\): has 4 outputs, not 3"):
        load(path)


@pytest.mark.parametrize("centred", [True, False])
def test_files_of_format_2_are_the_same_graph(centred: bool, tmp_path: Path) -> None:
    graph = random_graph(Sizes(centred=centred, blocks=False))
    path = save(graph, tmp_path / "g.safetensors")
    before = path.with_suffix(".json").read_bytes()
    text, side = without_shifts(path)
    side.write_text(json.dumps(text | {"format": "vitreous-graph-2"}))
    old = load(path)
    assert described(old) == described(graph)
    save(old, path)
    assert side.read_bytes() == before, "written back in today's format"


def test_norms_since_format_3_have_shifts(tmp_path: Path) -> None:
    path = save(random_graph(Sizes(blocks=False)), tmp_path / "g.safetensors")
    text, side = without_shifts(path)
    side.write_text(json.dumps(text))
    with pytest.raises(
        GraphError,
        match=r"Node blocks.0.norm1 \(layernorm\): constants must be \['channel_shifts'\], not \[\]",
    ):
        load(path)


def test_shifts_come_back(tmp_path: Path) -> None:
    graph = random_graph(Sizes(shifted=True))
    assert any(node.constants["channel_shifts"].any() for node in graph if node.op is Op.LAYERNORM)
    assert described(load(save(graph, tmp_path / "g.safetensors"))) == described(graph)


@pytest.mark.parametrize("former", ["gelu", "activation"])
def test_files_of_format_1_are_the_same_graph(former: str, tmp_path: Path) -> None:
    graph = random_graph(Sizes(blocks=False))
    path = save(graph, tmp_path / "g.safetensors")
    before = path.with_suffix(".json").read_bytes()
    rewritten(path, former)
    assert path.with_suffix(".json").read_bytes() != before
    old = load(path)
    assert described(old) == described(graph)
    save(old, path)
    assert path.with_suffix(".json").read_bytes() == before, "written back in today's format"


def test_a_former_name_is_known_in_its_format_only(tmp_path: Path) -> None:
    path = save(random_graph(Sizes(blocks=False)), tmp_path / "g.safetensors")
    rewritten(path, "gelu", format="vitreous-graph-2")
    with pytest.raises(GraphError, match="is not a complete graph: .*'gelu' is not a valid Op"):
        load(path)


def test_another_format_is_refused_by_its_name(tmp_path: Path) -> None:
    path = save(random_graph(Sizes(blocks=False)), tmp_path / "g.safetensors")
    rewritten(path, "gelu", format="vitreous-graph-5")
    formats = "'vitreous-graph-4' or 'vitreous-graph-3' or 'vitreous-graph-2' or 'vitreous-graph-1'"
    with pytest.raises(GraphError, match=f"has format 'vitreous-graph-5'; expected {formats}"):
        load(path)


def test_rows_from_data_and_several_inputs_come_back(tmp_path: Path) -> None:
    nodes = (
        Node(op=Op.INPUT, name="in.a", outputs=("a",)),
        Node(op=Op.INPUT, name="in.b", outputs=("b",)),
        Node(op=Op.ADD, name="add", inputs=("a", "b"), outputs=("sum",)),
        Node(op=Op.OUTPUT, name="out.sum", inputs=("sum",), outputs=("x",)),
        Node(op=Op.OUTPUT, name="out.a", inputs=("a",), outputs=("y",)),
    )
    tensors = {
        name: Tensor(name=name, dtype="int16", shape=(6, 4), scale=0.5, rows_from="expert.0")
        for name in ("a", "b", "sum", "x", "y")
    }
    graph = Graph(name="g", nodes=nodes, tensors=tensors)
    found = load(save(graph, tmp_path / "g.safetensors"))
    assert described(found) == described(graph)
    assert [entry.rows.source for entry in found.inputs] == ["expert.0", "expert.0"]


def test_a_wrong_shape_in_a_file_is_found(tmp_path: Path) -> None:
    path = save(random_graph(Sizes()), tmp_path / "g.safetensors")
    side = path.with_suffix(".json")
    text = json.loads(side.read_text())
    entry = next(t for t in text["tensors"] if t["name"] == "head.acc")
    entry["shape"][1] += 1
    side.write_text(json.dumps(text))
    with pytest.raises(
        GraphError,
        match=r"Node head \(linear\): makes head.acc int32 \[1, 10\], but its tensor entry says int32 \[1, 11\]",
    ):
        load(path)
