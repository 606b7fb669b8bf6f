"""The epilogue: what happens to a column between the accumulators and its destination, in one fixed latency.

Stages, with an activation of G cycles:
    1           bias
    2 - 4       requantize to int8, to int16 (residual stream, the activation's input) or to a score
    5 - 4+G     activation, or past it, with its fraction bits; what a score has above its input goes beside it
    5+G - 7+G   requantize its result to int8; anything else loses the fraction bits again
    8+G         ReLU, residual addition
"""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.activation.activation import SmoothActivation
from vitreous.hw.arith.delay import delay_line
from vitreous.hw.arith.requantize import FORMATS, WIDEST, Requantize, Saturation
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Activation
from vitreous.spec.numbers import (
    ACCUMULATOR_BITS,
    ACTIVATION_INPUT,
    INT16,
    MULTIPLIER_BITS,
    SHIFT_BITS,
)

RESULT = FORMATS[WIDEST]
"""What any result of the epilogue fits."""
_ABOVE_BITS = RESULT.width - ACTIVATION_INPUT.width
"""Of a requantized value, above the activation's input."""


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
    acc, bias, carry : In, N accumulators, biases and single bits; their sum must fit 32 bits. total : Out, one cycle
        later, this sum.
    multiplier, shift : In, of the first requantization, for each lane.
    control : In, ``EpilogueControl`` of this column.
    residual : In, the old residual stream of the column that came ``residual_latency(config)`` cycles ago.
    o : Out, the result, sign-extended to ``RESULT``: a score is as wide, anything else has 16 bits at most.
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
                "carry": In(lanes),
                "total": Out(data.ArrayLayout(signed(ACCUMULATOR_BITS), lanes)),
                "multiplier": In(data.ArrayLayout(MULTIPLIER_BITS, lanes)),
                "shift": In(data.ArrayLayout(SHIFT_BITS, lanes)),
                "control": In(EpilogueControl()),
                "residual": In(data.ArrayLayout(signed(INT16.width), lanes)),
                "o_valid": Out(1),
                "o": Out(data.ArrayLayout(signed(RESULT.width), lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = delay_line(m, self.valid, self.latency(self.config), name="valid")
        control = self._build_control(m)
        m.submodules.first = first = Requantize(lanes=self.lanes, width=ACCUMULATOR_BITS)
        m.submodules.activation = activation = SmoothActivation(self.config.activation, lanes=self.lanes)
        m.submodules.second = second = Requantize(lanes=self.lanes, width=activation.width + _ABOVE_BITS)
        self._build_first(m, first, control.at_first)
        above = self._build_activation(m, first, activation, control.at_smooth)
        self._build_second(m, activation, above, second, control.at_second)
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
                # One addition: the carry is that of a bit below.
                acc.eq(
                    (Cat(1, self.acc[lane]) + Cat(self.carry[lane], self.bias[lane]))[
                        1 : ACCUMULATOR_BITS + 1
                    ]
                ),
                multiplier.eq(self.multiplier[lane]),
                shift.eq(self.shift[lane]),
            ]
            m.d.comb += [
                self.total[lane].eq(acc),
                first.acc[lane].eq(acc),
                first.multiplier[lane].eq(multiplier),
                first.shift[lane].eq(shift),
            ]
        is_smooth = control.activation == Activation.SMOOTH
        m.d.comb += first.saturation.eq(Mux(is_smooth, Saturation.INT16, control.saturation))
        with m.If(~is_smooth & (control.saturation == Saturation.INT8)):
            m.d.comb += first.zero_point.eq(control.zero_point)

    def _build_activation(
        self, m: Module, first: Requantize, activation: SmoothActivation, control: data.View[EpilogueControl]
    ) -> list[Value]:
        """Cycles 5 to 4+G. Returns for each lane the bits of a result that the activation has no room for."""
        m.d.comb += activation.enable.eq(control.activation == Activation.SMOOTH)
        for lane in range(self.lanes):
            m.d.comb += activation.x[lane].eq(first.o[lane])
        beside = Cat(first.o[lane][ACTIVATION_INPUT.width :] for lane in range(self.lanes))
        latency = SmoothActivation.latency(self.config.activation)
        above = delay_line(m, beside, latency, name="above", reset_less=True)[-1]
        return [above.word_select(lane, _ABOVE_BITS) for lane in range(self.lanes)]

    def _build_second(
        self,
        m: Module,
        activation: SmoothActivation,
        above: list[Value],
        second: Requantize,
        control: data.View[EpilogueControl],
    ) -> None:
        """The activation's result to int8. Any other column passes: ``(x << b) * 2`` shifted by ``b + 1`` is x."""
        is_smooth = control.activation == Activation.SMOOTH
        for lane in range(self.lanes):
            sign = activation.y[lane][-1].replicate(_ABOVE_BITS)
            m.d.comb += [
                second.acc[lane].eq(Cat(activation.y[lane], Mux(is_smooth, sign, above[lane]))),
                second.multiplier[lane].eq(Mux(is_smooth, control.multiplier, 2)),
                second.shift[lane].eq(Mux(is_smooth, control.shift, activation.scale_bits + 1)),
            ]
        m.d.comb += [
            second.saturation.eq(Mux(is_smooth, Saturation.INT8, WIDEST)),
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
        minimum = Signal(signed(RESULT.width))
        least = Mux(control.residual, INT16.minimum, RESULT.minimum)
        m.d.comb += minimum.eq(Mux(control.activation == Activation.RELU, control.zero_point, least))
        for lane in range(self.lanes):
            total = Signal(signed(RESULT.width + 1), name=f"total_{lane}")
            o = Signal(signed(RESULT.width), name=f"o_{lane}", reset_less=True)
            residual = Signal(signed(INT16.width), name=f"residual_{lane}", reset_less=True)
            m.d.sync += residual.eq(Mux(before.residual, self.residual[lane], 0))
            m.d.comb += total.eq(second.o[lane] + residual)
            above = control.residual & (total > INT16.maximum)
            m.d.sync += o.eq(Mux(total < minimum, minimum, Mux(above, INT16.maximum, total)))
            m.d.comb += self.o[lane].eq(o)
