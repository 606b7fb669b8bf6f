"""Bias, multiplier and shift of a column's N lanes, from one of the four sources that an instruction can name."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.numbers import ACCUMULATOR_BITS, MULTIPLIER_BITS, SHIFT_BITS


class ParameterWord(data.StructLayout):
    """A word of P, derived from ``isa.PARAMETER_FIELDS``."""

    def __init__(self) -> None:
        members = {f.name: signed(f.width) if f.signed else unsigned(f.width) for f in isa.PARAMETER_FIELDS}
        used = sum(f.width for f in isa.PARAMETER_FIELDS)
        super().__init__({**members, "padding": 8 * isa.PARAMETER_BYTES - used})


class Parameters(wiring.Component):
    """COLUMN and TENSOR: ``word`` for all lanes; LANE: the lane's register; SOFTMAX: bias 0 and the row's scale.

    Latency: ``LATENCY`` cycle from ``scale`` and ``word`` to the outputs.
    Throughput: one column a cycle.
    Back-pressure: none.

    Parameters
    ----------
    config : gives N.

    Members
    -------
    word : In, the word of P that was asked for in the cycle before.
    lane_valid, lane : In, ``word`` belongs to the register of this lane.
    scale : In, ``isa.Scale`` of the column.
    row_multiplier, row_shift : In, of the column's softmax rows.
    bias, multiplier, shift : Out, for each lane.
    """

    LATENCY = 1

    def __init__(self, config: AcceleratorConfig) -> None:
        self.lanes = lanes = config.array.lanes
        super().__init__(
            {
                "word": In(ParameterWord()),
                "lane_valid": In(1),
                "lane": In(range(lanes)),
                "scale": In(2),
                "row_multiplier": In(data.ArrayLayout(MULTIPLIER_BITS, lanes)),
                "row_shift": In(data.ArrayLayout(SHIFT_BITS, lanes)),
                "bias": Out(data.ArrayLayout(signed(ACCUMULATOR_BITS), lanes)),
                "multiplier": Out(data.ArrayLayout(MULTIPLIER_BITS, lanes)),
                "shift": Out(data.ArrayLayout(SHIFT_BITS, lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        by_lane, by_row = Signal(), Signal()
        m.d.comb += [by_lane.eq(self.scale == isa.Scale.LANE), by_row.eq(self.scale == isa.Scale.SOFTMAX)]
        for lane in range(self.lanes):
            own = Signal(ParameterWord(), name=f"lane_{lane}", reset_less=True)
            m.d.sync += own.eq(Mux(self.lane_valid & (self.lane == lane), self.word, own))
            rows = {"bias": 0, "multiplier": self.row_multiplier[lane], "shift": self.row_shift[lane]}
            for name, row in rows.items():
                shape = (
                    signed(ACCUMULATOR_BITS)
                    if name == "bias"
                    else unsigned(len(Value.cast(getattr(own, name))))
                )
                chosen = Signal(shape, name=f"{name}_{lane}", reset_less=True)
                m.d.sync += chosen.eq(
                    Mux(by_row, row, Mux(by_lane, getattr(own, name), getattr(self.word, name)))
                )
                m.d.comb += getattr(self, name)[lane].eq(chosen)
        return m
