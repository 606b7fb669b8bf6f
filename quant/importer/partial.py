"""Sources that exist only while a graph is walked: parts of an operation that is recognized when something reads them.

None of them is in an ``Encoder``: what reads one makes a source of ``float_ir`` of it, or is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vitreous.quant.importer.float_ir import (
    STREAM,
    Activation,
    Attention,
    HeadMean,
    HeadSum,
    Image,
    Linear,
    Norm,
    Patches,
    Source,
)


@dataclass(eq=False, kw_only=True)
class Scores(Source):
    """``[heads * T, T]``: the products of q and k before softmax; ``Attention`` holds what is needed of it."""

    q: Linear
    k: Linear
    heads: int

    @property
    def inputs(self) -> tuple[Source, ...]:
        """The queries and keys."""
        return (self.q, self.k)


@dataclass(eq=False, kw_only=True)
class Softmax(Source):
    """``softmax(gain * scores)`` over the keys."""

    scores: Scores
    gain: float

    @property
    def inputs(self) -> tuple[Source, ...]:
        """The scores."""
        return (self.scores,)


@dataclass(eq=False, kw_only=True)
class Part(Source):
    """A part of a decomposed function (``decomposed``), taken from the view ``argument``."""

    argument: Any


@dataclass(eq=False, kw_only=True)
class Ending(Source):
    """``function`` of ``operand``, the logits (softmax, log_softmax, argmax, max, topk): dropped at the output."""

    operand: Any
    function: str


@dataclass(eq=False, kw_only=True)
class Unknown(Source):
    """What stands for the result of an operation that was refused, so that the rest of the model is looked at too."""


@dataclass(eq=False, kw_only=True)
class Polynomial(Part):
    """``sum_i coefficients[i] * x**i``."""

    coefficients: tuple[float, ...]


@dataclass(eq=False, kw_only=True)
class Curve(Part):
    """``function`` (erf, tanh, sigmoid) of ``operand``, which is ``sum_i coefficients[i] * x**i``."""

    operand: Any
    function: str
    coefficients: tuple[float, ...]


@dataclass(eq=False, kw_only=True)
class Square(Part):
    """``x * x``."""


@dataclass(eq=False, kw_only=True)
class MeanSquare(Part):
    """``mean(x * x)`` over the channels."""


@dataclass(eq=False, kw_only=True)
class Root(Part):
    """``sqrt(mean(x * x) + eps)``, or 1 by it when ``inverse``."""

    eps: float
    inverse: bool


@dataclass(eq=False, kw_only=True)
class Pooled(Source):
    """The mean over the rows of a norm's output from ``first`` on, until a linear layer takes it: ``HeadMean``."""

    input: Norm
    first: int


@dataclass(eq=False, kw_only=True)
class Joined(Source):
    """Views of one row each, side by side, until a linear layer takes them."""

    parts: tuple[Any, ...]


def described(source: Source) -> str:
    """What a person calls what a source holds."""
    match source:
        case Linear(input=Patches()):
            return "the embedded patches"
        case Image():
            return "the image"
        case Linear():
            return "a linear layer's output"
        case Activation():
            return f"{source.function}'s output"
        case Norm():
            return "a norm's output"
        case Attention():
            return "attention's output"
        case Pooled():
            return "a mean over tokens"
        case HeadMean() | HeadSum():
            return "a linear layer of a mean over tokens"
        case Scores() | Softmax():
            return "attention's scores"
        case Curve() | Ending():
            return f"{source.function}'s output"
        case Joined():
            return "vectors side by side"
    return "the residual stream" if isinstance(source, STREAM) else f"a {type(source).__name__.lower()}"
