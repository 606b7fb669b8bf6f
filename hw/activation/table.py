"""GELU and SiLU by ``table`` (docs/numerics.md): the function itself at the middle of each step, zero or x outside.

Stages:
    1  table word, inside or not
    2  the word, x or 0
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.memory import Memory

from vitreous.hw.activation.unit import ActivationUnit
from vitreous.hw.arith.delay import delay_line
from vitreous.spec.config import ActivationConfig
from vitreous.spec.numbers import ACTIVATION_INPUT
from vitreous.spec.tables import activation_table


class TableActivation(ActivationUnit):
    """``y = T[x >> b]`` inside the range, below it 0 and above it ``x``.

    Latency: 2 cycles.

    All else: ``ActivationUnit``.
    """

    @staticmethod
    def latency(config: ActivationConfig) -> int:
        """Cycles from ``x`` to ``y``."""
        return 2

    def elaborate(self, platform: object) -> Module:
        m = Module()
        entries = self.config.entries
        table = activation_table(self.config)
        # Addressed by the index in two's complement: the values from 0 on first, the negative ones at the end.
        bits = (entries - 1).bit_length() + 1
        gap = (1 << bits) - 2 * entries
        width = 1 + max(max(table).bit_length(), (-min(table) - 1).bit_length())
        words = [*table[entries:], *[0] * gap, *table[:entries]]
        enable = delay_line(m, self.enable, 1, name="enable", reset_less=True)
        for lane in range(self.lanes):
            index = self.x[lane] >> (ACTIVATION_INPUT.fraction - self.config.step_bits)
            m.submodules[f"table_{lane}"] = memory = Memory(shape=signed(width), depth=1 << bits, init=words)
            port = memory.read_port()
            # Cycle 1
            x = Signal(signed(ACTIVATION_INPUT.width), name=f"x_{lane}", reset_less=True)
            inside = Signal(name=f"inside_{lane}", reset_less=True)
            m.d.comb += port.addr.eq(index[:bits])
            m.d.sync += [
                x.eq(self.x[lane]),
                inside.eq(self.enable & (index >= -entries) & (index < entries)),
            ]
            # Cycle 2
            y = Signal(signed(self.width), name=f"y_{lane}", reset_less=True)
            outer = Mux(enable[1] & (x < 0), 0, x)
            m.d.sync += y.eq(Mux(inside, port.data, Cat(Const(0, self.scale_bits), outer[:16]).as_signed()))
            m.d.comb += self.y[lane].eq(y)
        return m
