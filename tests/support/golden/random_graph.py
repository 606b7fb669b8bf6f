"""Integer graphs of small vision transformers with random constants, for tests that need no float model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from tests.support.transformer import Transformer
from vitreous.spec.config import ActivationConfig, NormConfig, SoftmaxConfig
from vitreous.spec.graph import Graph, Node, Op, Tensor
from vitreous.spec.graph.infer import RESULT_DTYPES
from vitreous.spec.numbers import SCORE, quantize_multiplier
from vitreous.spec.softmax import context_bits, key_block, key_blocks, limits
from vitreous.spec.variants import EXACT


@dataclass(frozen=True, kw_only=True)
class Sizes(Transformer):
    channels: int = 1
    grid: tuple[int, int] = (3, 3)
    width: int = 16
    depth: int = 2
    classes: int = 10
    nonlinearity: str = "gelu"
    softmax: SoftmaxConfig = field(default_factory=SoftmaxConfig)
    activation: ActivationConfig = field(default_factory=ActivationConfig)
    norm: NormConfig = field(default_factory=NormConfig)
    centred: bool = True
    shifted: bool = False
    """Whether some channels of every norm are shifted."""
    blocks: bool = True
    """Whether rows of scores are cut into blocks of keys, where the softmax can."""

    @property
    def tokens(self) -> int:
        return self.grid[0] * self.grid[1] + int(self.class_token)


class _Builder:
    def __init__(self, sizes: Sizes, seed: int) -> None:
        self.sizes = sizes
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}

    def node(
        self,
        op: Op,
        name: str,
        inputs: tuple[str, ...],
        outputs: dict[str, tuple[str, tuple[int, ...]]],
        attributes=None,
        **constants,
    ) -> str:
        for key, (dtype, shape) in outputs.items():
            self.tensors[key] = Tensor(name=key, dtype=dtype, shape=shape, scale=1.0)
        node = Node(
            op=op,
            name=name,
            inputs=inputs,
            outputs=tuple(outputs),
            attributes=attributes or {},
            constants=constants,
        )
        self.nodes.append(node)
        return next(iter(outputs))

    def linear(
        self,
        x: str,
        name: str,
        out: int,
        gain: float,
        *,
        bits: int = 8,
        zero_point: int = 0,
        input_zero_point: int = 0,
        bias: bool = True,
    ) -> str:
        """LINEAR and REQUANTIZE; ``gain`` is the standard deviation of the result for inputs of full range."""
        rows, k = self.tensors[x].shape
        weight = self.rng.integers(-127, 128, (out, k)).astype(np.int8)
        constant = self.rng.integers(-20000, 20000, out).astype(np.int32) if bias else np.zeros(out, np.int32)
        acc = self.node(
            Op.LINEAR,
            name,
            (x,),
            {f"{name}.acc": ("int32", (rows, out))},
            {"input_zero_point": input_zero_point},
            weight=weight,
            bias=constant,
        )
        pairs = [
            quantize_multiplier(gain / (74 * 74 * np.sqrt(k)) * self.rng.uniform(0.5, 2)) for _ in range(out)
        ]
        m, s = (np.array(column, np.int32) for column in zip(*pairs, strict=True))
        return self.node(
            Op.REQUANTIZE,
            f"{name}.requantize",
            (acc,),
            {f"{name}.out": (RESULT_DTYPES[bits], (rows, out))},
            {"zero_point": zero_point, "bits": bits},
            multiplier=m,
            shift=s,
        )

    def requantize(self, x: str, name: str, gain: float, *, bits: int, zero_point: int = 0) -> str:
        m, s = quantize_multiplier(gain)
        entry = self.tensors[x]
        return self.node(
            Op.REQUANTIZE,
            name,
            (x,),
            {f"{name}.out": (RESULT_DTYPES[bits], entry.shape)},
            {"zero_point": zero_point, "bits": bits},
            multiplier=np.array([m], np.int32),
            shift=np.array([s], np.int32),
        )

    def layernorm(self, x: str, name: str) -> str:
        variant, entry = self.sizes.norm.variant, self.tensors[x]
        one_pass = variant == "one_pass"
        m, s = quantize_multiplier(32.0 if one_pass else 32.0 * np.sqrt(entry.shape[-1]))
        return self.node(
            Op.LAYERNORM if self.sizes.centred else Op.RMSNORM,
            name,
            (x,),
            {f"{name}.out": ("int8", entry.shape)},
            {"variant": variant, "multiplier": m, "shift": s, "epsilon": 5, "zero_point": 0},
            channel_shifts=self.channel_shifts(entry.shape[-1]),
        )

    def channel_shifts(self, channels: int) -> np.ndarray:
        """A third of the channels by 1, 2 or 3; none where the sizes say so, without a draw."""
        if not self.sizes.shifted:
            return np.zeros(channels, np.uint8)
        return self.rng.choice(np.array([0, 0, 0, 0, 0, 0, 1, 2, 3], np.uint8), channels)

    def attention(self, x: str, name: str) -> str:
        z = self.sizes
        t, h = z.tokens, z.heads
        q, k, v = (self.linear(x, f"{name}.{part}", z.width, 40.0) for part in "qkv")
        acc = self.node(
            Op.SCORES, f"{name}.scores", (q, k), {f"{name}.scores.acc": ("int32", (h, t, t))}, {"heads": h}
        )
        score = self.requantize(
            acc,
            f"{name}.scores.requantize",
            2.0**z.softmax.fraction_bits / (1600 * np.sqrt(z.width / h)),
            bits=SCORE.width,
        )
        wide = z.softmax.probability_bits == 16
        known, block = limits(z.softmax), key_block(z.softmax) if z.blocks else 0
        blocks = len(key_blocks(t, block))
        finer = context_bits(wide=wide and z.softmax.variant != EXACT, blocks=blocks)
        m, s = quantize_multiplier(1.3 * known.row_factor / 2**finer)
        p_type = "int32" if z.softmax.variant == EXACT else "int16" if wide else "int8"
        outputs = {
            f"{name}.p": (p_type, (h, t, t)),
            f"{name}.m": ("int32", (h, t)),
            f"{name}.s": ("int32", (h, t)),
            f"{name}.softmax.maxima": ("int32", (h, t, blocks)),
        }
        attributes = {
            "variant": z.softmax.variant,
            "fraction_bits": z.softmax.fraction_bits,
            "probability_bits": z.softmax.probability_bits,
            "multiplier": m,
            "shift": s,
            "key_block": block,
        }
        p = self.node(Op.SOFTMAX, f"{name}.softmax", (score,), outputs, attributes)
        mixed = self.node(
            Op.CONTEXT,
            f"{name}.context",
            (p, v, f"{name}.softmax.maxima"),
            {f"{name}.context.acc": ("int32", (t, z.width))},
            {"heads": h, "key_block": block},
        )
        out = self.node(
            Op.REQUANTIZE_ROWS,
            f"{name}.context.requantize",
            (mixed, f"{name}.m", f"{name}.s"),
            {f"{name}.context.out": ("int8", (t, z.width))},
            {"heads": h, "zero_point": -3},
        )
        return self.linear(out, f"{name}.proj", z.width, 3000.0, bits=16, input_zero_point=-3)

    def mlp(self, x: str, name: str) -> str:
        z = self.sizes
        if z.nonlinearity == "relu":
            y = self.linear(x, f"{name}.fc1", z.hidden, 60.0, zero_point=-100)
            hidden = self.node(
                Op.RELU,
                f"{name}.relu",
                (y,),
                {f"{name}.relu.out": ("int8", (z.tokens, z.hidden))},
                {"zero_point": -100},
            )
        else:
            y = self.linear(x, f"{name}.fc1", z.hidden, 1500.0, bits=16)
            attributes = dataclasses.asdict(z.activation)
            y = self.node(
                Op.ACTIVATION,
                f"{name}.gelu",
                (y,),
                {f"{name}.gelu.out": ("int32", (z.tokens, z.hidden))},
                attributes,
            )
            hidden = self.requantize(
                y,
                f"{name}.gelu.requantize",
                200 / 4 / 2.0**z.activation.fraction_bits,
                bits=8,
                zero_point=-100,
            )
        return self.linear(hidden, f"{name}.fc2", z.width, 3000.0, bits=16, input_zero_point=-100)

    def add(self, a: str, b: str, name: str) -> str:
        return self.node(Op.ADD, name, (a, b), {f"{name}.out": ("int16", self.tensors[a].shape)})

    def build(self) -> Graph:
        z = self.sizes
        image = (z.channels, z.grid[0] * z.patch, z.grid[1] * z.patch)
        x = self.node(Op.INPUT, "input", (), {"image": ("int8", image)})
        count = z.grid[0] * z.grid[1]
        x = self.node(
            Op.PATCHES,
            "patches",
            (x,),
            {"patches.out": ("int8", (count, z.channels * z.patch**2))},
            {"patch": z.patch},
        )
        x = self.linear(x, "embed", z.width, 3000.0, bits=16, input_zero_point=7, bias=False)
        if z.class_token:
            x = self.node(
                Op.PAD_TOKENS, "pad", (x,), {"pad.out": ("int16", (z.tokens, z.width))}, {"count": 1}
            )
        value = self.rng.integers(-4000, 4000, (z.tokens, z.width)).astype(np.int16)
        position = self.node(
            Op.CONSTANT, "position", (), {"position.out": ("int16", (z.tokens, z.width))}, value=value
        )
        x = self.add(x, position, "embedded")
        for block in range(z.depth):
            name = f"blocks.{block}"
            x = self.add(
                self.attention(self.layernorm(x, f"{name}.norm1"), f"{name}.attn"), x, f"{name}.add1"
            )
            x = self.add(self.mlp(self.layernorm(x, f"{name}.norm2"), f"{name}.mlp"), x, f"{name}.add2")
        if z.class_token:
            x = self.node(
                Op.SELECT_TOKEN,
                "select",
                (x,),
                {"select.out": ("int16", (1, z.width))},
                {"index": 0, "count": 1},
            )
        else:
            m, s = quantize_multiplier(1 / z.tokens)
            x = self.node(
                Op.MEAN_TOKENS,
                "mean",
                (x,),
                {"mean.out": ("int16", (1, z.width))},
                {"multiplier": m, "shift": s, "first": 0},
            )
        x = self.linear(self.layernorm(x, "norm"), "head", z.classes, 6000.0, bits=16)
        self.node(Op.OUTPUT, "output", (x,), {"logits": ("int16", (1, z.classes))})
        return Graph(name="random", nodes=tuple(self.nodes), tensors=self.tensors)


def random_graph(sizes: Sizes, seed: int = 0) -> Graph:
    """A whole ViT of these sizes whose activations fill most of their ranges."""
    return _Builder(sizes, seed).build()


def random_image(graph: Graph, seed: int = 0, count: int | None = None) -> np.ndarray:
    """int8 [C, H, W], or [count, C, H, W]."""
    shape = graph.input.shape if count is None else (count, *graph.input.shape)
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
