"""Executes an integer graph node by node, for one set of inputs or a batch: what every other room is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from vitreous.golden.activation.activation import activation
from vitreous.golden.errors import GoldenError
from vitreous.golden.norm.constants import NormConstants
from vitreous.golden.ops.add import add
from vitreous.golden.ops.context import context
from vitreous.golden.ops.layernorm import layernorm
from vitreous.golden.ops.linear import linear
from vitreous.golden.ops.mean_tokens import mean_tokens
from vitreous.golden.ops.pad_tokens import pad_tokens
from vitreous.golden.ops.patches import patches
from vitreous.golden.ops.relu import relu
from vitreous.golden.ops.requantize import requantize
from vitreous.golden.ops.requantize_rows import requantize_rows
from vitreous.golden.ops.rmsnorm import rmsnorm
from vitreous.golden.ops.scores import scores
from vitreous.golden.ops.select_token import select_token
from vitreous.golden.softmax.softmax import softmax
from vitreous.spec.config import ActivationConfig, ConfigError, NormConfig, SoftmaxConfig
from vitreous.spec.graph import Graph, Node, Op
from vitreous.spec.graph import Tensor as Entry
from vitreous.spec.variants import ActivationFunction, ActivationVariant, NormVariant, SoftmaxVariant

See = Callable[[str, Tensor], None]
Execute = Callable[[Node, Sequence[Tensor]], Tensor | tuple[Tensor, ...]]


def _constant(node: Node, name: str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(node.constants[name]))


# Attributes are words; the configuration refuses those that it does not know.
def _activation(node: Node, x: Tensor) -> Tensor:
    a = node.attributes
    config = ActivationConfig(
        function=cast(ActivationFunction, a["function"]),
        variant=cast(ActivationVariant, a["variant"]),
        step_bits=node.integer("step_bits"),
        range=float(a["range"]),
        fraction_bits=node.integer("fraction_bits"),
        interpolate=bool(a["interpolate"]),
    )
    return activation(x, config)


def _softmax(node: Node, t: Tensor) -> tuple[Tensor, ...]:
    config = SoftmaxConfig(
        variant=cast(SoftmaxVariant, node.attributes["variant"]),
        fraction_bits=node.integer("fraction_bits"),
        probability_bits=node.integer("probability_bits"),
    )
    i = node.integer
    return softmax(t, config, i("multiplier"), i("shift"), key_block=i("key_block"))


def _requantize(node: Node, acc: Tensor) -> Tensor:
    multiplier, shift = _constant(node, "multiplier"), _constant(node, "shift")
    return requantize(acc, multiplier, shift, node.integer("zero_point"), node.integer("bits"))


def _norm(node: Node, x: Tensor, function: Callable[[Tensor, NormConfig, NormConstants], Tensor]) -> Tensor:
    config = NormConfig(variant=cast(NormVariant, node.attributes["variant"]))
    i = node.integer
    shifts = _constant(node, "channel_shifts")
    constants = NormConstants(i("multiplier"), i("shift"), i("epsilon"), i("zero_point"), shifts)
    return function(x, config, constants)


# The one list of what the interpreter can do. INPUT gets what the graph is given for it as its only input.
OPERATIONS: dict[Op, Execute] = {
    Op.INPUT: lambda n, x: x[0],
    Op.PATCHES: lambda n, x: patches(x[0], n.integer("patch")),
    Op.LINEAR: lambda n, x: linear(
        x[0], _constant(n, "weight"), _constant(n, "bias"), n.integer("input_zero_point")
    ),
    Op.REQUANTIZE: lambda n, x: _requantize(n, x[0]),
    Op.ACTIVATION: lambda n, x: _activation(n, x[0]),
    Op.RELU: lambda n, x: relu(x[0], n.integer("zero_point")),
    Op.CONSTANT: lambda n, x: _constant(n, "value"),
    Op.PAD_TOKENS: lambda n, x: pad_tokens(x[0], n.integer("count")),
    Op.ADD: lambda n, x: add(x[0], x[1]),
    Op.LAYERNORM: lambda n, x: _norm(n, x[0], layernorm),
    Op.RMSNORM: lambda n, x: _norm(n, x[0], rmsnorm),
    Op.SCORES: lambda n, x: scores(x[0], x[1], n.integer("heads")),
    Op.SOFTMAX: lambda n, x: _softmax(n, x[0]),
    Op.CONTEXT: lambda n, x: context(x[0], x[1], x[2], n.integer("heads"), key_block=n.integer("key_block")),
    Op.REQUANTIZE_ROWS: lambda n, x: requantize_rows(
        x[0], x[1], x[2], n.integer("heads"), n.integer("zero_point")
    ),
    Op.SELECT_TOKEN: lambda n, x: select_token(x[0], n.integer("index"), n.integer("count")),
    Op.MEAN_TOKENS: lambda n, x: mean_tokens(
        x[0], n.integer("multiplier"), n.integer("shift"), first=n.integer("first")
    ),
    Op.OUTPUT: lambda n, x: x[0],
}


def _execute(
    graph: Graph, node: Node, inputs: Sequence[Tensor], counts: Mapping[str, int]
) -> tuple[Tensor, ...]:
    """One node, its results checked against the graph's entries. Raises GoldenError that names the node."""
    where = f"Node {node.name} ({node.op})"
    try:
        result = OPERATIONS[node.op](node, inputs)
    except (GoldenError, ConfigError) as error:
        raise GoldenError(f"{where}: {error}") from None
    except (RuntimeError, IndexError) as error:  # torch: shapes that do not fit
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
        raise GoldenError(f"{where}: inputs of shapes {shapes} do not fit together: {error}") from None
    results = result if isinstance(result, tuple) else (result,)
    for name, tensor in zip(node.outputs, results, strict=True):
        entry = graph.tensors[name]
        expected = _shape(entry, counts)
        shape = tuple(tensor.shape[-len(expected) :])
        if shape != expected or str(tensor.dtype) != f"torch.{entry.dtype}":
            raise GoldenError(
                f"{where}: {name} is {tensor.dtype} {shape}, but the graph says {entry.dtype} {expected}"
            )
    return results


