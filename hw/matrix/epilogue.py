"""The epilogue: what happens to a column between the accumulators and its destination, in one fixed latency.

Stages, with an activation of G cycles:
    1           bias
    2 - 4       requantize to int8, to int16 (residual stream, the activation's input) or to a score
    5 - 4+G     activation, or past it, with its fraction bits
    5+G - 7+G   requantize its result to int8; anything else loses the fraction bits again
    8+G         ReLU, residual addition
"""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.activation.activation import SmoothActivation
from vitreous.hw.arith.delay import delay_line
from vitreous.hw.arith.requantize import Requantize, Saturation
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Activation
from vitreous.spec.numbers import ACCUMULATOR_BITS, INT16, MULTIPLIER_BITS, SHIFT_BITS


class EpilogueControl(data.StructLayout):
    """What is done to a column: it travels with it.

    saturation : ``Saturation`` of the destination (an activation has its own).
    activation : ``spec.isa.Activation``.
    zero_point, multiplier, shift : of the activation's result; ``zero_point`` also of int8 without an activation.
    residual : add ``residual``, saturating to int16.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "saturation": 2,
                "activation": 2,
                "zero_point": signed(8),
                "multiplier": MULTIPLIER_BITS,
                "shift": SHIFT_BITS,
                "residual": 1,
            }
        )


class Stages(NamedTuple):
    """Cycles from a column to the inputs of its first requantization, of the activation, of the second
    requantization, and to its last cycle, which adds the residual."""

    first: int
    smooth: int
    second: int
    end: int

    @classmethod
    def of(cls, config: AcceleratorConfig) -> Stages:
        """They depend on the activation's variant."""
        first = 1  # cycle 1 adds the bias
        smooth = first + Requantize.LATENCY
        second = smooth + SmoothActivation.latency(config.activation)
        return cls(first=first, smooth=smooth, second=second, end=second + Requantize.LATENCY)


class ControlLine(NamedTuple):
    """The control of the column that is at this stage of ``Stages``; ``before_end``: one cycle before the last, when
    the residual comes out of its memory into a register."""

    at_first: data.View[EpilogueControl]
    at_smooth: data.View[EpilogueControl]
    at_second: data.View[EpilogueControl]
    before_end: data.View[EpilogueControl]
    at_end: data.View[EpilogueControl]


