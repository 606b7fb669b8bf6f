"""Bias, multiplier and shift of a column's N lanes, from one of the four sources that an instruction can name."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.numbers import ACCUMULATOR_BITS, MULTIPLIER_BITS, SHIFT_BITS

_PARAMETER_BITS = sum(f.width for f in isa.PARAMETER_FIELDS)


class ParameterWord(data.StructLayout):
    """A word of P, derived from ``isa.PARAMETER_FIELDS``."""

    def __init__(self) -> None:
        members = {f.name: signed(f.width) if f.signed else unsigned(f.width) for f in isa.PARAMETER_FIELDS}
        super().__init__({**members, "padding": 8 * isa.PARAMETER_BYTES - _PARAMETER_BITS})


class Parameters(wiring.Component):
    """COLUMN and TENSOR: ``word`` for all lanes; LANE: the lane's register; SOFTMAX: bias 0 and the row's scale.

    Latency: ``LATENCY`` cycle from ``scale`` and ``word`` to the outputs; 0 from ``row_multiplier`` and ``row_shift``.
    Throughput: one column a cycle.
    Back-pressure: none.

    Parameters
    ----------
    config : gives N.

    Members
    -------
    word : In, the word of P that was asked for in the previous cycle.
    lane_valid, lane : In, ``word`` belongs to the register of this lane.
    scale : In, ``isa.Scale`` of the column.
    row_multiplier, row_shift : In, of the softmax rows of the column whose ``scale`` came in the previous cycle.
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
        # The choice is not registered: it is one LUT with the addition of the bias that follows.
        word = Signal(ParameterWord(), name="column_word", reset_less=True)
        by_lane, by_row = Signal(reset_less=True, name="by_lane"), Signal(reset_less=True, name="by_row")
        m.d.sync += [
            word.eq(self.word),
            by_lane.eq(self.scale == isa.Scale.LANE),
            by_row.eq(self.scale == isa.Scale.SOFTMAX),
        ]
        used = _PARAMETER_BITS
        # A register for each lane, in distributed memory: of its two words only the first is used.
        own = Memory(shape=used * self.lanes, depth=2, init=[], attrs={"ram_style": "distributed"})
        m.submodules.own = own
        write, read = own.write_port(granularity=used), own.read_port(domain="comb")
        here = Signal(self.lanes)
        m.d.comb += [
            here.eq(Mux(self.lane_valid, 1 << self.lane, 0)),
            write.en.eq(here),
            write.data.eq(self.word.as_value()[:used].replicate(self.lanes)),
        ]
        for lane in range(self.lanes):
            kept = data.View(
                ParameterWord(),
                Cat(read.data.word_select(lane, used), Const(0, 8 * isa.PARAMETER_BYTES - used)),
            )
            rows = {"bias": 0, "multiplier": self.row_multiplier[lane], "shift": self.row_shift[lane]}
            for name, row in rows.items():
                choice = Mux(by_row, row, Mux(by_lane, getattr(kept, name), getattr(word, name)))
                m.d.comb += getattr(self, name)[lane].eq(choice)
        return m
