"""No accumulator overflows: inductive invariants of every running sum, for as many terms as the machine allows."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Assert, Assume, Module, Mux, Signal, signed
from amaranth.utils import exact_log2

from tests.formal.harness import UnitTop, past
from tests.formal.prover import Proof
from tests.mutants.mutation import Mutation
from vitreous.hw.array import Array
from vitreous.hw.norm_columns import Centre, PoolSum, RowStatistics
from vitreous.hw.softmax_base2 import Base2Recurrence
from vitreous.hw.softmax_online import OnlineRecurrence
from vitreous.spec.config import SoftmaxConfig

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


def _check_softmax(largest: int, m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """A sum of n terms is at most n of the largest; with one term or more it is at least one half of a term."""
    terms = _terms(m, unit, unit.LATENCY)
    total = unit.sum[0]
    started = Signal()
    m.d.sync += started.eq(started | (past(m, unit.valid & unit.first, unit.LATENCY - 1, name="opening")))
    m.d.comb += [
        Assert(total <= terms * largest),
        Assert((terms == 0) | ~started | (total >= 1 << 15)),
        Assert(~started | (terms != 0)),
        Assert(total < 1 << 28),
    ]


def _softmax_config(variant: str) -> Any:
    """One lane; the units read nothing else of a configuration."""
    return SimpleNamespace(array=SimpleNamespace(lanes=1), softmax=SoftmaxConfig(variant=variant))


def _check_statistics(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """Sum and sum of squares are exact: equal to sums of 64 bits, and within the bounds of n terms."""
    terms = _terms(m, unit, unit.LATENCY)
    x = past(m, unit.x[0], name="x")
    square = past(m, unit.x[0] * unit.x[0], name="square")
    valid, first = past(m, unit.valid, name="wide_valid"), past(m, unit.first, name="wide_first")
    wide, squares = Signal(signed(64)), Signal(64)
    with m.If(valid):
        m.d.sync += [wide.eq(Mux(first, 0, wide) + x), squares.eq(Mux(first, 0, squares) + square)]
    m.d.comb += [
        Assert(unit.sum[0] == wide),
        Assert(unit.squares[0] == squares),
        Assert(wide <= terms * 32767),
        Assert(wide >= -(terms << 15)),
        Assert(squares <= (terms << 30)),
    ]


def _check_pool(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """The sum of all lanes over the columns of a channel equals one of 64 bits, up to 4096 values."""
    columns = _terms(m, unit, unit.latency)
    m.d.comb += Assume(columns <= TERMS // unit.lanes)
    values = [Mux(~unit.last | unit.mask[lane], unit.x[lane], 0) for lane in range(unit.lanes)]
    term = past(m, sum(values[1:], values[0]), unit.latency - 1, name="term")
    valid = past(m, unit.valid, unit.latency - 1, name="wide_valid")
    first = past(m, unit.first, unit.latency - 1, name="wide_first")
    wide = Signal(signed(64))
    with m.If(valid):
        m.d.sync += wide.eq(Mux(first, 0, wide) + term)
    largest = exact_log2(unit.lanes) + 15
    m.d.comb += [
        Assert(unit.sum == wide),
        Assert(wide <= (columns << largest)),
        Assert(wide >= -(columns << largest)),
    ]


def _check_centre(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """``D * x - sum`` is exact for every sum of ``D`` values of 16 bits."""
    m.d.comb += [
        Assume(unit.channels <= TERMS),
        Assume(unit.sum[0] <= unit.channels * 32767),
        Assume(unit.sum[0] >= -(unit.channels << 15)),
    ]
    product = past(m, unit.x[0] * unit.channels, name="product")
    exact = past(m, product - unit.sum[0], name="exact")
    m.d.comb += Assert(unit.u[0] == exact)


def _check_array(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """While ``128 * sum |w|`` is below 2**31 (what the compiler guarantees) the accumulator is the exact sum."""
    flags = [past(m, value, 2, name=name) for name, value in (("take", unit.valid), ("load", unit.first))]
    take, load = flags
    a = [past(m, unit.a[8 * v : 8 * v + 8].as_signed(), name=f"a_{v}") for v in range(unit.depth)]
    b = [past(m, unit.b[8 * v : 8 * v + 8].as_signed(), name=f"b_{v}") for v in range(unit.depth)]
    products, weights = [x * y for x, y in zip(a, b, strict=True)], [abs(y) for y in b]
    for product, weight in zip(
        products, weights, strict=True
    ):  # one step before their sum, which then is linear
        m.d.comb += [Assert(product <= (weight << 7)), Assert(product >= -(weight << 7))]
    dot = past(m, sum(products[1:], products[0]), name="dot")
    weight = past(m, sum(weights[1:], weights[0]), name="weight")
    acc, wide, budget = registers["acc_0_0"], Signal(signed(48)), Signal(48)
    following = Mux(load, 0, budget) + (weight << 7)
    m.d.comb += Assume(~take | (following < 1 << 31))
    with m.If(take):
        m.d.sync += [wide.eq(Mux(load, 0, wide) + dot), budget.eq(following)]
    m.d.comb += [
        # What the sum needs: a dot product is at most 128 times its weights.
        Assert((dot <= (weight << 7)) & (dot >= -(weight << 7))),
        Assert(registers["dot_0_0"] == dot),
        Assert(acc == wide),
        Assert(budget < 1 << 31),
        Assert((wide <= budget.as_signed()) & (wide >= -budget)),
    ]


def _inductive(
    name: str,
    unit: str,
    statement: str,
    top: Any,
    bug: Mutation,
    *,
    depth: int,
    bug_depth: int,
) -> Proof:
    return Proof(
        name=name,
        unit=unit,
        statement=statement,
        top=top,
        mode="prove",
        depth=depth,
        bug_depth=bug_depth,
        bug=bug,
    )


_ARRAY = SimpleNamespace(array=SimpleNamespace(lanes=2, depth=2), panel_word_bytes=4)

PROOFS = (
    _inductive(
        "softmax_base2_sum",
        "hw.softmax_base2.Base2Recurrence",
        "`2**15 <= S <= 65280 * keys`, below 2**28 for 4096 keys of any scores: no overflow in 32 bits, and "
        "no row scale of a smaller sum",
        lambda: UnitTop(Base2Recurrence(_softmax_config("base2")), partial(_check_softmax, 255 << 8)),
        Mutation("state", "softmax_base2.py", "Mux(first, 0, total >> drop)", "(total >> drop)"),
        depth=6,
        bug_depth=8,
    ),
    _inductive(
        "softmax_online_sum",
        "hw.softmax_online.OnlineRecurrence",
        "`2**15 <= S <= 2**15 * keys`, below 2**28 for 4096 keys of any scores",
        lambda: UnitTop(OnlineRecurrence(_softmax_config("online")), partial(_check_softmax, 1 << 15)),
        Mutation("state", "softmax_online.py", "kept = Mux(first, 0, total)", "kept = total"),
        depth=6,
        bug_depth=8,
    ),
    _inductive(
        "row_statistics",
        "hw.norm_columns.RowStatistics",
        "sum and sum of squares of up to 4096 values of 16 bits equal sums of 64 bits, `|sum| <= 2**15 * n`, "
        "`squares <= 2**30 * n`",
        lambda: UnitTop(RowStatistics(lanes=1), _check_statistics),
        Mutation(
            "state",
            "norm_columns.py",
            "squares.eq(Mux(valid, Mux(first, 0, squares)",
            "squares.eq(Mux(valid, Mux(first, x, squares)",
        ),
        depth=3,
        bug_depth=6,
    ),
    _inductive(
        "pool_sum",
        "hw.norm_columns.PoolSum",
        "the sum of up to 4096 values of 16 bits, 4 lanes, any mask, equals a sum of 64 bits",
        lambda: UnitTop(PoolSum(lanes=4), _check_pool),
        Mutation("width", "norm_columns.py", "Signal(signed(16 + level)", "Signal(signed(15 + level)"),
        depth=6,
        bug_depth=7,
    ),
    _inductive(
        "centre",
        "hw.norm_columns.Centre",
        "`u = D * x - sum` is exact in 30 bits for every `D <= 4096` and every sum of `D` values",
        lambda: UnitTop(Centre(lanes=1), _check_centre),
        Mutation("width", "norm_columns.py", "CENTRED_BITS = 30", "CENTRED_BITS = 28"),
        depth=3,
        bug_depth=4,
    ),
    _inductive(
        "array_accumulator",
        "hw.array.Array",
        "an accumulator equals a sum of 48 bits while `128 * sum |w| < 2**31` (2 x 2 elements, 2 deep; the "
        "elements are alike)",
        lambda: UnitTop(Array(_ARRAY), _check_array),
        Mutation("state", "array.py", "dot + Mux(load, 0, acc)", "dot + acc"),
        depth=3,
        bug_depth=6,
    ),
)
