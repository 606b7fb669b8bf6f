"""The members of every kind that a configuration or a graph chooses from: each kind is a closed enumeration.

Whoever tells the members of a kind apart does so with a table that has all of them, or with a ``match`` that ends in
``typing.assert_never``. tests/test_completeness.py lists for every kind what each room lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from vitreous.spec.limits import ATTENTION_KEYS, LEVEL_BITS, LEVEL_MAXIMUM

Kind = TypeVar("Kind", bound=StrEnum)

EXACT = "exact"
"""The variant that is float64: the truth that the others are measured against, in ``golden`` only."""


class ActivationFunction(StrEnum):
    """A smooth activation function; ReLU is an opcode field of its own."""

    GELU = "gelu"
    """x Phi(x)"""
    GELU_TANH = "gelu_tanh"
    """GELU with tanh in place of erf"""
    QUICK_GELU = "quick_gelu"
    """x sigmoid(1.702 x)"""
    SILU = "silu"
    """x sigmoid(x)"""


class ActivationVariant(StrEnum):
    """How the smooth activation is approximated."""

    DELTA = "delta"
    """relu minus a short even table"""
    TABLE = "table"
    """a direct table"""
    POLY = "poly"
    """I-BERT's polynomial, of GELU only"""
    SHIFT = "shift"
    """I-ViT's shifts and a division"""
    EXACT = EXACT


class SoftmaxVariant(StrEnum):
    """How softmax is computed."""

    BASE2 = "base2"
    """an integer maximum, the sum rescaled by shifts"""
    ONLINE = "online"
    """a running maximum, the sum rescaled by multiplications"""
    IBERT = "ibert"
    """a second-order polynomial, two passes"""
    ITA = "ita"
    """shifts only, 8 bits"""
    EXACT = EXACT


class NormVariant(StrEnum):
    """How the statistics of layer norm and RMS norm are computed."""

    ONE_PASS = "one_pass"
    """sum and sum of squares together"""
    TWO_PASS = "two_pass"
    """the mean first, then centred squares"""
    EXACT = EXACT


class Multiplier(StrEnum):
    """How the array multiplies: the same numbers in the same cycles."""

    PLAIN = "plain"
    """one product a multiplier, summed in logic"""
    ACCUMULATE = "accumulate"
    """one product a DSP block, which also sums"""
    PACKED = "packed"
    """two products a DSP block, which also sums"""


class MemoryStyle(StrEnum):
    """What X, W, R and P lie in on an FPGA: the same numbers in the same cycles."""

    AUTO = "auto"
    """what the tools choose: at the sizes of an accelerator block memory"""
    ULTRA = "ultra"
    """UltraRAM, which UltraScale+ alone has"""


def in_hardware(kind: type[Kind]) -> tuple[Kind, ...]:
    """The members that hardware has: all but ``exact``."""
    return tuple(member for member in kind if member != EXACT)


# What follows from a member, stated once: no field has a default, so that a new member states all of it.
@dataclass(frozen=True, kw_only=True)
class FunctionTraits:
    """least_range : from here on the function is within 0.0041 of relu, a quarter of a step of most 8-bit results.

    usual_range : of a table that serves results of more than 8 bits as well.
    """

    least_range: float
    usual_range: float


FUNCTIONS: Mapping[ActivationFunction, FunctionTraits] = {
    ActivationFunction.GELU: FunctionTraits(least_range=3.0, usual_range=4.5),
    ActivationFunction.GELU_TANH: FunctionTraits(least_range=3.0, usual_range=4.5),
    ActivationFunction.QUICK_GELU: FunctionTraits(least_range=4.5, usual_range=6.0),
    ActivationFunction.SILU: FunctionTraits(least_range=8.0, usual_range=8.0),
}


@dataclass(frozen=True, kw_only=True)
class ActivationTraits:
    """tabulated : it has a table, so ``step_bits`` and ``range`` mean something. interpolates : ``interpolate`` does.

    functions : that it approximates.
    """

    tabulated: bool
    interpolates: bool
    functions: tuple[ActivationFunction, ...]


ACTIVATIONS: Mapping[ActivationVariant, ActivationTraits] = {
    ActivationVariant.DELTA: ActivationTraits(
        tabulated=True, interpolates=True, functions=tuple(ActivationFunction)
    ),
    ActivationVariant.TABLE: ActivationTraits(
        tabulated=True, interpolates=False, functions=tuple(ActivationFunction)
    ),
    ActivationVariant.POLY: ActivationTraits(
        tabulated=False, interpolates=False, functions=(ActivationFunction.GELU,)
    ),
    ActivationVariant.SHIFT: ActivationTraits(
        tabulated=False,
        interpolates=False,
        functions=tuple(ActivationFunction),
    ),
    ActivationVariant.EXACT: ActivationTraits(
        tabulated=False, interpolates=False, functions=tuple(ActivationFunction)
    ),
}


