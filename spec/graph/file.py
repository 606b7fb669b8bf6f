"""Graphs on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vitreous.spec.graph.graph import Graph
from vitreous.spec.graph.node import GraphError, Node, Op, Tensor
from vitreous.spec.storage import StorageError, read_pair, write_pair

FORMAT = "vitreous-graph-4"
FORMAT_3 = "vitreous-graph-3"
"""Had no blocks of keys: every score row was one."""
FORMAT_2 = "vitreous-graph-2"
"""Had norms without ``channel_shifts``: no channel was shifted; and one row selected, or the mean of all."""
FORMAT_1 = "vitreous-graph-1"
"""Had one input and one output, no ``rows_from`` (every number of rows was constant), and at first "gelu" for what is
"activation" now: what it says has the same meaning here. Its norms are those of format 2.
"""
_FORMER_OPS = {"gelu": "activation"}
_NORMS = (Op.LAYERNORM, Op.RMSNORM)
_FORMER_MEANING: dict[str, dict[str, int]] = {Op.SELECT_TOKEN: {"count": 1}, Op.MEAN_TOKENS: {"first": 0}}
"""What a node of format 2 meant, which had not these attributes."""


def save(graph: Graph, path: str | Path) -> Path:
    """Write ``path`` (safetensors with every constant) and ``path`` with suffix .json (everything else). No
    pickle.
    """
    arrays = {f"{node.name}.{key}": array for node in graph.nodes for key, array in node.constants.items()}
    text = {
        "format": FORMAT,
        "name": graph.name,
        "macs": graph.macs,
        "preprocessing": dict(graph.preprocessing),
        "notes": dict(graph.notes),
        "tensors": [
            {
                "name": t.name,
                "dtype": t.dtype,
                "shape": list(t.shape),
                "scale": t.scale,
                "zero_point": t.zero_point,
                "rows_from": t.rows_from,
            }
            for t in graph.tensors.values()
        ],
        "nodes": [
            {
                "op": str(n.op),
                "name": n.name,
                "inputs": list(n.inputs),
                "outputs": list(n.outputs),
                "attributes": dict(n.attributes),
                "constants": sorted(n.constants),
                "layer": n.layer,
            }
            for n in graph.nodes
        ],
    }
    return write_pair(path, arrays, text)


def load(path: str | Path) -> Graph:
    """The inverse of ``save``, for files of all formats. Raises GraphError on a missing, truncated or foreign file,
    and on one whose graph is malformed.
    """
    try:
        arrays, text = read_pair(path, FORMAT, FORMAT_3, FORMAT_2, FORMAT_1)
        if text["format"] == FORMAT_1:
            text = _from_format_1(text)
        if text["format"] == FORMAT_2:
            arrays, text = _from_format_2(arrays, text)
        if text["format"] == FORMAT_3:
            text = _from_format_3(text)
        tensors = {t["name"]: Tensor(**{**t, "shape": tuple(t["shape"])}) for t in text["tensors"]}
        nodes = tuple(
            Node(
                op=Op(n["op"]),
                name=n["name"],
                inputs=tuple(n["inputs"]),
                outputs=tuple(n["outputs"]),
                attributes=n["attributes"],
                constants={key: arrays[f"{n['name']}.{key}"] for key in n["constants"]},
                layer=n["layer"],
            )
            for n in text["nodes"]
        )
        return Graph(
            name=text["name"],
            nodes=nodes,
            tensors=tensors,
            macs=text["macs"],
            preprocessing=text["preprocessing"],
            notes=text["notes"],
        )
    except StorageError as error:
        raise GraphError(str(error)) from None
    except GraphError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise GraphError(f"{path} is not a complete graph: {error!r}") from None


def _from_format_1(text: dict[str, Any]) -> dict[str, Any]:
    """The same graph in the words of format 2."""
    nodes = [{**node, "op": _FORMER_OPS.get(node["op"], node["op"])} for node in text["nodes"]]
    tensors = [{**t, "rows_from": None} for t in text["tensors"]]
    return {**text, "format": FORMAT_2, "tensors": tensors, "nodes": nodes}


def _from_format_2(
    arrays: dict[str, np.ndarray], text: dict[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The same graph in the words of format 3: every norm has shifts, all of them zero; rows are taken one by one, or
    all."""
    widths = {t["name"]: t["shape"][-1] for t in text["tensors"]}
    norms = [node for node in text["nodes"] if node["op"] in _NORMS]
    zeros = {f"{n['name']}.channel_shifts": np.zeros(widths[n["inputs"][0]], np.uint8) for n in norms}
    nodes = []
    for node in text["nodes"]:
        shifted = ["channel_shifts"] if node["op"] in _NORMS else []
        attributes = {**node["attributes"], **_FORMER_MEANING.get(node["op"], {})}
        nodes.append({**node, "attributes": attributes, "constants": [*node["constants"], *shifted]})
    return {**arrays, **zeros}, {**text, "format": FORMAT_3, "nodes": nodes}


def _from_format_3(text: dict[str, Any]) -> dict[str, Any]:
    """The same graph in today's words: a softmax gives the maximum of each row's only block, its context takes it."""
    softmaxes = [node for node in text["nodes"] if node["op"] == Op.SOFTMAX]
    by_p = {node["outputs"][0]: f"{node['name']}.maxima" for node in softmaxes}
    by_shift = {node["outputs"][2]: f"{node['name']}.maxima" for node in softmaxes}
    tensors, nodes = [], []
    for tensor in text["tensors"]:
        tensors.append(tensor)
        if tensor["name"] in by_shift:
            tensors.append({**tensor, "name": by_shift[tensor["name"]], "shape": [*tensor["shape"], 1]})
    for node in text["nodes"]:
        if node["op"] == Op.SOFTMAX:
            node = {**node, "outputs": [*node["outputs"], by_p[node["outputs"][0]]]}
        elif node["op"] == Op.CONTEXT:
            node = {**node, "inputs": [*node["inputs"], by_p[node["inputs"][0]]]}
        if node["op"] in (Op.SOFTMAX, Op.CONTEXT):
            node = {**node, "attributes": {**node["attributes"], "key_block": 0}}
        nodes.append(node)
    return {**text, "format": FORMAT, "tensors": tensors, "nodes": nodes}
