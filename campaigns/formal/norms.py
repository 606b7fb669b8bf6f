"""Norms: sums that do not overflow, for as many values as an instruction allows, and what is made of them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Module, Mux, Signal, signed
from amaranth.utils import exact_log2

from campaigns.formal.bounds import TERMS, _terms
from campaigns.formal.harness import UnitTop, constant, past, past_when
from campaigns.formal.prover import bounded, inductive
from campaigns.mutants.mutation import Mutation
from vitreous.hw.norm.one_pass import Centre, RowStatistics
from vitreous.hw.norm.scale import NormScale
from vitreous.hw.norm.two_pass import CentredSums, RowMean
from vitreous.hw.vector.pool import PoolSum
from vitreous.hw.vector.shifts import ChannelShifts
from vitreous.spec.layout import SHIFTS_PER_WORD
from vitreous.spec.numbers import CHANNEL_SHIFT_MAX, SHIFT_BITS, SHIFT_MAX


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
    inside = [(~unit.last | unit.mask[lane]) & (~unit.first | unit.begin[lane]) for lane in range(unit.lanes)]
    values = [Mux(inside[lane], unit.x[lane], 0) for lane in range(unit.lanes)]
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
    """``D * x - sum`` is exact for every sum of ``D`` values of 16 bits; so is ``D * x``."""
    m.d.comb += [
        Assume(unit.channels <= TERMS),
        Assume(unit.sum[0] <= unit.channels * 32767),
        Assume(unit.sum[0] >= -(unit.channels << 15)),
    ]
    product = past(m, unit.x[0] * unit.channels, name="product")
    exact = past(m, product - Mux(unit.centred, unit.sum[0], 0), name="exact")
    m.d.comb += Assert(unit.u[0] == exact)


def _check_centred_sums(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """``u``, and sums of ``u`` or of ``u * u``, whichever of the two a tile's pass makes."""
    terms = _terms(m, unit, unit.SUM_LATENCY)
    flags = {name: getattr(unit, name) for name in ("valid", "first", "plain")}
    m.d.comb += Assume((unit.first & unit.valid) | (unit.plain == past(m, unit.plain, name="plain_before")))
    u = past(m, 16 * unit.x[0] - Mux(unit.centred, unit.mean[0], 0), name="u")
    m.d.comb += Assert(unit.u[0] == u)
    m.d.comb += Assert((unit.u[0] < 1 << 20) & (unit.u[0] > -(1 << 20)))
    valid, first, plain = (past(m, flag, 2, name=f"wide_{name}") for name, flag in flags.items())
    # A square of 20 bits has 40: that, and not more, is assumed of the product with itself.
    term = registers["term_0"]
    m.d.comb += Assume(plain | ((term >= 0) & (term < 1 << 40)))
    m.d.comb += Assert(~plain | (term == past(m, u, name="u_before")))
    wide, kind = Signal(signed(64)), Signal()
    with m.If(valid):
        m.d.sync += wide.eq(Mux(first, 0, wide) + term)
    m.d.sync += kind.eq(plain)
    m.d.comb += [
        Assert(unit.total[0] == wide),
        # Below ``terms * 2**40`` and ``terms * 2**20``: said about the upper bits, which is easier to decide.
        Assert((wide == 0) | kind | ((wide >> 40 >= 0) & (wide >> 40 < terms))),
        Assert((wide == 0) | ~kind | ((wide >> 20 >= -terms) & (wide >> 20 < terms))),
    ]