class Epilogue(wiring.Component):
    """``o = residual? + activation(requantize(acc + bias))`` for each lane of a column (docs/machine.md, MATMUL).

    Latency: ``latency(config)`` cycles for every kind of column; ``residual`` is taken ``residual_latency(config)``
    cycles after its column.
    Throughput: one column a cycle, of any mixture of kinds.
    Back-pressure: none.

    Parameters
    ----------
    config : gives ``array.lanes`` (N) and the activation.

    Members
    -------
    valid, o_valid : In, Out, a column is here.
    acc, bias : In, N accumulators and biases; their sum must fit 32 bits.
    multiplier, shift : In, of the first requantization, for each lane.
    control : In, ``EpilogueControl`` of this column.
    residual : In, the old residual stream of the column that came ``residual_latency(config)`` cycles ago.
    o : Out, the result, sign-extended to 16 bits.
    """

    @staticmethod
    def latency(config: AcceleratorConfig) -> int:
        """Cycles from a column to its result; they depend on the GELU."""
        return Stages.of(config).end + 1

    @staticmethod
    def residual_latency(config: AcceleratorConfig) -> int:
        """Cycles from a column to its ``residual``."""
        return Stages.of(config).end - 1

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.lanes = lanes = config.array.lanes
        super().__init__(
            {
                "valid": In(1),
                "acc": In(data.ArrayLayout(signed(ACCUMULATOR_BITS), lanes)),
                "bias": In(data.ArrayLayout(signed(ACCUMULATOR_BITS), lanes)),
                "multiplier": In(data.ArrayLayout(MULTIPLIER_BITS, lanes)),
                "shift": In(data.ArrayLayout(SHIFT_BITS, lanes)),
                "control": In(EpilogueControl()),
                "residual": In(data.ArrayLayout(signed(16), lanes)),
                "o_valid": Out(1),
                "o": Out(data.ArrayLayout(signed(16), lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = delay_line(m, self.valid, self.latency(self.config), name="valid")
        control = self._build_control(m)
        m.submodules.first = first = Requantize(lanes=self.lanes, width=ACCUMULATOR_BITS)
        m.submodules.activation = activation = SmoothActivation(self.config.activation, lanes=self.lanes)
        m.submodules.second = second = Requantize(lanes=self.lanes, width=activation.width)
        self._build_first(m, first, control.at_first)
        m.d.comb += [
            activation.enable.eq(control.at_smooth.activation == Activation.SMOOTH),
            activation.x.eq(first.o),
        ]
        self._build_second(m, activation, second, control.at_second)
        self._build_end(m, second, control.at_end, control.before_end)
        m.d.comb += self.o_valid.eq(valid[-1])
        return m

    def _build_control(self, m: Module) -> ControlLine:
        """The control of a column travels with it."""
        stages = Stages.of(self.config)
        line = delay_line(m, self.control, stages.end, name="control", reset_less=True)
        return ControlLine(
            at_first=line[stages.first],
            at_smooth=line[stages.smooth],
            at_second=line[stages.second],
            before_end=line[stages.end - 1],
            at_end=line[stages.end],
        )

    def _build_first(self, m: Module, first: Requantize, control: data.View[EpilogueControl]) -> None:
        """Cycle 1: bias. Cycles 2 to 4: requantize."""
        for lane in range(self.lanes):
            acc = Signal(signed(ACCUMULATOR_BITS), name=f"acc_{lane}", reset_less=True)
            multiplier = Signal(MULTIPLIER_BITS, name=f"multiplier_{lane}", reset_less=True)
            shift = Signal(SHIFT_BITS, name=f"shift_{lane}", reset_less=True)
            m.d.sync += [
                acc.eq(self.acc[lane] + self.bias[lane]),
                multiplier.eq(self.multiplier[lane]),
                shift.eq(self.shift[lane]),
            ]
            m.d.comb += [
                first.acc[lane].eq(acc),
                first.multiplier[lane].eq(multiplier),
                first.shift[lane].eq(shift),
            ]
        is_smooth = control.activation == Activation.SMOOTH
        m.d.comb += first.saturation.eq(Mux(is_smooth, Saturation.INT16, control.saturation))
        with m.If(~is_smooth & (control.saturation == Saturation.INT8)):
            m.d.comb += first.zero_point.eq(control.zero_point)

    def _build_second(
        self, m: Module, activation: SmoothActivation, second: Requantize, control: data.View[EpilogueControl]
    ) -> None:
        """The activation's result to int8. Any other column passes: ``(x << b) * 2`` shifted by ``b + 1`` is x."""
        is_smooth = control.activation == Activation.SMOOTH
        for lane in range(self.lanes):
            m.d.comb += [
                second.acc[lane].eq(activation.y[lane]),
                second.multiplier[lane].eq(Mux(is_smooth, control.multiplier, 2)),
                second.shift[lane].eq(Mux(is_smooth, control.shift, activation.scale_bits + 1)),
            ]
        m.d.comb += [
            second.saturation.eq(Mux(is_smooth, Saturation.INT8, Saturation.INT16)),
            second.zero_point.eq(Mux(is_smooth, control.zero_point, 0)),
        ]

    def _build_end(
        self,
        m: Module,
        second: Requantize,
        control: data.View[EpilogueControl],
        before: data.View[EpilogueControl],
    ) -> None:
        """Last cycle: ReLU bounds the result at the zero point, the residual addition at int16's ends."""
        minimum = Signal(signed(16))
        m.d.comb += minimum.eq(Mux(control.activation == Activation.RELU, control.zero_point, INT16.minimum))
        for lane in range(self.lanes):
            total = Signal(signed(17), name=f"total_{lane}")
            o = Signal(signed(16), name=f"o_{lane}", reset_less=True)
            residual = Signal(signed(16), name=f"residual_{lane}", reset_less=True)
            m.d.sync += residual.eq(Mux(before.residual, self.residual[lane], 0))
            m.d.comb += total.eq(second.o[lane] + residual)
            m.d.sync += o.eq(Mux(total < minimum, minimum, Mux(total > INT16.maximum, INT16.maximum, total)))
            m.d.comb += self.o[lane].eq(o)
