"""GELU by ``poly`` (docs/numerics.md): I-BERT's second-order erf, as relu(x) minus ``factor * u * (edge - u)**2``.

Stages:
    1  u = |x|
    2  w = max(0, edge - u)
    3  w * w, u times factor
    4  halves of delta: the product of both
    5  relu(x) - delta
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed

from vitreous.hw.activation.unit import EvenActivation
from vitreous.spec.config import ActivationConfig
from vitreous.spec.numbers import ACTIVATION_INPUT
from vitreous.spec.tables import GELU_POLY_BITS, GELU_POLY_EDGE, GELU_POLY_FACTOR

_EDGE_BITS = GELU_POLY_EDGE.bit_length()


class PolyActivation(EvenActivation):
    """``delta = round_shift(((w * w) >> 10) * min(u, edge) * factor, 20 + 14 - f)``, ``w = max(0, edge - u)``.

    From ``edge`` on ``w`` is 0, so the minimum needs no comparison of its own.

    Latency: 5 cycles.

    All else: ``ActivationUnit``.
    """

    @staticmethod
    def delta_latency(config: ActivationConfig) -> int:
        """Cycles from ``u`` to delta."""
        return 3

    def _build_delta(self, m: Module, lane: int, u: Value, enable: list[Any]) -> Value:
        # Cycle 1
        near = Signal(_EDGE_BITS, name=f"near_{lane}", reset_less=True)
        outside = Signal(name=f"outside_{lane}", reset_less=True)
        m.d.sync += [near.eq(u), outside.eq(~enable[0] | u[_EDGE_BITS:].any())]
        # Cycle 2
        left = Signal(signed(_EDGE_BITS + 1), name=f"left_{lane}")
        w = Signal(_EDGE_BITS, name=f"w_{lane}", reset_less=True)
        factor = Signal(_EDGE_BITS, name=f"factor_{lane}", reset_less=True)
        m.d.comb += left.eq(GELU_POLY_EDGE - near)
        m.d.sync += [w.eq(Mux((left < 0) | outside, 0, left)), factor.eq(near)]
        # Cycle 3
        square = Signal(2 * _EDGE_BITS - 10, name=f"square_{lane}", reset_less=True)
        scaled_bits = ((1 << _EDGE_BITS) * GELU_POLY_FACTOR).bit_length()
        scaled = Signal(scaled_bits, name=f"scaled_{lane}", reset_less=True)
        m.d.sync += [square.eq((w * w) >> 10), scaled.eq(factor * GELU_POLY_FACTOR)]
        # Cycle 4: delta is below 0.17.
        shift = 2 * ACTIVATION_INPUT.fraction + GELU_POLY_BITS - self.config.fraction_bits
        halves = Signal(self.config.fraction_bits - 1, name=f"halves_{lane}", reset_less=True)
        m.d.sync += halves.eq((square * scaled) >> (shift - 1))
        return ~halves
