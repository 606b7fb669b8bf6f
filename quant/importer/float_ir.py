"""The float IR: what the importer recognizes, an encoder as a chain of logical operations over ``[tokens, width]``.

A source is one logical tensor of one image together with the operation that computes it. Their creation order is an
execution order. ``observe`` is the node of the exported graph whose output holds the tensor's values, the
place for a calibration observer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from torch import Tensor, fx

_serial = itertools.count()
Kind = TypeVar("Kind", bound="Source")


@dataclass(eq=False, kw_only=True)
class Source:
    """A logical tensor of ``tokens`` rows and ``width`` channels, made in module ``layer``."""

    tokens: int
    width: int
    layer: str = ""
    observe: fx.Node | None = None
    serial: int = field(default_factory=lambda: next(_serial))

    @property
    def inputs(self) -> tuple[Source, ...]:
        """The sources that it is computed from."""
        return ()


@dataclass(eq=False, kw_only=True)
class Image(Source):
    """The image ``[C, H, W]``, flattened to one row."""

    shape: tuple[int, int, int]


@dataclass(eq=False, kw_only=True)
class Patches(Source):
    """``[C, H, W]`` to ``[P, C*p*p]``: patches in row order, in each the order channel, row, column."""

    image: Image
    patch: int

    @property
    def inputs(self) -> tuple[Source, ...]:
        """The image."""
        return (self.image,)


@dataclass(eq=False, kw_only=True)
class Linear(Source):
    """``y[t, o] = sum_k x[t, k] * weight[o, k] + bias[o]``; constant factors and addends are folded in, in float64."""

    input: Source
    weight: Tensor
    bias: Tensor
    part: str = ""

    @property
    def inputs(self) -> tuple[Source, ...]:
        """``x``."""
        return (self.input,)


@dataclass(eq=False, kw_only=True)
class Start(Source):
    """The residual stream's first value: ``constant [T, D]`` plus the embedded patches after ``prefix`` rows of it."""

    embedding: Linear
    constant: Tensor
    prefix: int

    @property
    def inputs(self) -> tuple[Source, ...]:
        """The embedded patches."""
        return (self.embedding,)


@dataclass(eq=False, kw_only=True)
class Restart(Source):
    """A norm's output as a stream: ``scaled`` multiplies its channels by their gains and adds their offsets."""

    scaled: Linear

    @property
    def inputs(self) -> tuple[Source, ...]:
        """The scaled values."""
        return (self.scaled,)


@dataclass(eq=False, kw_only=True)
class Add(Source):
    """``residual + branch``."""

    residual: Source
    branch: Linear

    @property
    def inputs(self) -> tuple[Source, ...]:
        """The stream and the branch."""
        return (self.residual, self.branch)


@dataclass(eq=False, kw_only=True)
class Norm(Source):
    """Layer norm without its affine part, ``(x - mean) / sqrt(variance + eps)``, or RMS norm (not ``centred``)."""

    input: Source
    eps: float
    centred: bool = True

    @property
    def inputs(self) -> tuple[Source, ...]:
        """``x``."""
        return (self.input,)


@dataclass(eq=False, kw_only=True)
class Activation(Source):
    """``function`` (gelu, silu or relu) of a linear layer's output."""

    input: Linear
    function: str

    @property
    def inputs(self) -> tuple[Source, ...]:
        """The linear layer."""
        return (self.input,)


@dataclass(eq=False, kw_only=True)
class Attention(Source):
    """``context[i, h*d + c] = sum_j softmax_j(gain * sum_e q[i, h*d + e] * k[j, h*d + e]) * v[j, h*d + c]``."""

    q: Linear
    k: Linear
    v: Linear
    heads: int
    gain: float

    @property
    def inputs(self) -> tuple[Source, ...]:
        """q, k and v."""
        return (self.q, self.k, self.v)


@dataclass(eq=False, kw_only=True)
class Select(Source):
    """Rows of the residual stream, ``tokens`` of them from ``index`` on."""

    input: Source
    index: int

    @property
    def inputs(self) -> tuple[Source, ...]:
        """The stream."""
        return (self.input,)


@dataclass(eq=False, kw_only=True)
class Mean(Source):
    """The mean over the rows of the residual stream from ``first`` on."""

    input: Source
    first: int

    @property
    def inputs(self) -> tuple[Source, ...]:
        """The stream."""
        return (self.input,)


@dataclass(eq=False, kw_only=True)
class HeadMean(Source):
    """The mean over the rows of a linear layer's output from ``first`` on."""

    input: Linear
    first: int

    @property
    def inputs(self) -> tuple[Source, ...]:
        """The linear layer."""
        return (self.input,)


@dataclass(eq=False, kw_only=True)
class HeadSum(Source):
    """The sum of heads; at last of two, a ``HeadMean`` and a linear layer of one row."""

    terms: tuple[Source, ...]

    @property
    def inputs(self) -> tuple[Source, ...]:
        """The heads."""
        return self.terms


Logits = Linear | HeadMean | HeadSum
"""Sources that can be the output."""
STREAM = Start | Restart | Add | Select | Mean
"""Sources that are values of the 16-bit residual stream."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """A recognized model: every source that the logits need, in execution order; the last one gives the logits.

    output : the node of the exported graph that has the logits. notes : what of the model was left out, in sentences.
    """

    sources: tuple[Source, ...]
    names: dict[int, str]
    output: fx.Node | None = None
    notes: tuple[str, ...] = ()

    @property
    def image(self) -> Image:
        """The input."""
        first = self.sources[0]
        assert isinstance(first, Image)
        return first

    @property
    def logits(self) -> Logits:
        """The output."""
        last = self.sources[-1]
        assert isinstance(last, Logits)
        return last

    def name(self, source: Source) -> str:
        """The unique name of a source: its layer's path and its role."""
        return self.names[source.serial]

    def each(self, kind: type[Kind]) -> Iterator[Kind]:
        """All sources of one kind, in order."""
        return (source for source in self.sources if isinstance(source, kind))


def macs(encoder: Encoder) -> int:
    """Multiply-accumulates of one image: linears, patch embedding and attention's two products; nothing else."""
    total = 0
    for source in encoder.sources:
        if isinstance(source, Linear):
            total += source.tokens * source.weight.numel()
        elif isinstance(source, Attention):
            total += 2 * source.tokens * source.tokens * source.width
    return total


def collect(logits: Logits, output: fx.Node | None = None, notes: Sequence[str] = ()) -> Encoder:
    """Gather what ``logits`` needs, in execution order, and give each source a unique name."""
    found: dict[int, Source] = {}
    waiting: list[Source] = [logits]
    while waiting:
        source = waiting.pop()
        if source.serial not in found:
            found[source.serial] = source
            waiting.extend(source.inputs)
    sources = tuple(found[serial] for serial in sorted(found))
    names: dict[int, str] = {}
    taken: dict[str, int] = {}
    for source in sources:
        name = _name(source)
        count = taken[name] = taken.get(name, 0) + 1
        names[source.serial] = name if count == 1 else f"{name}_{count}"
    return Encoder(sources, names, output, tuple(notes))


def _name(source: Source) -> str:
    """``layer.role``; a linear layer is its module's own path."""
    role = type(source).__name__.lower()
    if isinstance(source, Linear):
        role = source.part or ("" if source.layer else role)
    elif isinstance(source, Activation):
        role = source.function
    elif isinstance(source, HeadMean | HeadSum):
        role = role.removeprefix("head")
    return ".".join(part for part in (source.layer, role) if part)
