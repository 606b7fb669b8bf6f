"""Fused operations: what one pass of data through the machine computes. Made by ``fusion``, lowered by ``schedule``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vitreous.spec.isa import Activation, Memory


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear:
    """``output = requantize(bias + input @ weight.T)`` with an activation or a residual addition.

    weight int8 [O, K]; bias int32 [O], the input's zero point already folded in; multiplier, shift int64 [O].
    rows : tokens; destination : X, W (keys, and values with ``transposed``) or R.
    residual : the tensor that is added in place, or None. activated : (multiplier, shift)
    after a smooth activation, (0, 0) without. whole : the node that this one is a part of, else "".
    """

    node: str
    layer: str
    input: str
    output: str
    rows: int
    weight: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    destination: Memory
    zero_point: int = 0
    activation: Activation = Activation.NONE
    activated: tuple[int, int] = (0, 0)
    residual: str | None = None
    transposed: bool = False
    whole: str = ""

    @property
    def tensor(self) -> str:
        """The weights' name, the same for all parts of one node."""
        return f"{self.whole or self.node}.weight"

    @property
    def columns(self) -> int:
        return int(self.weight.shape[0])

    @property
    def inner(self) -> int:
        """K, the dimension that is summed over."""
        return int(self.weight.shape[1])

    @property
    def macs(self) -> int:
        return self.rows * self.columns * self.inner

    def part(self, columns: range, name: str) -> Linear:
        """The layer with some of its output columns, a node of its own called ``name``."""
        some = slice(columns.start, columns.stop)
        return replace(
            self,
            node=f"{self.node}.{name}",
            whole=self.whole or self.node,
            weight=self.weight[some],
            bias=self.bias[some],
            multiplier=self.multiplier[some],
            shift=self.shift[some],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
    """The residual stream's first value: ``constant + pad(patches(image) @ weight.T)``.

    ``projection`` has a row for each patch; ``constant`` int16 [T, D] with ``T = count + patches``: the
    first ``count`` tokens (the class token) get no patch, and their constant is lowered by what the
    projection adds to a row of zeros. grid : rows and columns of patches.
    """

    projection: Linear
    image: str
    channels: int
    patch: int
    grid: tuple[int, int]
    count: int
    constant: np.ndarray
    output: str

    @property
    def tokens(self) -> int:
        return int(self.constant.shape[0])


@dataclass(frozen=True, kw_only=True)
class StreamOperation:
    """On int16 [T, D] in R: ``rows`` T, ``channels`` D, and the constants of its requantization."""

    layer: str
    input: str
    output: str
    rows: int
    channels: int
    multiplier: int
    shift: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Norm(StreamOperation):
    """Layer norm, or RMS norm when not ``centred``, of int16 [T, D] to int8.

    channel_shifts : uint8 [D], what is added to the shift of each row, by channel. tokens : the only ones whose rows
    are needed, or None for all.
    """

    epsilon: int
    zero_point: int
    channel_shifts: np.ndarray
    centred: bool = True
    tokens: range | None = None

    @property
    def shifted(self) -> bool:
        """Whether a channel is shifted: else no shifts are loaded and read."""
        return bool(self.channel_shifts.any())


@dataclass(frozen=True, kw_only=True, eq=False)
class Attention:
    """Projections, scores, softmax and context of all heads. ``query`` goes to X, ``key`` and (transposed)
    ``value`` to W.

    score : (multiplier, shift) from accumulator to score; row : (m_o, s_o) of the row scale (docs/numerics.md).
    a_bits : width of the context's A operand, the probabilities: 8, or 16, a two-pass operand. blocks : of keys, in
    each of which a score row has its own maximum; one, where the whole row has one.
    """

    query: Linear
    key: Linear
    value: Linear
    heads: int
    score: tuple[int, int]
    row: tuple[int, int]
    a_bits: int
    blocks: tuple[range, ...]
    zero_point: int
    output: str
    layer: str
    context_layer: str

    @property
    def head_columns(self) -> int:
        return self.query.columns // self.heads

    @property
    def macs(self) -> int:
        """Of the scores; the context has as many."""
        return self.heads * self.query.rows * self.key.rows * self.head_columns


@dataclass(frozen=True, kw_only=True)
class Pool(StreamOperation):
    """Mean of int16 [T, D] over the tokens from ``first`` on, to int16 [1, D]."""

    first: int


@dataclass(frozen=True, kw_only=True)
class Select:
    """``count`` rows of a tensor: no work, a view of the row tiles that hold them."""

    node: str
    layer: str
    input: str
    output: str
    index: int
    count: int


@dataclass(frozen=True, kw_only=True)
class Output:
    """The result, stored to DRAM."""

    input: str
    output: str
    layer: str


Operation = Linear | Embedding | Norm | Attention | Pool | Select | Output


def linears(operations: tuple[Operation, ...]) -> list[Linear]:
    """Every product with weights, in the order of execution."""
    found: list[Linear] = []
    for operation in operations:
        if isinstance(operation, Linear):
            found.append(operation)
        elif isinstance(operation, Embedding):
            found.append(operation.projection)
        elif isinstance(operation, Attention):
            found += [operation.query, operation.key, operation.value]
    return found


def layer_macs(operations: tuple[Operation, ...]) -> dict[str, int]:
    """Multiply-accumulates of the float model for each layer label, in the order of execution."""
    macs: dict[str, int] = {}

    def count(label: str, value: int) -> None:
        macs[label] = macs.get(label, 0) + value

    for operation in operations:
        if isinstance(operation, Linear):
            count(operation.layer, operation.macs)
        elif isinstance(operation, Embedding):
            count(operation.projection.layer, operation.projection.macs)
        elif isinstance(operation, Attention):
            for linear in (operation.query, operation.key, operation.value):
                count(linear.layer, linear.macs)
            count(operation.layer, operation.macs)
            count(operation.context_layer, operation.macs)
        elif isinstance(operation, (Norm, Pool)):
            count(operation.layer, 0)
    return macs
