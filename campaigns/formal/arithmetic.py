"""Equality of arithmetic units with the formulas of docs/numerics.md, for all inputs.

The units are feed-forward pipelines: what leaves in cycle ``LATENCY`` depends on the inputs of cycle 0 alone, which are
free, so a bounded proof of that one cycle holds for every cycle.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from amaranth.hdl import Array, Assert, Assume, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from campaigns.formal.harness import UnitTop, elapsed, open_unit, past
from campaigns.formal.prover import Proof, bounded, inductive
from campaigns.mutants.mutation import Mutation
from vitreous.hw.arith.leading_one import LeadingOne
from vitreous.hw.arith.reciprocal import _DIVISION, QUOTIENT_BITS, Reciprocal
from vitreous.hw.arith.requantize import FORMATS, WIDEST, Requantize, Saturation
from vitreous.hw.arith.rsqrt import ReciprocalRoot
from vitreous.hw.softmax.rowscale import RowScale
from vitreous.spec.numbers import INT8, INT16, SCORE
from vitreous.spec.tables import RSQRT_SEED_SHIFT, rsqrt_seed

FEED_FORWARD = "a feed-forward pipeline with free inputs"


def _after(m: Module, latency: int, *pairs: tuple[Value, Value]) -> None:
    """Once the pipeline is full, each output is the formula of the inputs that far back."""
    time = elapsed(m, latency)
    for index, (result, formula) in enumerate(pairs):
        expected = past(m, formula, latency, name=f"expected_{index}")
        with m.If(time == latency):
            m.d.comb += Assert(result == expected)


class RequantizeTop(wiring.Component):
    """``saturate(((acc * m + 2**(s-1)) >> s) + zero_point)``, all accumulators, multipliers, shifts 1 to 63."""

    def __init__(self) -> None:
        super().__init__(
            {
                "acc": In(signed(32)),
                "multiplier": In(15),
                "shift": In(6),
                "zero_point": In(signed(8)),
                "saturation": In(2),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = unit = Requantize(lanes=1, width=32)
        m.d.comb += [
            Assume(self.shift != 0),
            Assume(self.saturation <= max(Saturation)),
            unit.acc[0].eq(self.acc),
            unit.multiplier[0].eq(self.multiplier),
            unit.shift[0].eq(self.shift),
            unit.zero_point.eq(self.zero_point),
            unit.saturation.eq(self.saturation),
        ]
        product = Signal(signed(65))
        value = Signal(signed(65))
        m.d.comb += product.eq(self.acc * self.multiplier)
        with m.Switch(self.shift):
            for shift in range(1, 64):
                with m.Case(shift):
                    m.d.comb += value.eq(((product + (1 << (shift - 1))) >> shift) + self.zero_point)
        saturated = Signal(signed(FORMATS[WIDEST].width))
        with m.Switch(self.saturation):
            for mode, limits in (
                (Saturation.INT8, INT8),
                (Saturation.INT16, INT16),
                (Saturation.SCORE, SCORE),
            ):
                with m.Case(mode):
                    low, high = value < limits.minimum, value > limits.maximum
                    clamped = Mux(low, limits.minimum, Mux(high, limits.maximum, value))
                    m.d.comb += saturated.eq(clamped)
        _after(m, unit.LATENCY, (unit.o[0], saturated))
        return m


def _check_leading_one(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """The exponent is the place of the leading one, and ``o`` has it on top."""
    m.d.comb += Assume(unit.i != 0)
    before = past(m, unit.i, unit.LATENCY, name="i")
    with m.If(elapsed(m, unit.LATENCY) == unit.LATENCY):
        m.d.comb += [
            Assert((before >> unit.exponent) == 1),
            Assert(unit.o == (before << ~unit.exponent)[:64]),
        ]


def _exponent(m: Module, number: Value) -> Signal:
    """``bit_length(number) - 1``."""
    exponent = Signal(range(len(number)), name="reference_exponent")
    for place in range(len(number)):
        with m.If(number[place]):
            m.d.comb += exponent.eq(place)
    return exponent


class ReciprocalTop(wiring.Component):
    """``Q * Sn <= n * 2**17 < (Q + 1) * Sn``: beside the unit goes a restoring division, each step of which keeps
    ``q * Sn + rest = 2 * n * 2**step`` and ``rest < Sn``. The unit's remainder is ``rest``, or ``rest - Sn`` below 0.

    steps : prove what is said of the unit's remainder, or else assume it and prove the product.
    """

    def __init__(self, *, steps: bool) -> None:
        self.steps = steps
        super().__init__({"number": In(32), "numerator": In(15)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        unit = Reciprocal()
        registers = open_unit(m, unit)
        m.d.comb += [
            Assume(self.number != 0),
            Assume(self.numerator > 1 << 13),
            unit.number.eq(self.number),
            unit.numerator.eq(self.numerator),
        ]
        exponent = _exponent(m, self.number)
        divisor = Signal(17)
        down, up = (exponent - 16)[:4], (16 - exponent)[:5]
        m.d.comb += divisor.eq(Mux(exponent >= 16, self.number >> down, self.number << up))
        live: Value = past(m, 1, unit.LATENCY - QUOTIENT_BITS, name="live")
        given = [past(m, v, 3, name=f"given_{i}") for i, v in enumerate((self.numerator, divisor, exponent))]
        rest: Value = given[0] << 1
        before: tuple[Value, Value] = (Const(0, 34), Const(0, QUOTIENT_BITS))
        for step in range(QUOTIENT_BITS + 1):
            state = data.View(_DIVISION, registers[f"division_{step}"])
            product = self._check_step(m, step, state, before, rest, live, *given)
            if step == QUOTIENT_BITS:
                break
            before = (
                past(m, product, name=f"product_{step}"),
                past(m, state.quotient, name=f"quotient_{step}"),
            )
            doubled = rest << 1
            following = Mux(doubled >= given[1], doubled - given[1], doubled)[:17]
            rest = past(m, following, name=f"rest_{step}")
            live, *given = (past(m, v, name=f"step_{step}_{i}") for i, v in enumerate((live, *given)))
        with m.If(live):
            if not self.steps:
                m.d.comb += [
                    Assert(product <= given[0] << 17),
                    Assert(product + given[1] > given[0] << 17),
                ]
            m.d.comb += [
                Assert(unit.quotient == state.quotient),
                Assert(unit.exponent == given[2]),
            ]
        return m

    def _check_step(
        self,
        m: Module,
        step: int,
        state: data.View,
        before: tuple[Value, Value],
        rest: Value,
        live: Value,
        numerator: Value,
        divisor: Value,
        exponent: Value,
    ) -> Value:
        """Returns ``q * Sn`` by Horner's rule: twice the product of the previous step, and Sn for the new bit of q."""
        product = Signal(34, name=f"q_times_divisor_{step}")
        bit = state.quotient[0]
        m.d.comb += product.eq((before[0] << 1) + Mux(bit, divisor, 0) if step else 0)
        with m.If(live):
            m.d.comb += [
                Assert(state.divisor == divisor),
                Assert(divisor[16] & (numerator > 1 << 13)),
                Assert(state.exponent == exponent),
                Assert(rest < divisor),
                Assert(state.quotient >> 1 == before[1][: QUOTIENT_BITS - 1]),
                Assert(state.quotient >> step == 0),
            ]
            remainder = state.remainder == rest - Mux(bit, 0, divisor) if step else state.remainder == rest
            if self.steps:
                m.d.comb += [Assert(remainder), Assert(bit == (state.remainder >= 0) if step else 1)]
            else:
                m.d.comb += [Assume(remainder), Assert(product + rest == numerator << (step + 1))]
        return product


