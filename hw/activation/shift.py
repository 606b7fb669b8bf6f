"""GELU and SiLU by ``shift`` (docs/numerics.md): I-ViT's sigmoid from shifts, additions and one division.

Stages:
    1       u = |x|
    2       k = 1.6875 u (SiLU: u)
    3       v = 1.4375 k
    4       e = 2**(15 - v), a chord between powers of two
    5 - 19  one quotient bit each of e * 2**15 / (2**15 + e), restoring
    20      u times the quotient: halves of delta
    21      relu(x) - delta
"""

from __future__ import annotations

from typing import Any, assert_never

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from vitreous.hw.activation.unit import EvenActivation
from vitreous.hw.arith.delay import delay_line
from vitreous.spec.config import ActivationConfig
from vitreous.spec.numbers import ACTIVATION_INPUT
from vitreous.spec.variants import ActivationFunction

_U_BITS = 14
"""From u = 11399 on (SiLU; GELU: 6755) the power is 0, and so is delta."""
_V_BITS = _U_BITS + 2
_ONE_BITS = 15
QUOTIENT_BITS = 15


class ShiftActivation(EvenActivation):
    """``delta = round_shift(u * q, 25 - f)``, ``q = floor(e * 2**15 / (2**15 + e))``.

    Latency: 21 cycles.

    All else: ``ActivationUnit``.
    """

    @staticmethod
    def delta_latency(config: ActivationConfig) -> int:
        """Cycles from ``u`` to the halves."""
        return 3 + QUOTIENT_BITS + 1

    def _build_delta(self, m: Module, lane: int, u: Value, enable: list[Any]) -> Value:
        near = delay_line(m, u[:_U_BITS], 4 + QUOTIENT_BITS, name=f"near_{lane}", reset_less=True)
        power = self._build_power(m, lane, near[1], u[_U_BITS:].any(), enable)
        quotient = self._build_division(m, lane, power)
        # Cycle 20: delta is below 0.28.
        shift = 2 * ACTIVATION_INPUT.fraction + 5 - self.config.fraction_bits
        halves = Signal(self.config.fraction_bits, name=f"halves_{lane}", reset_less=True)
        m.d.sync += halves.eq((near[-1] * quotient) >> (shift - 1))
        return ~halves

    def _build_power(self, m: Module, lane: int, near: Value, far: Value, enable: list[Any]) -> Signal:
        """Cycles 2 to 4."""
        outside = delay_line(m, ~enable[0] | far, 3, name=f"outside_{lane}", reset_less=True)
        # Cycle 2
        k = Signal(_U_BITS + 1, name=f"k_{lane}", reset_less=True)
        match self.config.function:
            case ActivationFunction.GELU | ActivationFunction.GELU_TANH | ActivationFunction.QUICK_GELU:
                m.d.sync += k.eq(near + (near >> 1) + (near >> 3) + (near >> 4))
            case ActivationFunction.SILU:
                m.d.sync += k.eq(near)
            case _:
                assert_never(self.config.function)
        # Cycle 3
        v = Signal(_V_BITS, name=f"v_{lane}", reset_less=True)
        m.d.sync += v.eq(k + (k >> 1) - (k >> 4))
        # Cycle 4
        power = Signal(_ONE_BITS + 1, name=f"power_{lane}_0", reset_less=True)
        whole, fraction = v[ACTIVATION_INPUT.fraction :], v[: ACTIVATION_INPUT.fraction]
        chord = Cat(
            Const(0, 4), ((2 << ACTIVATION_INPUT.fraction) - fraction)[: ACTIVATION_INPUT.fraction + 2]
        )
        zero = outside[3] | whole[4:].any()
        m.d.sync += power.eq(Mux(zero, 0, chord >> whole[:4]))
        return power

    def _build_division(self, m: Module, lane: int, power: Signal) -> Signal:
        """Cycles 5 to 19: ``quotient * (2**15 + e) + remainder = e * 2**step``, the remainder below the divisor."""
        remainder, quotient = power, Signal(0, name="quotient")
        for step in range(1, QUOTIENT_BITS + 1):
            doubled = Cat(Const(0, 1), remainder)
            divisor = Signal(_ONE_BITS + 2, name=f"divisor_{lane}_{step}")
            difference = Signal(_ONE_BITS + 3, name=f"difference_{lane}_{step}")
            m.d.comb += [divisor.eq(power + (1 << _ONE_BITS)), difference.eq(doubled - divisor)]
            fits = ~difference[-1]
            following = [
                Signal(bits, name=f"{name}_{lane}_{step}", reset_less=True)
                for name, bits in (("power", _ONE_BITS + 1), ("remainder", _ONE_BITS + 1), ("quotient", step))
            ]
            m.d.sync += [
                following[0].eq(power),
                following[1].eq(Mux(fits, difference, doubled)),
                following[2].eq(Cat(fits, quotient)),
            ]
            power, remainder, quotient = following
        return quotient