def _shape(entry: Entry, counts: Mapping[str, int]) -> tuple[int, ...]:
    """The entry's shape with the actual number of rows."""
    return entry.shape if entry.rows_from is None else (counts[entry.rows_from], *entry.shape[1:])


def _run(
    graph: Graph, given: Mapping[str, Tensor], *, keep: bool, see: See | None = None
) -> dict[str, Tensor]:
    """Inputs by name [n, ...] -> tensors by name, batch first except in constants; dead ones are freed unless
    ``keep``, after ``see``, if any, has seen them.
    """
    last = {name: node.name for node in graph for name in node.inputs}
    counts = _counts(graph, given)
    values: dict[str, Tensor] = {}
    for node in graph:
        names = node.outputs if node.op is Op.INPUT else node.inputs
        inputs = [(given if node.op is Op.INPUT else values)[name] for name in names]
        made = dict(zip(node.outputs, _execute(graph, node, inputs, counts), strict=True))
        values.update(made)
        if see is not None:
            for name, tensor in made.items():
                see(name, tensor)
        if not keep:
            for name in set(node.inputs):
                if last[name] == node.name:
                    del values[name]
    return values


def _counts(graph: Graph, given: Mapping[str, Tensor]) -> dict[str, int]:
    """The actual number of rows of each source. Raises GoldenError where two inputs contradict each other."""
    counts: dict[str, int] = {}
    first: dict[str, str] = {}
    for entry in graph.inputs:
        source = entry.rows_from
        if source is not None:
            rows = given[entry.name].shape[1]
            other = first.setdefault(source, entry.name)
            if counts.setdefault(source, rows) != rows:
                raise GoldenError(
                    f"{graph.name} takes as many rows of {entry.name} as of {other} (both from {source}), "
                    f"not {rows} and {counts[source]}"
                )
    return counts


