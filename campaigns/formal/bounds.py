"""No accumulator overflows: inductive invariants of every running sum, for as many terms as the machine allows."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Assert, Assume, Module, Mux, Signal, signed

from campaigns.formal.harness import UnitTop, past
from campaigns.formal.prover import Proof, inductive
from campaigns.mutants.mutation import Mutation
from vitreous.hw.matrix.array import Array
from vitreous.hw.softmax.base2 import Base2Recurrence
from vitreous.hw.softmax.ibert import IbertSum
from vitreous.hw.softmax.ita import ItaRecurrence
from vitreous.hw.softmax.online import OnlineRecurrence
from vitreous.hw.softmax.recurrence import OnePassRecurrence
from vitreous.hw.softmax.rounding import CarriedRounding
from vitreous.hw.softmax.rowscale import SUM_BITS
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.limits import LEVEL_MAXIMUM

TERMS = 4096
"""Keys of a score row, channels and pooled tokens: the most that a configuration or an instruction allows."""


def _terms(m: Module, unit: Any, latency: int) -> Signal:
    """Terms in the unit's running sums, which lag the inputs by ``latency``; more than ``TERMS`` never come."""
    valid = past(m, unit.valid, latency - 1, name="valid")
    first = past(m, unit.first, latency - 1, name="first")
    terms = Signal(range(TERMS + 1))
    following = Mux(first, 1, terms + 1)
    m.d.comb += Assume(~valid | (following <= TERMS))
    with m.If(valid):
        m.d.sync += terms.eq(following)
    return terms


def _check_softmax(
    largest: int, least: int, m: Module, unit: Any, registers: dict[str, Signal], free: Any
) -> None:
    """A sum of n terms is at most n of the largest, so that no addition overflows while n of them fit; with one term
    or more it is at least the term of a maximum."""
    assert TERMS * largest < 1 << SUM_BITS
    terms = _terms(m, unit, unit.LATENCY)
    total = unit.sum[0]
    started = Signal()
    m.d.sync += started.eq(started | (past(m, unit.valid & unit.first, unit.LATENCY - 1, name="opening")))
    m.d.comb += [
        Assert(total <= terms * largest),
        Assert((terms == 0) | ~started | (total >= least)),
        Assert(~started | (terms != 0)),
    ]


def _softmax_config(variant: str) -> Any:
    """One lane; the units read nothing else of a configuration."""
    return SimpleNamespace(array=SimpleNamespace(lanes=1), softmax=SoftmaxConfig(variant=variant))


