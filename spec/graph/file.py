"""Graphs on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vitreous.spec.graph.graph import Graph
from vitreous.spec.graph.node import GraphError, Node, Op, Tensor
from vitreous.spec.storage import StorageError, read_pair, write_pair

FORMAT = "vitreous-graph-2"
FORMAT_1 = "vitreous-graph-1"
"""Had one input and one output, no ``rows_from`` (every number of rows was constant), and at first "gelu" for what is
"activation" now: what it says has the same meaning here.
"""
_FORMER_OPS = {"gelu": "activation"}
_FORMER_MEANING: dict[str, dict[str, int]] = {"select_token": {"count": 1}, "mean_tokens": {"first": 0}}
"""What a node meant before it had these attributes."""


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
    """The inverse of ``save``, for files of both formats. Raises GraphError on a missing, truncated or foreign file,
    and on one whose graph is malformed.
    """
    try:
        arrays, text = read_pair(path, FORMAT, FORMAT_1)
        if text["format"] == FORMAT_1:
            text = _from_format_1(text)
        tensors = {t["name"]: Tensor(**{**t, "shape": tuple(t["shape"])}) for t in text["tensors"]}
        nodes = tuple(
            Node(
                op=Op(n["op"]),
                name=n["name"],
                inputs=tuple(n["inputs"]),
                outputs=tuple(n["outputs"]),
                attributes={**n["attributes"], **_meant(n)},
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


def _meant(node: dict[str, Any]) -> dict[str, int]:
    """The attributes that a node had not in earlier files."""
    meaning = _FORMER_MEANING.get(node["op"], {})
    return {name: value for name, value in meaning.items() if name not in node["attributes"]}


def _from_format_1(text: dict[str, Any]) -> dict[str, Any]:
    """The same graph in today's words."""
    nodes = [{**node, "op": _FORMER_OPS.get(node["op"], node["op"])} for node in text["nodes"]]
    return {**text, "tensors": [{**t, "rows_from": None} for t in text["tensors"]], "nodes": nodes}