def _check_row_mean(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """Shift and rounding are exact for every product of a row: ``|sum| <= 2**15 * D`` and ``q * D <= 2**(15 + d)``."""
    product, shifted, d = registers["product"], registers["shifted"], unit._reciprocal.exponent
    exact = Signal(signed(48))
    m.d.comb += Assume(d <= 12)
    with m.Switch(d):
        for value in range(13):
            with m.Case(value):
                m.d.comb += [
                    Assume(product <= 32767 << (15 + value)),
                    Assume(product >= -(32768 << (15 + value))),
                    exact.eq((product + (1 << (10 + value))) >> (11 + value)),
                ]
    rounded = past(m, exact, name="rounded")
    taken = past(m, registers["valid_2"] & (registers["place_2"] == 0), name="taken")
    m.d.comb += [
        Assert((shifted + 1) >> 1 == rounded),
        Assert((rounded >= -(1 << 19)) & (rounded <= (1 << 19) - 16)),
        Assert(~taken | (unit.mean[0] == past(m, rounded, name="mean"))),
    ]


def _check_norm_scale(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """A row's shift is normalized and kept at 48, so that a channel's shift has room on top of it."""
    shift, wide = registers["shift"], registers["quotient"][-1]
    exact = past(m, Mux(shift - wide > SHIFT_MAX, SHIFT_MAX + 1, shift - wide), name="exact")
    there = past(m, registers["valid_10"] & (registers["place_10"] == 0), name="there")
    m.d.comb += [
        Assert(~there | (unit.row_shift[0] == exact)),
        *(
            Assert(row + CHANNEL_SHIFT_MAX < 1 << SHIFT_BITS)
            for row in (unit.row_shift[lane] for lane in range(unit.lanes))
        ),
    ]


def _check_channel_shifts(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """Words are read once, in order, and each is taken from its bit 0 upwards, whenever the one before is used up."""
    words = ((unit.channels - 1) >> exact_log2(SHIFTS_PER_WORD)) + 1
    constant(m, unit.channels, "channels")
    constant(m, free.chosen, "chosen")
    granted = unit.p.valid & unit.p.ready
    read, used, place, begun = Signal(3), Signal(3), Signal(4), Signal()
    m.d.sync += [
        read.eq(read + granted),
        used.eq(used + (unit.take & unit.last)),
        place.eq(place + unit.take),
    ]
    with m.If(unit.take & unit.last):
        m.d.sync += place.eq(0)
    with m.If(unit.begin):
        m.d.sync += [read.eq(0), used.eq(0), begun.eq(1)]
    arrives = past(m, granted & (read == free.chosen), name="arrives")
    content = past_when(m, arrives, unit.p.data, "content")
    m.d.comb += [
        Assume((unit.channels != 0) & (words <= 3) & ~unit.stop & ~unit.p.fault),
        Assume(~unit.take | unit.ready),
        Assume(~unit.begin | ~begun | (used == words)),
        Assert(~granted | (begun & (read < words) & (unit.p.addr == (unit.base + read)[:18]))),
        Assert(~unit.ready | (begun & (used < words) & (used < read))),
        Assert(~(unit.ready & (used == free.chosen)) | (unit.shift == (content >> (place << 1))[:2])),
        Assert(unit.ready | (unit.shift == 0)),
    ]


PROOFS = (
    inductive(
        "row_statistics",
        "hw.norm.one_pass.RowStatistics",
        "sum and sum of squares of up to 4096 values of 16 bits equal sums of 64 bits, `|sum| <= 2**15 * n`, "
        "`squares <= 2**30 * n`",
        lambda: UnitTop(RowStatistics(lanes=1), _check_statistics),
        Mutation(
            "state",
            "norm/one_pass.py",
            "square + Mux(first, 0, squares)",
            "square + Mux(first, x, squares)",
        ),
        depth=3,
        bug_depth=6,
    ),
    inductive(
        "pool_sum",
        "hw.vector.pool.PoolSum",
        "the sum of up to 4096 values of 16 bits, 4 lanes, any mask, equals a sum of 64 bits",
        lambda: UnitTop(PoolSum(lanes=4), _check_pool),
        Mutation("width", "vector/pool.py", "Signal(signed(16 + level)", "Signal(signed(15 + level)"),
        depth=6,
        bug_depth=7,
    ),
    inductive(
        "centre",
        "hw.norm.one_pass.Centre",
        "`u = D * x - sum` (RMS norm: `D * x`) is exact in 30 bits for every `D <= 4096` and every sum of `D` values",
        lambda: UnitTop(Centre(lanes=1), _check_centre),
        Mutation("width", "norm/one_pass.py", "CENTRED_BITS = 30", "CENTRED_BITS = 28"),
        depth=3,
        bug_depth=4,
    ),
    inductive(
        "centred_sums",
        "hw.norm.two_pass.CentredSums",
        "`u = 16 * x - mean` is exact and `|u| < 2**20` for every mean of 20 bits; sums of `u` and of squares over up "
        "to 4096 values equal sums of 64 bits, `sum u*u < 2**52`",
        lambda: UnitTop(CentredSums(lanes=1), _check_centred_sums),
        Mutation(
            "state",
            "norm/two_pass.py",
            "term + Mux(first, 0, total)",
            "term + total",
        ),
        depth=4,
        bug_depth=8,
    ),
    inductive(
        "row_mean",
        "hw.norm.two_pass.RowMean",
        "`mean = round_shift(sum * q, 11 + d)` is exact in 20 bits, at most `2**19 - 16`, for every product that a sum "
        "of `D <= 4096` values and a quotient `q <= 2**(15 + d) / D` give",
        lambda: UnitTop(RowMean(lanes=2), _check_row_mean),
        Mutation("rounding", "norm/two_pass.py", "(shifted + 1) >> 1", "shifted >> 1"),
        depth=4,
        bug_depth=26,
    ),
    inductive(
        "norm_scale",
        "hw.norm.scale.NormScale",
        "a row's shift is `s_o + e/2 + 1`, less 1 where its quotient has 16 bits, and 48 instead of 48 and more: a "
        "channel's shift on top has 6 bits (2 lanes)",
        lambda: UnitTop(NormScale(lanes=2, variance_latency=2), _check_norm_scale),
        Mutation("width", "norm/scale.py", "normalized[-1] | normalized[4:6].all()", "normalized[-1]"),
        depth=4,
        bug_depth=14,
    ),
    bounded(
        "channel_shifts",
        "hw.vector.shifts.ChannelShifts",
        "words of shifts are read once, in order, none beyond the tile's last; each gives its shifts from bit 0 up, in "
        "tiles of up to 3 words (used up after any number of shifts)",
        lambda: UnitTop(ChannelShifts(), _check_channel_shifts, chosen=2),
        Mutation("condition", "vector/shifts.py", "reading & room & ~arrives", "reading & ~arrives"),
        depth=18,
    ),
)