def _check_array(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """While ``128 * sum |w|`` is below 2**31 (what the compiler guarantees) the accumulator is the exact sum."""
    flags = [past(m, value, 3, name=name) for name, value in (("take", unit.valid), ("load", unit.first))]
    take, load = flags
    a = [past(m, unit.a[8 * v : 8 * v + 8].as_signed(), name=f"a_{v}") for v in range(unit.depth)]
    b = [past(m, unit.b[8 * v : 8 * v + 8].as_signed(), name=f"b_{v}") for v in range(unit.depth)]
    products, weights = [x * y for x, y in zip(a, b, strict=True)], [abs(y) for y in b]
    for product, weight in zip(
        products, weights, strict=True
    ):  # one step before their sum, which then is linear
        m.d.comb += [Assert(product <= (weight << 7)), Assert(product >= -(weight << 7))]
    kept = [past(m, product, name=f"product_{v}") for v, product in enumerate(products)]
    total, early = sum(kept[1:], kept[0]), past(m, sum(weights[1:], weights[0]), name="early_weight")
    dot, weight = past(m, total, name="dot"), past(m, early, name="weight")
    acc, wide, budget = registers["acc_0_0"], Signal(signed(48)), Signal(48)
    following = Mux(load, 0, budget) + (weight << 7)
    m.d.comb += Assume(~take | (following < 1 << 31))
    with m.If(take):
        m.d.sync += [wide.eq(Mux(load, 0, wide) + dot), budget.eq(following)]
    m.d.comb += [
        # What the sum needs: a dot product is at most 128 times its weights.
        Assert((total <= (early << 7)) & (total >= -(early << 7))),
        Assert((dot <= (weight << 7)) & (dot >= -(weight << 7))),
        *(Assert(registers[f"product_0_0_{v}"] == product) for v, product in enumerate(kept)),
        Assert(registers["dot_0_0"] == dot),
        Assert(acc == wide),
        Assert(budget < 1 << 31),
        Assert((wide <= budget.as_signed()) & (wide >= -budget)),
    ]


def _check_rounding(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """What the levels of a row have more than 512 times its probabilities, in exact numbers, is the remainder less 256,
    after each element; so it is within half a unit of 512, whatever the row's length."""
    first = past(m, unit.first, name="first")
    levels = [past(m, unit.level[v], name=f"level_{v}") for v in range(unit.depth)]
    left = Signal(signed(32), init=-256)
    total: Any = Mux(first, 0, left)
    for v in range(unit.depth):
        m.d.comb += Assume(unit.level[v] <= LEVEL_MAXIMUM)
        total = total + levels[v] - 512 * unit.o[v]
        m.d.comb += [Assert((unit.o[v] >= 0) & (unit.o[v] <= 127)), Assert((total >= -256) & (total < 256))]
        m.d.comb += [Assert(registers[f"level_{v}"] == levels[v]), Assert(levels[v] <= LEVEL_MAXIMUM)]
    m.d.sync += left.eq(total)
    m.d.comb += Assert(left + 256 == registers["remainder_0"])


_ROUNDING = SimpleNamespace(
    array=SimpleNamespace(lanes=1, depth=4), softmax=SoftmaxConfig(probability_bits=8)
)
_ARRAY = SimpleNamespace(array=SimpleNamespace(lanes=2, depth=2, multiplier="plain"), panel_word_bytes=4)


def _row_sum(
    recurrence: type[OnePassRecurrence],
    variant: str,
    statement: str,
    bug: Mutation,
    *,
    largest: int,
    least: int,
) -> Proof:
    """Of a softmax whose sum follows its scores."""
    return inductive(
        f"softmax_{variant}_sum",
        f"hw.softmax.{variant}.{recurrence.__name__}",
        statement,
        lambda: UnitTop(recurrence(_softmax_config(variant)), partial(_check_softmax, largest, least)),
        bug,
        depth=6,
        bug_depth=8,
    )


PROOFS = (
    _row_sum(
        Base2Recurrence,
        "base2",
        "`2**18 <= S < 2**20 * keys` for up to 4096 keys of any scores: no overflow in 32 bits",
        Mutation(
            "state",
            "softmax/base2.py",
            "Mux(first, 1 << (_PLACES - 1), Mux(rises, places, 0))",
            "Mux(rises, places, 0)",
        ),
        largest=1023 << 10,
        least=1 << 18,
    ),
    _row_sum(
        OnlineRecurrence,
        "online",
        "`2**19 <= S <= 2**19 * keys` for up to 4096 keys of any scores: no overflow in 32 bits",
        Mutation("state", "softmax/online.py", "kept = Mux(first, 0, total)", "kept = total"),
        largest=1 << 19,
        least=1 << 19,
    ),
    inductive(
        "softmax_ibert_sum",
        "hw.softmax.ibert.IbertSum",
        "`S <= 2**19 * keys` for up to 4096 keys of any distances: no overflow in 32 bits",
        lambda: UnitTop(
            IbertSum(lanes=1, softmax=SoftmaxConfig(variant="ibert")), partial(_check_softmax, 1 << 19, 0)
        ),
        Mutation("state", "softmax/ibert.py", "add_rounded(Mux(first, 0, total),", "add_rounded(total,"),
        depth=7,
        bug_depth=9,
    ),
    _row_sum(
        ItaRecurrence,
        "ita",
        "`2**8 <= S <= 2**8 * keys` for up to 4096 keys of any scores: 65280 for the 255 that have an inverse, and no "
        "overflow in 21 bits",
        Mutation("state", "softmax/ita.py", "Mux(first[3], 0, total >> drops)", "(total >> drops)"),
        largest=1 << 8,
        least=1 << 8,
    ),
    inductive(
        "carried_rounding",
        "hw.softmax.rounding.CarriedRounding",
        "the probabilities of the first keys of a row, however many, add up to their levels within half a unit of 512; "
        "each is 0 to 127, and the remainder is below 512 (4 elements in a word)",
        lambda: UnitTop(CarriedRounding(_ROUNDING), _check_rounding),
        Mutation("state", "softmax/rounding.py", "remainder.eq(total)", "remainder.eq(total + 1)"),
        depth=3,
        bug_depth=4,
    ),
    inductive(
        "array_accumulator",
        "hw.matrix.array.Array",
        "an accumulator equals a sum of 48 bits while `128 * sum |w| < 2**31` (2 x 2 elements, 2 deep; the "
        "elements are alike)",
        lambda: UnitTop(Array(_ARRAY), _check_array),
        Mutation("state", "matrix/processing_element.py", "dot + Mux(flags.load, 0, acc)", "dot + acc"),
        depth=4,
        bug_depth=7,
    ),
)
