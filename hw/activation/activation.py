"""GELU and SiLU behind one interface: the configuration selects the variant (docs/numerics.md)."""

from __future__ import annotations

from amaranth.hdl import Module

from vitreous.hw.activation.delta import DeltaGelu
from vitreous.hw.activation.poly import PolyGelu
from vitreous.hw.activation.shift import ShiftGelu
from vitreous.hw.activation.table import TableGelu
from vitreous.hw.activation.unit import GeluUnit
from vitreous.spec.config import GeluConfig

VARIANTS: dict[str, type[GeluUnit]] = {
    "delta": DeltaGelu,
    "poly": PolyGelu,
    "shift": ShiftGelu,
    "table": TableGelu,
}


class Gelu(GeluUnit):
    """The unit of ``config.variant``; ports, parameters and errors are those of ``GeluUnit``.

    Latency: ``latency(config)`` cycles: 4 for ``delta`` (3 without interpolation), 5 for ``poly``, 21 for ``shift``,
    2 for ``table``.
    Throughput: one column a cycle.
    Back-pressure: none.

    Raises ValueError when ``lanes`` is not positive.
    """

    @staticmethod
    def latency(config: GeluConfig) -> int:
        """Cycles from ``x`` to ``y``."""
        return VARIANTS[config.variant].latency(config)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = unit = VARIANTS[self.config.variant](self.config, lanes=self.lanes)
        m.d.comb += [unit.enable.eq(self.enable), unit.x.eq(self.x), self.y.eq(unit.y)]
        return m
