"""Equality of every variant of the smooth activation with the formulas of docs/numerics.md, for all 2**16 inputs.

``delta`` and ``table`` are compared as a whole. ``poly`` and ``shift`` multiply and divide, where a solver compares two
different circuits for hours: there each register is compared with the formula of the previous registers, and the
quotient by its product with the divisor.
"""

from __future__ import annotations

from itertools import pairwise
from typing import assert_never

from amaranth.hdl import Assert, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from campaigns.formal.harness import elapsed, open_unit, past
from campaigns.formal.prover import Proof, bounded, inductive
from campaigns.mutants.mutation import Mutation
from vitreous.hw.activation.activation import VARIANTS, SmoothActivation
from vitreous.hw.activation.poly import PolyActivation
from vitreous.hw.activation.shift import QUOTIENT_BITS
from vitreous.spec.config import ActivationConfig
from vitreous.spec.tables import (
    GELU_POLY_BITS,
    GELU_POLY_EDGE,
    GELU_POLY_FACTOR,
    activation_delta,
    activation_table,
)
from vitreous.spec.variants import ActivationFunction, ActivationVariant

FEED_FORWARD = "a feed-forward pipeline with free inputs"


def _magnitude(x: Value) -> Value:
    return Mux(x < 0, -x, x).as_unsigned()


def _positive(x: Value, config: ActivationConfig) -> Value:
    return Mux(x < 0, 0, x) << (config.fraction_bits - 10)


