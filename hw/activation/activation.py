"""GELU and SiLU behind one interface: the configuration selects the variant (docs/numerics.md)."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Module

from vitreous.hw.activation.delta import DeltaActivation
from vitreous.hw.activation.poly import PolyActivation
from vitreous.hw.activation.shift import ShiftActivation
from vitreous.hw.activation.table import TableActivation
from vitreous.hw.activation.unit import ActivationUnit
from vitreous.spec.config import ActivationConfig
from vitreous.spec.variants import ActivationVariant

VARIANTS: Mapping[ActivationVariant, type[ActivationUnit]] = {
    ActivationVariant.DELTA: DeltaActivation,
    ActivationVariant.POLY: PolyActivation,
    ActivationVariant.SHIFT: ShiftActivation,
    ActivationVariant.TABLE: TableActivation,
}


class SmoothActivation(ActivationUnit):
    """The unit of ``config.variant``; ports, parameters and errors are those of ``ActivationUnit``.

    Latency: ``latency(config)`` cycles: 4 for ``delta`` (3 without interpolation), 5 for ``poly``, 21 for ``shift``,
    2 for ``table``.
    Throughput: one column a cycle.
    Back-pressure: none.

    Raises ValueError when ``lanes`` is not positive.
    """

    @staticmethod
    def latency(config: ActivationConfig) -> int:
        """Cycles from ``x`` to ``y``."""
        return VARIANTS[config.variant].latency(config)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = unit = VARIANTS[self.config.variant](self.config, lanes=self.lanes)
        m.d.comb += [unit.enable.eq(self.enable), unit.x.eq(self.x), self.y.eq(unit.y)]
        return m
