"""Random integer graphs of vision transformers, without torch and without quantization: plausible scales, so
that values neither saturate nor vanish, and sizes that look for the edges of the machine."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

from vitreous.spec.config import (
    ActivationConfig,
    NormConfig,
    SoftmaxConfig,
)
from vitreous.spec.graph import Graph, Node, Op, Tensor
from vitreous.spec.graph.infer import RESULT_DTYPES
from vitreous.spec.numbers import SCORE, quantize_multiplier
from vitreous.spec.softmax import context_bits, key_block, key_blocks, limits

IMAGE_DEVIATION = 74.0
NORM_DEVIATION = 32.0
STREAM_DEVIATION = 3000.0

TWO_BLOCKS: dict[str, Any] = {
    "image": (20, 20),
    "patch": 4,
    "dim": 32,
    "heads": 2,
    "depth": 2,
    "mlp": 64,
    "class_token": True,
}
"""Sizes for ``random_vit_graph``: 26 tokens through two blocks."""


class GraphBuilder:
    """Adds nodes one by one; each method returns the name of the node's (first) output tensor."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self.macs = 0

    def node(
        self,
        op: Op,
        name: str,
        inputs: tuple[str, ...],
        dtypes: tuple[str, ...],
        shape: tuple[int, ...],
        layer: str,
        attributes: dict[str, Any] | None = None,
        constants: dict[str, np.ndarray] | None = None,
        zero_point: int = 0,
        shapes: tuple[tuple[int, ...], ...] = (),
    ) -> str:
        outputs = (name,) if len(dtypes) == 1 else tuple(f"{name}.{i}" for i in range(len(dtypes)))
        for output, dtype, size in zip(outputs, dtypes, shapes or (shape,) * len(dtypes), strict=True):
            self.tensors[output] = Tensor(
                name=output, dtype=dtype, shape=size, scale=0.01, zero_point=zero_point
            )
        held = {"attributes": attributes or {}, "constants": constants or {}}
        self.nodes.append(Node(op=op, name=name, inputs=inputs, outputs=outputs, layer=layer, **held))
        return outputs[0]

    def linear(
        self, name: str, source: str, columns: int, layer: str, *, rows: int | None = None, bias: bool = True
    ) -> str:
        """int8 weights with a standard deviation of about 37 and a bias of the accumulator's size."""
        tokens, inner = self.tensors[source].shape
        weight = self.random.integers(-64, 65, (columns, inner)).astype(np.int8)
        spread = int(self.deviation(inner)) + 1
        values = self.random.integers(-spread, spread + 1, columns) if bias else np.zeros(columns)
        self.macs += tokens * inner * columns
        zero_point = self.tensors[source].zero_point
        constants = {"weight": weight, "bias": values.astype(np.int32)}
        attributes = {"input_zero_point": zero_point}
        return self.node(
            Op.LINEAR, name, (source,), ("int32",), (tokens, columns), layer, attributes, constants
        )

    @staticmethod
    def deviation(inner: int, source: float = NORM_DEVIATION) -> float:
        """Standard deviation of an accumulator."""
        return math.sqrt(inner) * 37.0 * source

    def requantize(
        self,
        name: str,
        source: str,
        real: float,
        bits: int,
        layer: str,
        *,
        zero_point: int = 0,
        single: bool = False,
    ) -> str:
        """Multiply by about ``real``: one factor for each column (within a factor of two), or a ``single`` one."""
        shape = self.tensors[source].shape
        count = 1 if single else shape[-1]
        pairs = [quantize_multiplier(real * factor) for factor in self.random.uniform(0.7, 1.4, count)]
        constants = {
            "multiplier": np.array([m for m, _ in pairs], np.int32),
            "shift": np.array([s for _, s in pairs], np.int32),
        }
        dtype = RESULT_DTYPES[bits]
        attributes = {"zero_point": zero_point, "bits": bits}
        return self.node(
            Op.REQUANTIZE, name, (source,), (dtype,), shape, layer, attributes, constants, zero_point
        )

    def projected(
        self, name: str, source: str, columns: int, real: float, bits: int, layer: str, **options: Any
    ) -> str:
        """Linear + requantize such that an accumulator of typical size becomes about ``real``."""
        acc = self.linear(f"{name}.acc", source, columns, layer)
        inner = self.tensors[source].shape[1]
        return self.requantize(name, acc, real / self.deviation(inner), bits, layer, **options)

    def add(self, name: str, first: str, second: str, layer: str) -> str:
        operands = (first, second) if self.random.integers(2) else (second, first)
        return self.node(Op.ADD, name, operands, ("int16",), self.tensors[first].shape, layer)

    def norm(
        self,
        name: str,
        source: str,
        config: NormConfig,
        layer: str,
        *,
        centred: bool = True,
        shifts: np.ndarray | None = None,
    ) -> str:
        """Layer norm or RMS norm to values with a standard deviation of ``NORM_DEVIATION``, in channels that are
        not shifted; ``shifts`` None: all of them."""
        rows, channels = self.tensors[source].shape
        one_pass = config.variant == "one_pass"
        multiplier, shift = quantize_multiplier(NORM_DEVIATION * (1 if one_pass else math.sqrt(channels)))
        attributes = {
            "variant": config.variant,
            "multiplier": multiplier,
            "shift": shift,
            "epsilon": channels * channels if one_pass else 256 * channels,
            "zero_point": 0,
        }
        op = Op.LAYERNORM if centred else Op.RMSNORM
        constants = {"channel_shifts": np.zeros(channels, np.uint8) if shifts is None else shifts}
        return self.node(op, name, (source,), ("int8",), (rows, channels), layer, attributes, constants)

    def attention(
        self, name: str, source: str, heads: int, softmax: SoftmaxConfig, layer: str, *, bits: int
    ) -> str:
        """q, k, v, scores, softmax with probabilities of ``bits`` bits, context; the context int8 [T, dim]."""
        tokens, dim = self.tensors[source].shape
        width = dim // heads
        q, k, v = (self.projected(f"{name}.{part}", source, dim, 32.0, 8, f"{layer}.qkv") for part in "qkv")
        self.macs += 2 * heads * tokens * tokens * width
        square = (heads, tokens, tokens)
        acc = self.node(Op.SCORES, f"{name}.scores", (q, k), ("int32",), square, layer, {"heads": heads})
        real = 1.8 * 2**softmax.fraction_bits / (math.sqrt(width) * 32.0 * 32.0)
        scores = self.requantize(f"{name}.logits", acc, real, SCORE.width, layer, single=True)
        block = key_block(softmax)
        blocks = len(key_blocks(tokens, block))
        finer = context_bits(wide=bits == 16, blocks=blocks)
        multiplier, shift = quantize_multiplier(1.6 * limits(softmax).row_factor / 2**finer)
        attributes: dict[str, Any] = {
            "variant": softmax.variant,
            "fraction_bits": softmax.fraction_bits,
            "probability_bits": bits,
            "key_block": block,
            "multiplier": multiplier,
            "shift": shift,
        }
        self.node(
            Op.SOFTMAX,
            f"{name}.softmax",
            (scores,),
            ("int16" if bits == 16 else "int8", "int32", "int32", "int32"),
            square,
            layer,
            attributes,
            shapes=(square, (heads, tokens), (heads, tokens), (heads, tokens, blocks)),
        )
        p, m, s, maxima = (f"{name}.softmax.{i}" for i in range(4))
        mixed = {"heads": heads, "key_block": block}
        out = self.node(
            Op.CONTEXT, f"{name}.context", (p, v, maxima), ("int32",), (tokens, dim), layer, mixed
        )
        zero_point = int(self.random.integers(-8, 9))
        attributes = {"heads": heads, "zero_point": zero_point}
        return self.node(
            Op.REQUANTIZE_ROWS,
            f"{name}.out",
            (out, m, s),
            ("int8",),
            (tokens, dim),
            layer,
            attributes,
            None,
            zero_point,
        )

    def mlp_hidden(
        self,
        name: str,
        source: str,
        columns: int,
        nonlinearity: str,
        activation: ActivationConfig,
        layer: str,
    ) -> str:
        """fc1 with its activation, int8."""
        zero_point = int(self.random.integers(-120, 0))
        if nonlinearity == "relu":
            hidden = self.projected(name, source, columns, 60.0, 8, layer, zero_point=zero_point)
            attributes: dict[str, Any] = {"zero_point": zero_point}
            shape = self.tensors[hidden].shape
            return self.node(
                Op.RELU, f"{name}.relu", (hidden,), ("int8",), shape, layer, attributes, None, zero_point
            )
        wide = self.projected(f"{name}.wide", source, columns, 1200.0, 16, layer)
        attributes = dataclasses.asdict(activation)
        acc = self.node(
            Op.ACTIVATION, f"{name}.gelu", (wide,), ("int32",), self.tensors[wide].shape, layer, attributes
        )
        real = 50.0 / (1 << activation.fraction_bits)
        return self.requantize(f"{name}.out", acc, real, 8, layer, zero_point=zero_point, single=True)

    def mean(self, source: str) -> str:
        tokens, dim = self.tensors[source].shape
        multiplier, shift = quantize_multiplier(1.0 / tokens)
        attributes = {"multiplier": multiplier, "shift": shift, "first": 0}
        return self.node(Op.MEAN_TOKENS, "pool", (source,), ("int16",), (1, dim), "pool", attributes)

    def graph(self, name: str) -> Graph:
        return Graph(name=name, nodes=tuple(self.nodes), tensors=self.tensors, macs=self.macs)