def _check_row_scale(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """Multiplier and shift are those of the formula, given the reciprocal's quotient and exponent."""
    exponent = past(m, _exponent(m, unit.sum), unit.LATENCY, name="exponent")
    shift = past(m, unit.shift, unit.LATENCY, name="shift")
    quotient = past(m, unit._reciprocal.quotient, name="quotient")
    wide = quotient >= 1 << 15
    with m.If(past(m, 1, unit.LATENCY, name="live") & past(m, unit.sum != 0, unit.LATENCY, name="any")):
        m.d.comb += [
            Assert(unit.o_multiplier == Mux(wide, quotient >> 1, quotient)),
            Assert(unit.o_shift == (shift + exponent + 1 - unit.offset - wide)[:6]),
        ]


def _check_root(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """Normalization, seed and Newton step are those of the formula; every register of the way is compared."""
    variance = unit.variance
    m.d.comb += Assume(variance != 0)
    exponent = _exponent(m, variance)
    even = Cat(Const(0, 1), exponent[1:])
    number = Signal(18)
    m.d.comb += number.eq(Mux(even >= 16, variance >> (even - 16)[:6], variance << (16 - even)[:5]))
    seed = Signal(16)
    m.d.comb += seed.eq(Array(rsqrt_seed())[(number >> RSQRT_SEED_SHIFT) - 32])
    # Each register is compared with the formula of the previous registers; together they are the whole formula.
    r = registers
    formulas = (
        (3, "normalized_1", past(m, number, 3, name="number")),
        (4, "normalized_2", past(m, r["normalized_1"], name="normalized_1")),
        (4, "seed_1", past(m, seed, 4, name="seed")),
        (5, "seed_2", past(m, r["seed_1"], name="seed_1")),
        (6, "seed_3", past(m, r["seed_2"], name="seed_2")),
        (4, "a", ((r["seed_1"] * r["seed_1"]) >> 16)[:16]),
        (5, "b", past(m, ((r["normalized_2"] * r["a"]) >> 16)[:18], name="vn_a")),
        (6, "rest", past(m, ((3 << 16) - r["b"])[:18], name="three_minus_b")),
        (7, "product", past(m, ((r["seed_3"] * r["rest"]) >> 17)[:16], name="y0_rest")),
    )
    time = elapsed(m, unit.LATENCY)
    for stage, name, formula in formulas:
        with m.If(time >= stage):
            m.d.comb += Assert(r[name] == formula)
    half = past(m, exponent >> 1, unit.LATENCY, name="half")
    with m.If(time >= unit.LATENCY):
        m.d.comb += [Assert(unit.half_exponent == half), Assert(unit.root == r["product"])]


def _pipeline(name: str, unit: type, statement: str, top: object, bug: Mutation) -> Proof:
    return bounded(
        name,
        f"{unit.__module__.removeprefix('vitreous.')}.{unit.__name__}",
        statement,
        top,
        bug,
        depth=unit.LATENCY + 1,
        complete=FEED_FORWARD,
    )


def _division(name: str, statement: str, bug: Mutation, *, steps: bool) -> Proof:
    top = partial(ReciprocalTop, steps=steps)
    unit = "hw.arith.reciprocal.Reciprocal"
    return inductive(name, unit, statement, top, bug, depth=5, bug_depth=6)


PROOFS = (
    _pipeline(
        "requantize",
        Requantize,
        "`o = saturate(((acc * m + 2**(s-1)) >> s) + zero_point)` for all 32-bit accumulators, 15-bit multipliers, "
        "shifts 1 to 63, zero points and saturations",
        RequantizeTop,
        Mutation(
            "rounding",
            "arith/requantize.py",
            "Cat(Const(1, 1), zero_points[1])",
            "Cat(Const(0, 1), zero_points[1])",
        ),
    ),
    _pipeline(
        "leading_one",
        LeadingOne,
        "`i >> exponent = 1` and `o = i << (63 - exponent)` for all 64-bit numbers but 0",
        lambda: UnitTop(LeadingOne(width=64), _check_leading_one),
        Mutation(
            "width",
            "arith/leading_one.py",
            "value[self.width - distance :]",
            "value[self.width - distance + 1 :]",
        ),
    ),
    _division(
        "reciprocal",
        "`Q * Sn <= n * 2**17 < (Q + 1) * Sn` and the exponent, for all numbers from 1 to 2**32 - 1 and all "
        "numerators above 2**13 (an invariant for each of the 16 steps), given `reciprocal_steps`",
        Mutation(
            "width",
            "arith/reciprocal.py",
            "leading.o[NUMBER_BITS - _DIVISOR_BITS :]",
            "leading.o[NUMBER_BITS - _DIVISOR_BITS + 1 :]",
        ),
        steps=False,
    ),
    _division(
        "reciprocal_steps",
        "divisor, exponent, remainder and quotient of each of the 16 steps are those of a restoring division",
        Mutation(
            "sign",
            "arith/reciprocal.py",
            "Cat(subtract, state.remainder) + divisor",
            "Cat(0, state.remainder) + divisor",
        ),
        steps=True,
    ),
    _pipeline(
        "row_scale",
        RowScale,
        "multiplier and shift are the normalized quotient of the reciprocal and `s_o + e + 1 - C`, C = 13, modulo 64, "
        "for all sums from 1, multipliers and shifts",
        lambda: UnitTop(RowScale(offset=13), _check_row_scale),
        Mutation("shift", "softmax/rowscale.py", "(self.offset - 1) - wide", "(self.offset - 1)"),
    ),
    _pipeline(
        "reciprocal_root",
        ReciprocalRoot,
        "normalization, seed and Newton step are the formula, modulo 2**16 (that no root is larger is tested), for all "
        "variances from 1 to 2**55 - 1",
        lambda: UnitTop(ReciprocalRoot(), _check_root),
        Mutation("rounding", "arith/rsqrt.py", "(number[2] * a) >> 16", "(number[2] * a + 0xFFFF) >> 16"),
    ),
)
