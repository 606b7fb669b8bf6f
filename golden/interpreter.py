"""Executes an integer graph, node by node, over one image or a batch: what every other room is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from vitreous.golden.activation.activation import activation
from vitreous.golden.errors import GoldenError
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
from vitreous.spec.variants import ActivationFunction, ActivationVariant, NormVariant, SoftmaxVariant

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
    return softmax(t, config, node.integer("multiplier"), node.integer("shift"))


def _requantize(node: Node, acc: Tensor) -> Tensor:
    multiplier, shift = _constant(node, "multiplier"), _constant(node, "shift")
    return requantize(acc, multiplier, shift, node.integer("zero_point"), node.integer("bits"))


def _norm(node: Node, x: Tensor, function: Callable[..., Tensor]) -> Tensor:
    config = NormConfig(variant=cast(NormVariant, node.attributes["variant"]))
    i = node.integer
    return function(x, config, i("multiplier"), i("shift"), i("epsilon"), i("zero_point"))


# The one list of what the interpreter can do. INPUT gets the image as its only input.
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
    Op.CONTEXT: lambda n, x: context(x[0], x[1], n.integer("heads")),
    Op.REQUANTIZE_ROWS: lambda n, x: requantize_rows(
        x[0], x[1], x[2], n.integer("heads"), n.integer("zero_point")
    ),
    Op.SELECT_TOKEN: lambda n, x: select_token(x[0], n.integer("index")),
    Op.MEAN_TOKENS: lambda n, x: mean_tokens(x[0], n.integer("multiplier"), n.integer("shift")),
    Op.OUTPUT: lambda n, x: x[0],
}


def _execute(graph: Graph, node: Node, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
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
        shape = tuple(tensor.shape[-len(entry.shape) :])
        if shape != entry.shape or str(tensor.dtype) != f"torch.{entry.dtype}":
            raise GoldenError(
                f"{where}: {name} is {tensor.dtype} {shape}, but the graph says {entry.dtype} {entry.shape}"
            )
    return results


def _run(graph: Graph, images: Tensor, *, keep: bool) -> dict[str, Tensor]:
    """int8 [n, C, H, W] -> tensors by name, batch first except in constants; dead ones are freed unless ``keep``."""
    last = {name: node.name for node in graph for name in node.inputs}
    values: dict[str, Tensor] = {}
    for node in graph:
        inputs = [images] if node.op is Op.INPUT else [values[name] for name in node.inputs]
        values.update(zip(node.outputs, _execute(graph, node, inputs), strict=True))
        if not keep:
            for name in set(node.inputs):
                if last[name] == node.name:
                    del values[name]
    return values


def _check_images(graph: Graph, images: np.ndarray, rank: int) -> Tensor:
    expected = graph.input.shape
    if images.dtype != np.int8 or images.ndim != rank or images.shape[-3:] != expected:
        leading = "" if rank == 3 else "n x "
        raise GoldenError(
            f"{graph.name} takes int8 images of {leading}{expected}, not {images.dtype} {images.shape}"
        )
    return torch.from_numpy(np.ascontiguousarray(images))


def run(graph: Graph, image: np.ndarray, *, keep: bool = False) -> dict[str, np.ndarray]:
    """Execute ``graph`` on one int8 image [C, H, W].

    Returns tensors by name, as ``graph.tensors`` describes them: all of them with ``keep``, else the output alone.
    Raises GoldenError on a wrong image and, naming the node, where the graph contradicts itself or overflows.
    """
    values = _run(graph, _check_images(graph, image, 3)[None], keep=keep)
    kept = values if keep else {graph.output.name: values[graph.output.name]}
    return {name: tensor.reshape(graph.tensors[name].shape).numpy() for name, tensor in kept.items()}


def run_batch(
    graph: Graph,
    images: np.ndarray,
    *,
    batch: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Execute ``graph`` on int8 images [n, C, H, W] -> the integer output: [n, classes] when it is one row.

    batch : images at once, a matter of memory. progress : called with (images done, all) after each batch.
    """
    checked = _check_images(graph, images, 4)
    parts = []
    for start in range(0, len(checked), batch):
        part = _run(graph, checked[start : start + batch], keep=False)[graph.output.name]
        parts.append(part.numpy())
        if progress is not None:
            progress(min(start + batch, len(checked)), len(checked))
    shape = graph.output.shape[1:] if graph.output.shape[0] == 1 else graph.output.shape
    whole = np.concatenate(parts) if parts else np.zeros(0, graph.output.dtype)
    return whole.reshape(len(checked), *shape)


def quantize_image(graph: Graph, image: np.ndarray) -> np.ndarray:
    """``clamp8(rint(x / scale) + zero_point)``: normalised real image [..., C, H, W] -> int8 of the same shape."""
    entry = graph.input
    if not entry.scale > 0:
        raise GoldenError(f"Tensor {entry.name}: the input needs a positive scale, not {entry.scale}")
    quantized = np.rint(np.asarray(image, np.float64) / entry.scale) + entry.zero_point
    return np.clip(quantized, -128, 127).astype(np.int8)


def logits_to_real(graph: Graph, logits: np.ndarray) -> np.ndarray:
    """``scale * (integer - zero_point)`` of the output tensor, float64 of the same shape."""
    entry = graph.output
    if not entry.scale > 0:
        raise GoldenError(f"Tensor {entry.name}: the output needs a positive scale, not {entry.scale}")
    return entry.scale * (np.asarray(logits, np.float64) - entry.zero_point)