class WholeTop(wiring.Component):
    """``y`` is the formula of the ``x`` that is ``latency`` cycles old; ``x << (f - 10)`` where not enabled."""

    def __init__(self, config: ActivationConfig) -> None:
        self.config = config
        super().__init__({"enable": In(1), "x": In(signed(16))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = unit = SmoothActivation(self.config, lanes=1)
        match self.config.variant:
            case ActivationVariant.TABLE:
                formula = self._table(m)
            case ActivationVariant.DELTA:
                formula = self._delta(m)
            case other:
                raise ValueError(f"{other} has no table")
        y = Signal(signed(30))
        m.d.comb += [
            unit.enable.eq(self.enable),
            unit.x[0].eq(self.x),
            y.eq(Mux(self.enable, formula, self.x << (self.config.fraction_bits - 10))),
        ]
        latency = SmoothActivation.latency(self.config)
        expected = past(m, y, latency, name="expected")
        with m.If(elapsed(m, latency) == latency):
            m.d.comb += Assert(unit.y[0] == expected)
        return m

    def _delta(self, m: Module) -> Value:
        table, b = activation_delta(self.config), 10 - self.config.step_bits
        u, delta = Signal(17), Signal(signed(30))
        m.d.comb += u.eq(_magnitude(self.x))
        rows = pairwise(table) if self.config.interpolate else ((value, value) for value in table)
        with m.Switch(u >> b):
            for index, (value, following) in enumerate(rows):
                with m.Case(index):
                    interpolated = (value << b) + (following - value) * u[:b] + (1 << (b - 1))
                    m.d.comb += delta.eq(interpolated >> b)
        return _positive(self.x, self.config) - delta

    def _table(self, m: Module) -> Value:
        table, index = activation_table(self.config), Signal(signed(16))
        y = Signal(signed(30), name="y_of_table")
        m.d.comb += [index.eq(self.x >> (10 - self.config.step_bits)), y.eq(_positive(self.x, self.config))]
        for place, value in enumerate(table, start=-self.config.entries):
            with m.If(index == place):
                m.d.comb += y.eq(value)
        return y


class _OpenTop(wiring.Component):
    """A unit of one lane whose registers are seen."""

    def __init__(self, config: ActivationConfig) -> None:
        self.config = config
        super().__init__({"enable": In(1), "x": In(signed(16))})

    def _build_unit(self, m: Module) -> dict[str, Signal]:
        unit = VARIANTS[self.config.variant](self.config, lanes=1)
        registers = open_unit(m, unit)
        m.d.comb += [unit.enable.eq(self.enable), unit.x[0].eq(self.x)]
        return registers

    def _end(self, m: Module, r: dict[str, Signal]) -> Value:
        """``y = relu(x) - round_shift(halves, 1)``, of the registers of the previous cycle."""
        behind = VARIANTS[self.config.variant].latency(self.config) - 1
        enable, x = r[f"enable_{behind}"], r[f"x_0_{behind}"].as_signed()
        delta = (r["halves_0"] + 1) >> 1
        passed = x << (self.config.fraction_bits - 10)
        return past(m, Mux(enable, _positive(x, self.config), passed) - delta, name="y")


class PolyTop(_OpenTop):
    """Every register of ``poly`` is the formula of the previous ones."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        r = self._build_unit(m)
        u = Signal(16)
        m.d.comb += u.eq(_magnitude(self.x))
        w = Signal(17)
        m.d.comb += w.eq(Mux((u < GELU_POLY_EDGE) & self.enable, GELU_POLY_EDGE - u, 0))
        expected_w = past(m, w, 2, name="w")
        least = past(m, Mux(u < GELU_POLY_EDGE, u, GELU_POLY_EDGE), 2, name="least")
        square = past(m, (r["w_0"] * r["w_0"]) >> 10, name="square")
        scaled = past(m, r["factor_0"] * GELU_POLY_FACTOR, name="scaled")
        places = 20 + GELU_POLY_BITS - self.config.fraction_bits - 1
        product = past(m, (r["square_0"] * r["scaled_0"]) >> places, name="product")
        statements = (
            (2, r["w_0"] == expected_w),
            (2, (r["w_0"] == 0) | (r["factor_0"] == least)),
            (3, r["square_0"] == square),
            (3, r["scaled_0"] == scaled),
            (4, r["halves_0"] == product[: len(r["halves_0"])]),
            (5, r["y_0"].as_signed() == self._end(m, r)),
        )
        time = elapsed(m, PolyActivation.latency(self.config))
        for stage, statement in statements:
            with m.If(time >= stage):
                m.d.comb += Assert(statement)
        return m


class ShiftPowerTop(_OpenTop):
    """``e`` of ``shift`` is the formula of ``x``, without any width of the unit."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        r = self._build_unit(m)
        u, k, v = Signal(16), Signal(18), Signal(19)
        power = Signal(32)
        match self.config.function:
            case ActivationFunction.GELU:
                scaled = u + (u >> 1) + (u >> 3) + (u >> 4)
            case ActivationFunction.SILU:
                scaled = u
            case _:
                assert_never(self.config.function)
        m.d.comb += [u.eq(_magnitude(self.x)), k.eq(scaled), v.eq(k + (k >> 1) - (k >> 4))]
        chord = ((2048 - v[:10]) << 4).as_unsigned()
        m.d.comb += power.eq(Mux(self.enable & (v[10:] < 16), chord >> v[10:14], 0))
        expected = past(m, power, 4, name="power")
        whole = past(m, u, 4, name="u")
        with m.If(elapsed(m, 4) == 4):
            m.d.comb += [
                Assert(r["power_0_0"] == expected),
                # The bits of u that the unit does not keep count only where delta is 0.
                Assert((expected == 0) | (r["near_0_4"] == whole)),
            ]
        return m


class ShiftTop(_OpenTop):
    """Every step of the division keeps ``q * (2**15 + e) + r = e * 2**step`` and ``r < 2**15 + e``."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        r = self._build_unit(m)
        before: tuple[Value, Value] = (Const(0, 32), Const(0, QUOTIENT_BITS))
        m.d.comb += Assert(r["power_0_0"] <= 1 << 15)
        for step in range(1, QUOTIENT_BITS + 1):
            before = self._check_step(m, step, r, before)
        bits, places = len(r["halves_0"]), 24 - self.config.fraction_bits
        near = r[f"near_0_{4 + QUOTIENT_BITS}"]
        product = past(m, (near * r[f"quotient_0_{QUOTIENT_BITS}"]) >> places, name="product")
        end = self._end(m, r)
        with m.If(past(m, 1, name="started")):
            m.d.comb += [
                Assert(r["halves_0"] == product[:bits]),
                Assert(r["y_0"].as_unsigned() == end[: len(r["y_0"])]),
            ]
        return m

    def _check_step(
        self, m: Module, step: int, r: dict[str, Signal], before: tuple[Value, Value]
    ) -> tuple[Value, Value]:
        """Returns ``q * (2**15 + e)``, by Horner's rule, and ``q``, both of the previous cycle."""
        power, remainder, quotient = (r[f"{name}_0_{step}"] for name in ("power", "remainder", "quotient"))
        divisor = Signal(17, name=f"divisor_of_{step}")
        product = Signal(32, name=f"product_{step}")
        m.d.comb += [
            divisor.eq(power + (1 << 15)),
            product.eq((before[0] << 1) + Mux(quotient[0], divisor, 0)),
            Assert(power <= 1 << 15),
            Assert(remainder < divisor),
            Assert(quotient >> 1 == before[1]),
            Assert(product + remainder == Cat(Const(0, step), power)),
        ]
        kept = past(m, power, name=f"power_{step}")
        if step < QUOTIENT_BITS:
            m.d.comb += Assert(r[f"power_0_{step + 1}"] == kept)
        return past(m, product, name=f"product_{step}"), past(m, quotient, name=f"quotient_{step}")


def _proof(name: str, config: ActivationConfig, statement: str, top: object, bug: Mutation) -> Proof:
    unit = VARIANTS[config.variant]
    return bounded(
        name,
        f"{unit.__module__.removeprefix('vitreous.')}.{unit.__name__}",
        f"{statement}; a value passes where not enabled",
        lambda: top(config),  # type: ignore[operator]
        bug,
        depth=SmoothActivation.latency(config) + 1,
        complete=FEED_FORWARD,
    )


_DELTA = ActivationConfig()
_CONSTANT = ActivationConfig(step_bits=6, range=4.25, fraction_bits=12, interpolate=False)
_TABLE = ActivationConfig(variant="table", step_bits=4, range=4.25)
_POLY = ActivationConfig(variant="poly")
_SHIFT = ActivationConfig(variant="shift")

PROOFS = (
    _proof(
        "activation_delta",
        _DELTA,
        "the formula of `delta`, interpolated, for all 2**16 inputs, default table",
        WholeTop,
        Mutation("operand", "activation/delta.py", "above.eq(index + 1)", "above.eq(index)"),
    ),
    _proof(
        "activation_constant",
        _CONSTANT,
        "the formula of `delta` without interpolation, for all 2**16 inputs, 64 steps a unit to 4.25",
        WholeTop,
        Mutation("saturation", "activation/delta.py", "zero.eq(outside)", "zero.eq(0)"),
    ),
    _proof(
        "activation_table",
        _TABLE,
        "the formula of `table` for all 2**16 inputs, 16 steps a unit to 4.25",
        WholeTop,
        Mutation("off by one", "activation/table.py", "(index < entries)", "(index < entries - 1)"),
    ),
    _proof(
        "activation_poly",
        _POLY,
        "every register is the formula of `poly` of those before it, halves modulo 2**13 (that none is larger is "
        "tested), for all 2**16 inputs",
        PolyTop,
        Mutation(
            "rounding", "activation/poly.py", "square.eq((w * w) >> 10)", "square.eq((w * w + 1023) >> 10)"
        ),
    ),
    bounded(
        "activation_shift_power",
        "hw.activation.shift.ShiftActivation",
        "`e` of `shift` is the formula of `x`, 0 where not enabled, for all 2**16 inputs; `u` is whole where "
        "`e` is not 0",
        lambda: ShiftPowerTop(_SHIFT),
        Mutation(
            "rounding", "activation/shift.py", "k + (k >> 1) - (k >> 4)", "k + (k >> 1) - ((k + 15) >> 4)"
        ),
        depth=5,
        complete=FEED_FORWARD,
    ),
    inductive(
        "activation_shift",
        "hw.activation.shift.ShiftActivation",
        "each of the 15 steps keeps `q * (2**15 + e) + r = e * 2**step` and `r < 2**15 + e`; then "
        "`y = relu(x) - round_shift(u * q, 25 - f)`, halves modulo 2**14 (that none is larger is tested)",
        lambda: ShiftTop(_SHIFT),
        Mutation(
            "comparison",
            "activation/shift.py",
            "fits = ~difference[-1]",
            "fits = ~difference[-1] & (difference != 0)",
        ),
        depth=2,
        bug_depth=10,
    ),
)
