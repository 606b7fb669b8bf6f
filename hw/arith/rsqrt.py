"""Reciprocal square root (docs/numerics.md, Layer norm): a table seed and one Newton step.

Stages:
    1 - 2  leading one
    3      seed of the normalized number
    4      a = y0 * y0
    5      b = Vn * a
    6      3 - b
    7      y0 * (3 - b) / 2
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.arith.leading_one import LeadingOne
from vitreous.spec.tables import RSQRT_SEED_SHIFT, rsqrt_seed

VARIANCE_BITS = 55
ROOT_BITS = 16
_NORMALIZED_BITS = 18
_SEARCH_BITS = 64


class ReciprocalRoot(wiring.Component):
    """``R / 2**(16 + half_exponent) ~ 1 / sqrt(variance)``, ``half_exponent = (bit_length(variance) - 1) // 2``.

    A root is at most 65530 (a test goes through all normalized numbers), so it needs no saturation.

    Latency: ``LATENCY`` cycles.
    Throughput: one number a cycle.
    Back-pressure: none.

    Members
    -------
    variance : In, at least 1.
    root : Out, ``R``.
    half_exponent : Out, half of the number's exponent, rounded down.
    """

    LATENCY = LeadingOne.LATENCY + 5

    def __init__(self) -> None:
        super().__init__(
            {
                "variance": In(VARIANCE_BITS),
                "root": Out(ROOT_BITS),
                "half_exponent": Out(range(_SEARCH_BITS // 2)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.leading_one = leading = LeadingOne(width=_SEARCH_BITS)
        m.d.comb += leading.i.eq(self.variance)
        # The exponent is made even, so the leading one goes to bit 16 or 17 of 18.
        normalized = Mux(
            leading.exponent[0], leading.o[-_NORMALIZED_BITS:], leading.o[-(_NORMALIZED_BITS - 1) :]
        )
        half = delay_line(m, leading.exponent[1:], 5, name="half_exponent", reset_less=True)[-1]
        m.d.comb += self.half_exponent.eq(half)
        # Cycle 3: numbers are 32 << 11 and more, so the first 32 words are never read.
        index_bits = _NORMALIZED_BITS - RSQRT_SEED_SHIFT
        seeds = rsqrt_seed()
        unused = (1 << index_bits) - len(seeds)
        m.submodules.seed = memory = Memory(
            shape=ROOT_BITS, depth=1 << index_bits, init=[0] * unused + list(seeds)
        )
        table = memory.read_port()
        m.d.comb += table.addr.eq(normalized[RSQRT_SEED_SHIFT:])
        self._build_newton(m, table.data, normalized)
        return m

    def _build_newton(self, m: Module, seed: Signal, normalized: Value) -> None:
        seeds = delay_line(m, seed, 3, name="seed", reset_less=True)  # from cycle 3 on
        number = delay_line(m, normalized, 2, name="normalized", reset_less=True)
        a = Signal(ROOT_BITS, reset_less=True)
        b = Signal(_NORMALIZED_BITS, reset_less=True)
        rest = Signal(_NORMALIZED_BITS, reset_less=True)
        product = Signal(ROOT_BITS, reset_less=True)
        m.d.sync += [
            a.eq((seeds[0] * seeds[0]) >> 16),  # Cycle 4
            b.eq((number[2] * a) >> 16),  # Cycle 5
            rest.eq((3 << 16) - b),  # Cycle 6
            product.eq((seeds[3] * rest) >> 17),  # Cycle 7
        ]
        m.d.comb += self.root.eq(product)