def _embedding(
    b: GraphBuilder, image: tuple[int, int], patch: int, channels: int, dim: int, class_token: bool
) -> str:
    height, width = image
    zero_point = int(b.random.integers(-5, 6)) * int(b.random.integers(2))
    b.node(Op.INPUT, "image", (), ("int8",), (channels, height, width), "", zero_point=zero_point)
    count, inner = (height // patch) * (width // patch), channels * patch * patch
    b.node(
        Op.PATCHES,
        "patches",
        ("image",),
        ("int8",),
        (count, inner),
        "embed",
        {"patch": patch},
        zero_point=zero_point,
    )
    acc = b.linear("embed.acc", "patches", dim, "embed", bias=False)
    real = STREAM_DEVIATION / b.deviation(inner, IMAGE_DEVIATION)
    x = b.requantize("embed.out", acc, real, 16, "embed")
    if class_token:
        count += 1
        x = b.node(Op.PAD_TOKENS, "embed.pad", (x,), ("int16",), (count, dim), "embed", {"count": 1})
    value = b.random.integers(-2000, 2001, (count, dim)).astype(np.int16)
    b.node(Op.CONSTANT, "embed.position", (), ("int16",), (count, dim), "embed", None, {"value": value})
    return b.add("embed", x, "embed.position", "embed")


def random_vit_graph(
    seed: int,
    *,
    image: tuple[int, int],
    patch: int,
    channels: int = 3,
    dim: int,
    heads: int,
    depth: int,
    mlp: int,
    class_token: bool = True,
    classes: int = 10,
    nonlinearity: str = "gelu",
    softmax: SoftmaxConfig | None = None,
    activation: ActivationConfig | None = None,
    norm: NormConfig | None = None,
    centred: bool = True,
    shifted: bool = False,
    widths: tuple[int, ...] = (),
) -> Graph:
    """A pre-norm vision transformer with random weights. ``image`` is (height, width); without
    ``class_token`` tokens are averaged before the last layer norm; ``nonlinearity`` is "gelu" (the accelerator's smooth
    function, whichever it is) or "relu"; RMS norms unless ``centred``; channels of two of three norms are shifted
    where ``shifted``. ``widths``: probability bits of each layer,
    one after another and over again; all that ``softmax`` has by default."""
    softmax, activation, norm = (
        softmax or SoftmaxConfig(),
        activation or ActivationConfig(),
        norm or NormConfig(),
    )
    widths = widths or ((8, 16) if softmax.probability_bits == 16 else (8,))
    b = GraphBuilder(seed)
    shifts = _channel_shifts(seed, dim, shifted)
    x = _embedding(b, image, patch, channels, dim, class_token)
    for index in range(depth):
        block = f"blocks.{index}"
        normed = b.norm(f"{block}.norm1", x, norm, f"{block}.norm1", centred=centred, shifts=next(shifts))
        bits = widths[index % len(widths)]
        context = b.attention(f"{block}.attn", normed, heads, softmax, f"{block}.attn", bits=bits)
        delta = b.projected(f"{block}.proj", context, dim, STREAM_DEVIATION, 16, f"{block}.attn.proj")
        x = b.add(f"{block}.add1", delta, x, f"{block}.attn.proj")
        normed = b.norm(f"{block}.norm2", x, norm, f"{block}.norm2", centred=centred, shifts=next(shifts))
        hidden = b.mlp_hidden(f"{block}.fc1", normed, mlp, nonlinearity, activation, f"{block}.mlp.fc1")
        delta = b.projected(f"{block}.fc2", hidden, dim, STREAM_DEVIATION, 16, f"{block}.mlp.fc2")
        x = b.add(f"{block}.add2", delta, x, f"{block}.mlp.fc2")
    if class_token:
        normed = b.norm("norm", x, norm, "norm", centred=centred, shifts=next(shifts))
        shape = (1, dim)
        normed = b.node(
            Op.SELECT_TOKEN, "token", (normed,), ("int8",), shape, "norm", {"index": 0, "count": 1}
        )
    else:
        normed = b.norm("norm", b.mean(x), norm, "norm", centred=centred, shifts=next(shifts))
    logits = b.projected("head", normed, classes, STREAM_DEVIATION, 16, "head")
    b.node(Op.OUTPUT, "logits", (logits,), ("int16",), (1, classes), "head")
    return b.graph(f"random-{seed}")


def _channel_shifts(seed: int, channels: int, shifted: bool) -> Iterator[np.ndarray]:
    """uint8 [channels] of one norm after another; from a generator of its own, so that all else of a graph is the same
    with and without."""
    random = np.random.default_rng([seed, 1])
    for index in count():
        shifts = random.choice(np.array([0, 0, 0, 1, 2, 3], np.uint8), channels)
        yield shifts if shifted and index % 3 != 1 else np.zeros(channels, np.uint8)


def random_image(graph: Graph, seed: int) -> np.ndarray:
    """int8 [C, H, W], all values equally likely."""
    return np.random.default_rng(seed + 1000).integers(-128, 128, graph.input.shape).astype(np.int8)
