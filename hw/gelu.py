"""GELU by ``delta`` (docs/numerics.md): relu(x) minus an even, short function from an interpolated table.

Stages:
    1  u = |x|
    2  table word (T[i], T[i+1] - T[i]) of the interval
    3  slope times fraction
    4  interpolated delta
    5  relu(x) - delta
"""

from __future__ import annotations

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vitreous.hw.delay import delay_line
from vitreous.spec.config import GeluConfig
from vitreous.spec.numbers import GELU_INPUT
from vitreous.spec.tables import gelu_delta


def _word_layout(table: tuple[int, ...]) -> data.StructLayout:
    """A value and the signed step to the next one, as wide as this table needs."""
    steps = [b - a for a, b in pairwise(table)]
    bits = max(max(steps).bit_length(), (-min(steps) - 1).bit_length()) + 1
    return data.StructLayout({"value": unsigned(max(table).bit_length()), "step": signed(bits)})


class Gelu(wiring.Component):
    """``y = (max(x, 0) << (fraction_bits - 10)) - delta(|x|)`` for each lane; ``y = x`` where not enabled.

    ``x`` is Q6.10, ``y`` Q6.fraction_bits.

    Latency: ``LATENCY`` cycles.
    Throughput: one column a cycle.
    Back-pressure: none.

    Parameters
    ----------
    config : the table's step, range and precision.
    lanes : values in a column.

    Members
    -------
    enable : In, with the column: GELU, else the value passes as it is.
    x : In, Q6.10.
    y : Out, ``width`` bits.

    Raises ValueError when ``lanes`` is not positive.
    """

    LATENCY = 5

    @staticmethod
    def latency(config: GeluConfig) -> int:
        """Cycles from ``x`` to ``y``; it depends on the variant."""
        return Gelu.LATENCY

    def __init__(self, config: GeluConfig, *, lanes: int) -> None:
        if lanes < 1:
            raise ValueError(f"Lanes must be a positive integer, not {lanes!r}")
        self.config, self.lanes = config, lanes
        self.scale_bits = config.fraction_bits - GELU_INPUT.fraction
        self.width = GELU_INPUT.width + self.scale_bits
        super().__init__(
            {
                "enable": In(1),
                "x": In(data.ArrayLayout(signed(GELU_INPUT.width), lanes)),
                "y": Out(data.ArrayLayout(signed(self.width), lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        table = gelu_delta(self.config)
        layout = _word_layout(table)
        index_bits = self.config.entries.bit_length()
        steps = [b - a for a, b in pairwise(table)]
        words = [{"value": v, "step": d} for v, d in zip(table, [*steps, 0], strict=True)]
        # Words from `entries` on are zero: the last one serves every u beyond the range.
        m.submodules.table = memory = Memory(shape=layout, depth=1 << index_bits, init=words)
        enable = delay_line(m, self.enable, self.LATENCY - 1, name="enable", reset_less=True)
        for lane in range(self.lanes):
            self._build_lane(m, lane, memory.read_port(), layout, enable[-1])
        return m

    def _build_lane(
        self, m: Module, lane: int, table: wiring.PureInterface, layout: data.StructLayout, enable: Value
    ) -> None:
        fine = GELU_INPUT.fraction - self.config.step_bits
        x = delay_line(m, self.x[lane], self.LATENCY - 1, name=f"x_{lane}", reset_less=True)
        # Cycle 1
        u = Signal(
            GELU_INPUT.width, name=f"u_{lane}", reset_less=True
        )  # |-32768| = 32768 fits without a sign
        m.d.sync += u.eq(Mux(x[0] < 0, -x[0], x[0]))
        # Cycle 2
        fraction = Signal(fine, name=f"fraction_{lane}", reset_less=True)
        index = u[fine:]
        beyond = index[len(table.addr) :].any().replicate(len(table.addr))
        m.d.comb += table.addr.eq(index[: len(table.addr)] | beyond)
        m.d.sync += fraction.eq(u[:fine])
        # Cycle 3
        step_bits = layout["step"].width
        product = Signal(signed(step_bits + fine), name=f"product_{lane}", reset_less=True)
        value = Signal(layout["value"].width, name=f"value_{lane}", reset_less=True)
        m.d.sync += [product.eq(table.data.step * fraction), value.eq(table.data.value)]
        # Cycle 4: the sum is never negative, it lies between two values of the table.
        delta = Signal(layout["value"].width, name=f"delta_{lane}", reset_less=True)
        half = 1 << (fine - 1)
        m.d.sync += delta.eq((Cat(Const(half, fine), value) + product) >> fine)
        # Cycle 5
        y = Signal(signed(self.width), name=f"y_{lane}", reset_less=True)
        positive = Cat(Const(0, self.scale_bits), Mux(x[-1] < 0, 0, x[-1])[: GELU_INPUT.width])
        m.d.sync += y.eq(Mux(enable, positive - delta, x[-1]))
        m.d.comb += self.y[lane].eq(y)
