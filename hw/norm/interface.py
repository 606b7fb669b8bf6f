"""What the variants of layer norm and RMS norm have in common: the passes over a tile's columns, and their ports."""

from __future__ import annotations

from typing import ClassVar

from amaranth.hdl import signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.checks import power_of_two
from vitreous.spec import isa
from vitreous.spec.isa import Opcode
from vitreous.spec.numbers import MULTIPLIER_BITS, SHIFT_BITS

CHANNELS_MAXIMUM = 4096
CHANNELS_BITS = CHANNELS_MAXIMUM.bit_length()
SUM_BITS = 16 + exact_log2(CHANNELS_MAXIMUM)
"""Of a sum of this many values of 16 bits."""


class NormPass(data.StructLayout):
    """One bit for each way to go through the columns; at most one is set. ``mean``: only some variants have it."""

    def __init__(self, *, mean: bool) -> None:
        super().__init__(({"mean": 1} if mean else {}) | {"statistics": 1, "normalize": 1, "pool": 1})


class NormConstants(data.StructLayout):
    """What a variant needs of an instruction; constant while columns are on their way."""

    def __init__(self) -> None:
        fields = {f.name: f.width for f in isa.FIELDS[Opcode.NORM]}
        super().__init__(
            {"channels": CHANNELS_BITS}
            | {name: fields[name] for name in ("centred", "epsilon", "multiplier", "shift")}
        )


class NormVariant(wiring.Component):
    """A way to normalize: its passes, what it makes of a column, and the scale of each row.

    Latency: ``LATENCY`` cycles from ``x`` to ``u``; ``SCALE_LATENCY + N - 1`` from the last ``x`` of a statistics pass
    to ``done``; ``MEAN_LATENCY + N - 1`` from that of a mean pass, but not before ``MEAN_AFTER_BEGIN + N - 1`` from
    ``begin``.
    Throughput: one column a cycle.
    Back-pressure: none.

    Parameters
    ----------
    lanes : rows, a power of two of at least 2.

    Members
    -------
    begin : In, pulse: an instruction begins, ``constants`` are there.
    constants : In, ``NormConstants``.
    read : In, ``NormPass``: a column of this pass is here. first, last : In, where it stands in its tile.
    x : In, N values.
    done : Out, pulse: what was to be made of a finished pass (row scales, or means) is there; the next one may come.
    u : Out, ``WIDTH`` bits for each lane: what is normalized of a column of a ``normalize`` pass.
    row_multiplier, row_shift : Out, for each lane, kept until the next ``statistics`` pass is over.
    """

    MEAN: ClassVar[bool]
    """Whether there is a pass for the mean."""
    WIDTH: ClassVar[int]
    LATENCY: ClassVar[int]
    SCALE_LATENCY: ClassVar[int]
    MEAN_LATENCY: ClassVar[int] = 0
    MEAN_AFTER_BEGIN: ClassVar[int] = 0

    def __init__(self, *, lanes: int) -> None:
        self.lanes = power_of_two("Lanes", lanes, least=2)
        super().__init__(
            {
                "begin": In(1),
                "constants": In(NormConstants()),
                "read": In(NormPass(mean=self.MEAN)),
                "first": In(1),
                "last": In(1),
                "x": In(data.ArrayLayout(signed(16), lanes)),
                "done": Out(1),
                "u": Out(data.ArrayLayout(signed(self.WIDTH), lanes)),
                "row_multiplier": Out(data.ArrayLayout(MULTIPLIER_BITS, lanes)),
                "row_shift": Out(data.ArrayLayout(SHIFT_BITS, lanes)),
            }
        )
