"""What every smooth activation has in common: its ports, and relu minus an even function (docs/numerics.md)."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.checks import positive
from vitreous.spec.config import ActivationConfig
from vitreous.spec.numbers import ACTIVATION_INPUT


class ActivationUnit(wiring.Component):
    """``y = function(x)`` for each lane where ``enable``, else ``y = x << scale_bits``.

    ``x`` is Q6.10, ``y`` is Q6.``fraction_bits``: without ``enable`` it is the same number, which costs no multiplexer.

    Latency: ``latency(config)`` cycles.
    Throughput: one column a cycle.
    Back-pressure: none.

    Parameters
    ----------
    config : function, variant and its numbers.
    lanes : values in a column.

    Members
    -------
    enable : In, with the column.
    x : In, Q6.10.
    y : Out, ``width`` bits.

    Raises ValueError when ``lanes`` is not positive.
    """

    def __init__(self, config: ActivationConfig, *, lanes: int) -> None:
        self.config, self.lanes = config, positive("Lanes", lanes)
        self.scale_bits = config.fraction_bits - ACTIVATION_INPUT.fraction
        self.width = ACTIVATION_INPUT.width + self.scale_bits
        super().__init__(
            {
                "enable": In(1),
                "x": In(data.ArrayLayout(signed(ACTIVATION_INPUT.width), lanes)),
                "y": Out(data.ArrayLayout(signed(self.width), lanes)),
            }
        )

    @staticmethod
    @abstractmethod
    def latency(config: ActivationConfig) -> int:
        """Cycles from ``x`` to ``y``."""


class EvenActivation(ActivationUnit):
    """``y = (max(x, 0) << scale_bits) - delta(|x|)``; a variant adds its delta, as the complement of its halves.

    ``delta = round_shift(z, n)`` is ``(h + 1) >> 1`` of its halves ``h = z >> (n - 1)``, and subtracting that is
    ``(2 * relu(x) - h) >> 1 = (2 * relu(x) + 1 + ~h) >> 1``: one adder rounds as well. ``~h`` comes from a register
    and relu is a mask, so that a bit of the sum is one LUT and its carry.

    Stages:
        1      u = |x|
        2 ..   ~h, ``delta_latency(config)`` cycles
        last   relu(x) - delta
    """

    @staticmethod
    @abstractmethod
    def delta_latency(config: ActivationConfig) -> int:
        """Cycles from ``u`` to ``~h``."""

    @classmethod
    def latency(cls, config: ActivationConfig) -> int:
        """Cycles from ``x`` to ``y``."""
        return 1 + cls.delta_latency(config) + 1

    @abstractmethod
    def _build_delta(self, m: Module, lane: int, u: Value, enable: list[Any]) -> Value:
        """``~h`` of a delta that is 0 where not enabled. ``h`` is never negative: the sign of ``~h`` is left out.

        ``u`` and ``enable[0]`` are those of cycle 1, before its register.
        """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._build_shared(m)
        behind = self.latency(self.config) - 1
        enable = delay_line(m, self.enable, behind, name="enable", reset_less=True)
        for lane in range(self.lanes):
            x = delay_line(m, self.x[lane], behind, name=f"x_{lane}", reset_less=True)
            # Cycle 1
            u = Signal(ACTIVATION_INPUT.width, name=f"u_{lane}")  # |-32768| = 32768 fits, u has no sign
            negative = self.x[lane] < 0
            m.d.comb += u.eq((self.x[lane] ^ negative.replicate(len(u))).as_unsigned() + negative)
            complement = self._build_delta(m, lane, u, enable)
            # Last cycle
            hidden = (enable[-1] & (x[-1] < 0)).replicate(ACTIVATION_INPUT.width)
            positive = Cat(Const(1, self.scale_bits + 1), x[-1] & ~hidden).as_signed()
            y = Signal(signed(self.width), name=f"y_{lane}", reset_less=True)
            m.d.sync += y.eq((Cat(complement, Const(1, 1)).as_signed() + positive) >> 1)
            m.d.comb += self.y[lane].eq(y)
        return m

    def _build_shared(self, m: Module) -> None:
        """What all lanes share."""
