"""GELU and SiLU by ``delta`` (docs/numerics.md): relu(x) minus an even, short function from a table.

The interpolated table is two memories, of its even and its odd values, so that every value is stored once and both ends
of an interval come in one cycle. In an odd interval the even value is the *right* end: counting the position from
there, ``32 - r``, gives the same number without exchanging the two.

Stages, interpolated:
    1  u = |x|
    2  even value, odd value, position from the even one
    3  (odd - even) times position
    4  relu(x) - delta
Stages, not interpolated:
    1  u = |x|
    2  delta
    3  relu(x) - delta
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from vitreous.hw.activation.unit import EvenActivation
from vitreous.spec.config import ActivationConfig
from vitreous.spec.numbers import ACTIVATION_INPUT
from vitreous.spec.tables import activation_delta


class DeltaActivation(EvenActivation):
    """Delta from a table, linear between its values or constant over a step; 0 from ``entries`` on.

    Latency: 4 cycles, 3 without interpolation.

    All else: ``ActivationUnit``.
    """

    @staticmethod
    def delta_latency(config: ActivationConfig) -> int:
        """Cycles from ``u`` to delta."""
        return 2 if config.interpolate else 1

    @staticmethod
    def table_bits(config: ActivationConfig) -> int:
        """Bits of the values that are stored, each once; the padding to a power of two is constant and not stored."""
        table = activation_delta(config)
        return len(table) * max(table).bit_length()

    def _build_shared(self, m: Module) -> None:
        self._table = table = activation_delta(self.config)
        self._index_bits = max(1, (self.config.entries - 1).bit_length())
        self._value_bits = max(table).bit_length()
        halves = {"even": table[::2], "odd": table[1::2]} if self.config.interpolate else {"table": table}
        bits = self._index_bits - (1 if self.config.interpolate else 0)
        # Zeros beyond the end; an even value that the address cannot reach is the last of all, 0.
        self._values = {name: values[: 1 << bits] for name, values in halves.items()}
        self._depth = 1 << max(bits, 1)

    def _port(self, m: Module, name: str, lane: int) -> wiring.PureInterface:
        """Of a lane's own copy: tools that make one table with a port for each lane take hours over many lanes."""
        memory = Memory(shape=self._value_bits, depth=self._depth, init=self._values[name])
        m.submodules[f"{name}_{lane}"] = memory
        return memory.read_port()

    def _build_delta(self, m: Module, lane: int, u: Value, enable: list[Any]) -> Value:
        fine = ACTIVATION_INPUT.fraction - self.config.step_bits
        # Cycle 1
        near = Signal(fine + self._index_bits, name=f"near_{lane}", reset_less=True)
        outside = Signal(name=f"outside_{lane}", reset_less=True)
        m.d.sync += [near.eq(u), outside.eq(~enable[0] | u[len(near) :].any())]
        build = self._build_interpolated if self.config.interpolate else self._build_constant
        return build(m, lane, near[:fine], near[fine:], outside)

    def _build_constant(self, m: Module, lane: int, fraction: Value, index: Value, outside: Signal) -> Value:
        # Cycle 2
        table = self._port(m, "table", lane)
        zero = Signal(name=f"zero_{lane}", reset_less=True)
        m.d.comb += table.addr.eq(index)
        m.d.sync += zero.eq(outside)
        return Cat(Const(1, 1), ~table.data | zero.replicate(self._value_bits))

    def _build_interpolated(
        self, m: Module, lane: int, fraction: Value, index: Value, outside: Signal
    ) -> Value:
        fine = len(fraction)
        # Cycle 2
        even, odd = self._port(m, "even", lane), self._port(m, "odd", lane)
        above = Signal(self._index_bits + 1, name=f"above_{lane}")
        position = Signal(fine + 1, name=f"position_{lane}", reset_less=True)
        no_even = Signal(name=f"no_even_{lane}", reset_less=True)
        m.d.comb += [
            above.eq(index + 1),
            even.addr.eq(above[1 : self._index_bits]),
            odd.addr.eq(index[1:]),
        ]
        m.d.sync += [
            position.eq((fraction ^ index[0].replicate(fine)) + index[0]),
            no_even.eq(outside | above[-1]),
        ]
        with m.If(outside):
            m.d.sync += position.eq(0)
        # Cycle 3: only the bits of the product that the halves need.
        left = even.data & ~no_even.replicate(self._value_bits)
        largest = max(abs(b - a) for a, b in pairwise(self._table))
        difference = Signal(signed(largest.bit_length() + 1), name=f"difference_{lane}")
        product = Signal(signed(len(difference) + fine), name=f"product_{lane}")
        rest = Signal(signed(len(difference) + 1), name=f"rest_{lane}", reset_less=True)
        not_left = Signal(self._value_bits, name=f"not_left_{lane}", reset_less=True)
        m.d.comb += [difference.eq(odd.data - left), product.eq(difference * position)]
        m.d.sync += [rest.eq(product >> (fine - 1)), not_left.eq(~left)]
        # Cycle 4: h = 2 * left + rest is between two values of the table, so it is not negative.
        complement = Signal(self._value_bits + 1, name=f"complement_{lane}")
        m.d.comb += complement.eq(Cat(Const(1, 1), not_left) - rest)
        return complement