@dataclass(frozen=True, kw_only=True)
class SoftmaxTraits:
    """row_exponent : ``C`` of the row scale. least, largest : what ``s - s_o`` can be, over all rows.

    row_factor : what ``m_o / 2**s_o`` is multiplied by, because unnormalized probability and sum have different units.
    passes : over the scores until the sum is final. max_keys : the longest row for which no sum, inverse or
    accumulator leaves its range. divided : probabilities are divided by their sum before they leave the unit.
    planes : a probability of 16 bits is two byte planes. blocks : a row is cut into blocks of keys with a maximum each.
    """

    row_exponent: int
    least: int
    largest: int
    row_factor: float
    passes: int
    max_keys: int
    divided: bool
    planes: bool
    blocks: bool


SOFTMAXES: Mapping[SoftmaxVariant, SoftmaxTraits] = {
    # s - s_o = e + 1 - C, and one less where the quotient is halved; e is the exponent of the sum.
    SoftmaxVariant.BASE2: SoftmaxTraits(
        row_exponent=13,
        least=18 - 13,
        largest=31 + 1 - 13,
        row_factor=1.0,
        passes=1,
        max_keys=ATTENTION_KEYS,
        divided=False,
        planes=True,
        blocks=True,
    ),
    SoftmaxVariant.ONLINE: SoftmaxTraits(
        row_exponent=12,
        least=19 - 12,
        largest=31 + 1 - 12,
        row_factor=(1 << LEVEL_BITS) / LEVEL_MAXIMUM,
        passes=1,
        max_keys=ATTENTION_KEYS,
        divided=False,
        planes=True,
        blocks=False,
    ),
    SoftmaxVariant.IBERT: SoftmaxTraits(
        row_exponent=12,
        least=18 - 12,
        largest=30 + 1 - 12,
        row_factor=1.0,
        passes=2,
        max_keys=ATTENTION_KEYS,
        divided=False,
        planes=True,
        blocks=False,
    ),
    # 256 equal keys would have the inverse 0.
    SoftmaxVariant.ITA: SoftmaxTraits(
        row_exponent=0,
        least=7,
        largest=7,
        row_factor=1.0,
        passes=1,
        max_keys=255,
        divided=True,
        planes=True,
        blocks=False,
    ),
    SoftmaxVariant.EXACT: SoftmaxTraits(
        row_exponent=0,
        least=23,
        largest=23,
        row_factor=1.0,
        passes=1,
        max_keys=ATTENTION_KEYS,
        divided=True,
        planes=False,
        blocks=False,
    ),
}


@dataclass(frozen=True, kw_only=True)
class NormTraits:
    """mean_pass : a layer norm reads each row once more, for its mean. passes : of a layer norm over a row, all told.

    by_sum : the constants are those of sums (``epsilon * D**2``), not of means (docs/numerics.md, Layer norm).
    largest : what ``s - s_o`` can be at most, over all rows.
    """

    mean_pass: bool
    passes: int
    by_sum: bool
    largest: int


NORMS: Mapping[NormVariant, NormTraits] = {
    # A row's shift is s_o + e/2 + 1 or one less; e/2 reaches 27 where V < 2**55, 26 where V < 2**53.
    NormVariant.ONE_PASS: NormTraits(mean_pass=False, passes=2, by_sum=True, largest=28),
    NormVariant.TWO_PASS: NormTraits(mean_pass=True, passes=3, by_sum=False, largest=27),
    NormVariant.EXACT: NormTraits(mean_pass=False, passes=2, by_sum=False, largest=0),
}


@dataclass(frozen=True, kw_only=True)
class MultiplierTraits:
    """in_blocks : sums stay in DSP blocks. products : in each multiplier or block."""

    in_blocks: bool
    products: int


MULTIPLIERS: Mapping[Multiplier, MultiplierTraits] = {
    Multiplier.PLAIN: MultiplierTraits(in_blocks=False, products=1),
    Multiplier.ACCUMULATE: MultiplierTraits(in_blocks=True, products=1),
    Multiplier.PACKED: MultiplierTraits(in_blocks=True, products=2),
}
