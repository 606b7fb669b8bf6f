"""A whole graph, checked when it is made: order, types of all tensors, formats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vitreous.spec.graph.formats import check_formats
from vitreous.spec.graph.infer import infer
from vitreous.spec.graph.node import GraphError, Node, Op, Tensor


@dataclass(frozen=True, kw_only=True, repr=False)
class Graph:
    """A whole quantized model.

    nodes : in execution order, with one INPUT and one OUTPUT or several of them.
    tensors : by name, one for each output of a node; dtype, shape and rows are what ``infer`` says.
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

    def __repr__(self) -> str:
        takes = ", ".join(str(list(entry.shape)) for entry in self.inputs)
        return f"<Graph {self.name}: {takes}, {len(self.nodes)} operations, {self.macs:,} MAC>"

    def __post_init__(self) -> None:
        self._check_order()
        self._check_types()
        check_formats(self.nodes, self.tensors)

    def _check_order(self) -> None:
        """Names are unique, every tensor is made before it is read, and nothing reads an output."""
        seen: set[str] = set()
        names: set[str] = set()
        results: set[str] = set()
        for node in self.nodes:
            if node.name in names:
                raise GraphError(f"Node {node.name}: two nodes have this name")
            names.add(node.name)
            for name in node.inputs:
                if name not in seen:
                    raise node.error(f"input {name!r} is not computed before it")
                if name in results:
                    raise node.error(f"input {name!r} is an output of the graph, which no node reads")
            for name in node.outputs:
                if name in seen:
                    raise node.error(f"output {name!r} is computed twice")
                if name not in self.tensors:
                    raise node.error(f"output {name!r} has no tensor entry")
                if self.tensors[name].name != name:
                    raise node.error(f"output {name!r} has the entry of {self.tensors[name].name!r}")
                seen.add(name)
            if node.op is Op.OUTPUT:
                results.update(node.outputs)
        if set(self.tensors) != seen:
            raise GraphError(f"Tensors without a producer: {', '.join(sorted(set(self.tensors) - seen))}")
        for op, entries in ((Op.INPUT, self.inputs), (Op.OUTPUT, self.outputs)):
            if not entries:
                raise GraphError(f"Graph {self.name}: needs at least one {op} node")

    def _check_types(self) -> None:
        """Every entry has the dtype, shape and rows that its operation gives it."""
        for node in self.nodes:
            declared = [self.tensors[name].type for name in node.outputs]
            inputs = [self.tensors[name].type for name in node.inputs]
            inferred = infer(node, declared if node.op is Op.INPUT else inputs)
            for name, entry, found in zip(node.outputs, declared, inferred, strict=True):
                if entry != found:
                    raise node.error(f"makes {name} {found}, but its tensor entry says {entry}")

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What the graph is given, in the order of the nodes."""
        return self._made_by(Op.INPUT)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """What the graph gives, in the order of the nodes."""
        return self._made_by(Op.OUTPUT)

    def _made_by(self, op: Op) -> tuple[Tensor, ...]:
        return tuple(self.tensors[name] for node in self.nodes if node.op is op for name in node.outputs)

    @property
    def input(self) -> Tensor:
        """The one input. Raises GraphError where there are several."""
        return self._only(self.inputs, "input")

    @property
    def output(self) -> Tensor:
        """The one output. Raises GraphError where there are several."""
        return self._only(self.outputs, "output")

    def _only(self, entries: tuple[Tensor, ...], what: str) -> Tensor:
        if len(entries) != 1:
            names = ", ".join(entry.name for entry in entries)
            raise GraphError(
                f"Graph {self.name} has {len(entries)} {what}s ({names}) where exactly one is needed"
            )
        return entries[0]

    def producer(self, tensor: str) -> Node:
        return next(node for node in self.nodes if tensor in node.outputs)

    def consumers(self, tensor: str) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if tensor in node.inputs)
