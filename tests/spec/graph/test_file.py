"""Graph files of all formats. Missing, truncated and foreign files: tests/spec/test_storage.py."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from tests.support.golden.random_graph import Sizes, random_graph
from vitreous.spec.graph import Graph, GraphError, Node, Op, Tensor, load, save


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
    """The text of the graph at ``path`` and its file, the norms without their shifts, in the array file as well."""
    side = path.with_suffix(".json")
    text: dict[str, Any] = json.loads(side.read_text())
    arrays = load_file(path)
    for node in text["nodes"]:
        if node["op"] in ("layernorm", "rmsnorm"):
            node["constants"].remove("channel_shifts")
            assert not arrays.pop(f"{node['name']}.channel_shifts").any()
    save_file(arrays, path)
    return text, side


@pytest.mark.parametrize("centred", [True, False])
def test_files_of_format_2_are_the_same_graph(centred: bool, tmp_path: Path) -> None:
    graph = random_graph(Sizes(centred=centred))
    path = save(graph, tmp_path / "g.safetensors")
    before = path.with_suffix(".json").read_bytes()
    text, side = without_shifts(path)
    side.write_text(json.dumps(text | {"format": "vitreous-graph-2"}))
    old = load(path)
    assert described(old) == described(graph)
    save(old, path)
    assert side.read_bytes() == before, "written back in today's format"


def test_norms_of_todays_format_have_shifts(tmp_path: Path) -> None:
    path = save(random_graph(Sizes()), tmp_path / "g.safetensors")
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
    graph = random_graph(Sizes())
    path = save(graph, tmp_path / "g.safetensors")
    before = path.with_suffix(".json").read_bytes()
    rewritten(path, former)
    assert path.with_suffix(".json").read_bytes() != before
    old = load(path)
    assert described(old) == described(graph)
    save(old, path)
    assert path.with_suffix(".json").read_bytes() == before, "written back in today's format"


def test_a_former_name_is_known_in_its_format_only(tmp_path: Path) -> None:
    path = save(random_graph(Sizes()), tmp_path / "g.safetensors")
    rewritten(path, "gelu", format="vitreous-graph-2")
    with pytest.raises(GraphError, match="is not a complete graph: .*'gelu' is not a valid Op"):
        load(path)


def test_another_format_is_refused_by_its_name(tmp_path: Path) -> None:
    path = save(random_graph(Sizes()), tmp_path / "g.safetensors")
    rewritten(path, "gelu", format="vitreous-graph-4")
    formats = "'vitreous-graph-3' or 'vitreous-graph-2' or 'vitreous-graph-1'"
    with pytest.raises(GraphError, match=f"has format 'vitreous-graph-4'; expected {formats}"):
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
