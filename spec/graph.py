"""The integer graph: what a quantized model computes, operation by operation, before any thought of hardware.

A graph is a list of nodes in execution order over named tensors. It is fully integer: real scales are kept
beside each tensor as
notes for reading results back (``value = scale * (integer - zero_point)``), no operation uses them.
docs/numerics.md gives each
operation's formula; ``golden.interpreter`` executes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from vitreous.spec.storage import StorageError, read_pair, write_pair


class GraphError(ValueError):
    """A graph that is malformed; the sentence names the node."""


class Op(StrEnum):
    """Every operation of an integer graph; ``SIGNATURES`` says what each takes."""

    INPUT = "input"
    PATCHES = "patches"
    LINEAR = "linear"
    REQUANTIZE = "requantize"
    ACTIVATION = "activation"
    RELU = "relu"
    CONSTANT = "constant"
    PAD_TOKENS = "pad_tokens"
    ADD = "add"
    LAYERNORM = "layernorm"
    RMSNORM = "rmsnorm"
    SCORES = "scores"
    SOFTMAX = "softmax"
    CONTEXT = "context"
    REQUANTIZE_ROWS = "requantize_rows"
    SELECT_TOKEN = "select_token"
    MEAN_TOKENS = "mean_tokens"
    OUTPUT = "output"


@dataclass(frozen=True)
class Signature:
    """Inputs (tensor names in this order), attributes and constants that an operation must have, and its number
    of outputs.
    """

    inputs: int
    attributes: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    outputs: int = 1


SIGNATURES: dict[Op, Signature] = {
    Op.INPUT: Signature(0),  # -> int8 [C, H, W]
    Op.PATCHES: Signature(1, ("patch",)),  # int8 [C, H, W] -> int8 [P, C*p*p]
    Op.LINEAR: Signature(
        1, ("input_zero_point",), ("weight", "bias")
    ),  # int8 [T, K]; int8 [O, K], int32 [O] -> int32 [T, O]
    Op.REQUANTIZE: Signature(
        1, ("zero_point", "bits"), ("multiplier", "shift")
    ),  # int32 [..., O]; [O] or [1] -> int8 / int16
    Op.ACTIVATION: Signature(
        1, ("function", "variant", "step_bits", "range", "fraction_bits", "interpolate")
    ),  # int16 Q6.10 -> int32 Q6.fraction_bits
    Op.RELU: Signature(1, ("zero_point",)),  # int8 -> int8
    Op.CONSTANT: Signature(0, (), ("value",)),  # -> int16
    Op.PAD_TOKENS: Signature(1, ("count",)),  # int16 [T, D] -> int16 [count + T, D], zeros first
    Op.ADD: Signature(2),  # int16, int16 -> int16, saturating
    Op.LAYERNORM: Signature(
        1, ("variant", "multiplier", "shift", "epsilon", "zero_point")
    ),  # int16 [T, D] -> int8 [T, D]
    Op.RMSNORM: Signature(
        1, ("variant", "multiplier", "shift", "epsilon", "zero_point")
    ),  # int16 [T, D] -> int8 [T, D]
    Op.SCORES: Signature(2, ("heads",)),  # q, k int8 [T, heads*d] -> int32 [heads, T, T]
    Op.SOFTMAX: Signature(
        1, ("variant", "fraction_bits", "probability_bits", "multiplier", "shift"), (), 3
    ),  # int16 -> p int8, or int16 with 16 probability bits (int32 if exact), m, s int32 [heads, T]
    Op.CONTEXT: Signature(
        2, ("heads",)
    ),  # p [heads, T, T], v int8 [T, heads*d] -> int32 [T, heads*d]; the dtype of p is its precision
    Op.REQUANTIZE_ROWS: Signature(3, ("heads", "zero_point")),  # int32 [T, heads*d], m, s [heads, T] -> int8
    Op.SELECT_TOKEN: Signature(1, ("index",)),  # [T, D] -> [1, D]
    Op.MEAN_TOKENS: Signature(1, ("multiplier", "shift")),  # int16 [T, D] -> int16 [1, D]
    Op.OUTPUT: Signature(1),  # marks the result
}

DTYPES = ("int8", "int16", "int32")


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor of the graph: ``value = scale * (integer - zero_point)``. ``scale`` is 0 where no single real
    scale exists.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise GraphError(
                f"Tensor {self.name}: dtype must be one of {', '.join(DTYPES)}, not {self.dtype!r}"
            )
        if any(not isinstance(size, int) or size < 1 for size in self.shape):
            raise GraphError(f"Tensor {self.name}: every size must be a positive integer, not {self.shape}")


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operation. ``layer`` is the module path in the user's model that it comes from."""

    op: Op
    name: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    attributes: Mapping[str, int | float | str | bool] = field(default_factory=dict)
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    layer: str = ""

    def __post_init__(self) -> None:
        signature = SIGNATURES[self.op]
        where = f"Node {self.name} ({self.op})"
        if len(self.inputs) != signature.inputs:
            raise GraphError(f"{where}: takes {signature.inputs} inputs, not {len(self.inputs)}")
        if len(self.outputs) != signature.outputs:
            raise GraphError(f"{where}: has {signature.outputs} outputs, not {len(self.outputs)}")
        if set(self.attributes) != set(signature.attributes):
            raise GraphError(
                f"{where}: attributes must be {sorted(signature.attributes)}, not {sorted(self.attributes)}"
            )
        if set(self.constants) != set(signature.constants):
            raise GraphError(
                f"{where}: constants must be {sorted(signature.constants)}, not {sorted(self.constants)}"
            )

    def integer(self, name: str) -> int:
        """An attribute that is an integer. Raises GraphError where it is not."""
        value = self.attributes[name]
        if not isinstance(value, int):
            raise GraphError(
                f"Node {self.name} ({self.op}): attribute {name} must be an integer, not {value!r}"
            )
        return value


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A whole quantized model.

    nodes : in execution order; the first is the only INPUT, the last the only OUTPUT.
    tensors : by name, one for each output of a node.
    macs : multiply-accumulates of the float model (linear, convolution and attention products; no padding).
    preprocessing : ``mean`` and ``std`` lists, one for each channel, applied to a real image in 0..1 before
    quantization.
    notes : free JSON, e.g. quantization settings and the float model's name.
    """

    name: str
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    macs: int = 0
    preprocessing: Mapping[str, list[float]] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        seen: set[str] = set()
        names: set[str] = set()
        for node in self.nodes:
            if node.name in names:
                raise GraphError(f"Node {node.name}: two nodes have this name")
            names.add(node.name)
            for name in node.inputs:
                if name not in seen:
                    raise GraphError(
                        f"Node {node.name} ({node.op}): input {name!r} is not computed before it"
                    )
            for name in node.outputs:
                if name in seen:
                    raise GraphError(f"Node {node.name} ({node.op}): output {name!r} is computed twice")
                if name not in self.tensors:
                    raise GraphError(f"Node {node.name} ({node.op}): output {name!r} has no tensor entry")
                seen.add(name)
        if set(self.tensors) != seen:
            raise GraphError(f"Tensors without a producer: {', '.join(sorted(set(self.tensors) - seen))}")
        kinds = [node.op for node in self.nodes]
        if not kinds or kinds[0] is not Op.INPUT or kinds.count(Op.INPUT) != 1:
            raise GraphError("A graph must begin with its only input node")
        if kinds[-1] is not Op.OUTPUT or kinds.count(Op.OUTPUT) != 1:
            raise GraphError("A graph must end with its only output node")

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    @property
    def input(self) -> Tensor:
        return self.tensors[self.nodes[0].outputs[0]]

    @property
    def output(self) -> Tensor:
        return self.tensors[self.nodes[-1].outputs[0]]

    def producer(self, tensor: str) -> Node:
        return next(node for node in self.nodes if tensor in node.outputs)

    def consumers(self, tensor: str) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if tensor in node.inputs)


def save(graph: Graph, path: str | Path) -> Path:
    """Write ``path`` (safetensors with every constant) and ``path`` with suffix .json (everything else). No
    pickle.
    """
    arrays = {f"{node.name}.{key}": array for node in graph.nodes for key, array in node.constants.items()}
    text = {
        "format": "vitreous-graph-1",
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
    """The inverse of ``save``. Raises GraphError on a missing, truncated or foreign file."""
    try:
        arrays, text = read_pair(path, "vitreous-graph-1")
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