def _check_input(graph: Graph, entry: Entry, values: np.ndarray, *, batched: bool) -> Tensor:
    """[n, ...] as the entry says, n = 1 unless ``batched``; fewer rows than the bound where data says how many."""
    shape = values.shape[1:] if batched else values.shape
    if values.dtype != entry.dtype or len(shape) != len(entry.shape) or not _fits(shape, entry):
        what = "images" if len(entry.shape) == 3 else f"values of {entry.name}"
        expected = str(entry.shape) if entry.rows_from is None else f"({entry.rows}, {entry.shape[1]})"
        raise GoldenError(
            f"{graph.name} takes {entry.dtype} {what} of {'n x ' if batched else ''}{expected}, "
            f"not {values.dtype} {values.shape}"
        )
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor if batched else tensor[None]


def _fits(shape: tuple[int, ...], entry: Entry) -> bool:
    fewer = entry.rows_from is not None and shape[0] < entry.shape[0]
    return shape[1:] == entry.shape[1:] and (fewer or shape[0] == entry.shape[0])


def run(
    graph: Graph, inputs: np.ndarray | Mapping[str, np.ndarray], *, keep: bool = False
) -> dict[str, np.ndarray]:
    """Execute ``graph`` on one set of inputs: by name, or one array for a graph with one input, e.g. an int8 image
    [C, H, W]. Where an input's number of rows comes from data (``Tensor.rows_from``), it may have fewer than its bound.

    Returns tensors by name, as ``graph.tensors`` describes them: all of them with ``keep``, else the outputs alone.
    Raises GoldenError on a wrong input and, naming the node, where the graph contradicts itself or overflows;
    GraphError on one array for several inputs.
    """
    given = inputs if isinstance(inputs, Mapping) else {graph.input.name: inputs}
    names = [entry.name for entry in graph.inputs]
    if set(given) != set(names):
        raise GoldenError(f"{graph.name} takes the inputs {', '.join(names)}, not {', '.join(given)}")
    checked = {
        entry.name: _check_input(graph, entry, given[entry.name], batched=False) for entry in graph.inputs
    }
    values = _run(graph, checked, keep=keep)
    kept = values if keep else {entry.name: values[entry.name] for entry in graph.outputs}
    # Without the batch of one, which constants do not have.
    return {
        name: tensor.reshape(tensor.shape[-len(graph.tensors[name].shape) :]).numpy()
        for name, tensor in kept.items()
    }


def watch(graph: Graph, image: np.ndarray, see: See) -> None:
    """Execute ``graph`` on one int8 image [C, H, W]; ``see(name, tensor)`` gets every tensor once, without a batch.

    Unlike ``run(keep=True)`` it holds no tensor that nothing reads any more: scores of long sequences are large.
    """

    def without_batch(name: str, tensor: Tensor) -> None:
        see(name, tensor.reshape(tensor.shape[-len(graph.tensors[name].shape) :]))

    _run(
        graph,
        {graph.input.name: _check_input(graph, graph.input, image, batched=False)},
        keep=False,
        see=without_batch,
    )


def run_batch(
    graph: Graph,
    images: np.ndarray,
    *,
    batch: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Execute ``graph`` on int8 images [n, C, H, W] -> the integer output: [n, classes] when it is one row.

    batch : images at once, a matter of memory. progress : called with (images done, all) after each batch.
    Raises GraphError for a graph of several inputs or outputs, and what ``run`` raises.
    """
    name, entry = graph.input.name, graph.output
    checked = _check_input(graph, graph.input, images, batched=True)
    parts = []
    for start in range(0, len(checked), batch):
        given = checked[start : start + batch]
        part = _run(graph, {name: given}, keep=False)[entry.name]
        # An output that depends on constants alone has no batch of its own.
        parts.append(part.expand(len(given), *part.shape[-len(entry.shape) :]).numpy())
        if progress is not None:
            progress(min(start + batch, len(checked)), len(checked))
    whole = np.concatenate(parts) if parts else np.zeros((0, *entry.shape), entry.dtype)
    return whole[:, 0] if entry.shape[0] == 1 and entry.rows_from is None else whole
