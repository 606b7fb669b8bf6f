"""The array for FPGAs: sums stay in the DSP blocks, and a column is read out in the one cycle in which it is final.

Column j works j cycles later than column 0, so its sums are final when the readout wants them and need no shadow.
Where the j cycles come from (j = 3 g + r; every third one is free, because a shift register of 3 is a LUT):
    3 g    operands wait in shift registers, one line of A for each g
    r      0: nothing; 1: the DSP blocks' second operand registers; 2: these, and a register after the sums

Stages of column 0 (cycle 0 has the words at ``a`` and ``b``), j cycles later in column j:
    1  operand registers
    2  products
    3  sums: ``first`` loads, the other words add
    4  column j of the tile
    5  unpacked and, from chains of 4 blocks, added: ``column``

Packed, a block multiplies ``(high << 18) + low`` by an operand that both share. Its sum of up to 4 products a cycle
moves by at most ``2**16``, a quarter of the low field, so that two top bits of the field tell every wrap: a counter
beside the block keeps what is above the field, and the high sum is what is left after subtracting it.
"""

from __future__ import annotations

from functools import reduce
from operator import add

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.checks import positive, within
from vitreous.hw.matrix.dsp48e2 import P_BITS, DspSlice
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.numbers import ACCUMULATOR_BITS
from vitreous.spec.variants import MULTIPLIERS

FIELD_BITS = 18
"""Place of the high product: what a signed byte leaves of 27 bits, less one for the largest negative pair."""
CHAIN = 4
"""DSP blocks whose products are added in one cycle: more would move a low field by more than a quarter."""
_SKEW = 3
"""Columns that share a delay line of A."""


def sum_bits(config: AcceleratorConfig) -> int:
    """Width of a sum: one operand of every product comes from W, so that a tile has at most ``w_depth`` words."""
    largest = config.w_depth * config.array.depth << 14
    return max(FIELD_BITS + 2, min(ACCUMULATOR_BITS, largest.bit_length() + 1))


class WrapCounter(wiring.Component):
    """How often a field wrapped since ``load``: ``o = floor(sum of its moves / 2**width)``.

    A field that moves by at most a quarter of its range stays in its quarter or goes to one beside it, so that the
    step from the last quarter to the first one is a wrap upwards, and the other way round.

    Latency: 0 cycles: ``o`` has the wrap of this cycle.
    Throughput: one value a cycle.
    Back-pressure: none.

    Parameters
    ----------
    bits : of ``o``, modulo ``2**bits``.

    Members
    -------
    top : In, the two top bits of the field.
    load : In, the field came here from 0 and no wraps.
    o : Out, wraps so far.
    """

    def __init__(self, *, bits: int) -> None:
        self.bits = positive("Bits", bits)
        super().__init__({"top": In(2), "load": In(1), "o": Out(signed(bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        before, count = (
            Signal(2, reset_less=True, name="before"),
            Signal(signed(self.bits), reset_less=True, name="count"),
        )
        up, down, was = Signal(name="up"), Signal(name="down"), Signal(2, name="was")
        m.d.comb += [
            was.eq(Mux(self.load, 0, before)),
            up.eq((was == 3) & (self.top == 0)),
            down.eq((was == 0) & (self.top == 3)),
            self.o.eq(Mux(self.load, 0, count) + Cat(up | down, down.replicate(self.bits - 1)).as_signed()),
        ]
        m.d.sync += [before.eq(self.top), count.eq(self.o)]
        return m


def unpack(o: Value, wraps: Value, above: Value) -> tuple[Value, Value]:
    """``(low, high)`` of ``o = (high << FIELD_BITS) + low`` modulo ``2**48``, exact modulo the width of ``high``.

    ``wraps`` counts the low field's, ``above`` (maybe empty) those of ``o``.
    """
    low = Cat(o[:FIELD_BITS], wraps).as_signed()
    return low, Cat(o[FIELD_BITS:], above).as_signed() - wraps


class Sums(wiring.Component):
    """``sum[lane] += sum_v a[lane][v] * b[v]`` by one DSP block for each v, of one lane or (packed) of two.

    Latency: ``registers + 2`` cycles from the operands to ``o``; ``take`` and ``load`` come one cycle before ``o``.
    Throughput: one word a cycle.
    Back-pressure: none.

    Parameters
    ----------
    lanes : 1 or 2, of ``a``.
    depth : products added in a cycle, at most ``CHAIN``.
    bits : width of a sum, ``FIELD_BITS + 2`` to 32.
    registers : of the operands, 1 or 2.

    Members
    -------
    a, b : In, ``depth`` signed bytes for each lane, and for all.
    take, load : In, add this word; forget the earlier sums.
    o : Out, the sums as ``read`` takes them.
    """

    def __init__(self, *, lanes: int, depth: int, bits: int, registers: int) -> None:
        self.lanes, self.depth = within("Lanes", lanes, 1, 2), within("Depth", depth, 1, CHAIN)
        self.bits = within("Bits", bits, FIELD_BITS + 2, ACCUMULATOR_BITS)
        self.registers = within("Registers", registers, 1, 2)
        packed = lanes == 2
        self.used = min(P_BITS, FIELD_BITS + bits) if packed else bits
        self.wraps = bits - FIELD_BITS if packed else 0
        self.above = FIELD_BITS + bits - self.used if packed else 0
        word = data.ArrayLayout(signed(8), depth)
        super().__init__(
            {
                "a": In(data.ArrayLayout(word, lanes)),
                "b": In(word),
                "take": In(1),
                "load": In(1),
                "o": Out(self.used + self.wraps + self.above),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        o = self._build_chain(m)
        load = Signal(reset_less=True)
        m.d.sync += load.eq(self.load)
        parts = [o[: self.used]]
        for bits, top in ((self.wraps, FIELD_BITS), (self.above, P_BITS)):
            if bits:
                counter = WrapCounter(bits=bits)
                m.submodules += counter
                m.d.comb += [counter.top.eq(o[top - 2 : top]), counter.load.eq(load)]
                parts.append(counter.o)
        m.d.comb += self.o.eq(Cat(*parts))
        return m

    def _build_chain(self, m: Module) -> Value:
        """Products of cycle 2 are added on their way through the cascade; the last block keeps the sum."""
        o: Value = Const(0, P_BITS)
        for v in range(self.depth):
            end = v == self.depth - 1
            block = DspSlice(
                registers=self.registers, pre_adder=self.lanes == 2, cascade=v > 0, accumulate=end
            )
            m.submodules[f"block_{v}"] = block
            m.d.comb += [block.a.eq(self.a[0][v]), block.b.eq(self.b[v])]
            if self.lanes == 2:
                m.d.comb += block.d.eq(self.a[1][v] << FIELD_BITS)
            if v:
                m.d.comb += block.pcin.eq(o)
            if end:
                m.d.comb += [block.take.eq(self.take), block.load.eq(self.load)]
            o = block.o
        return o

    def read(self, o: Value) -> list[Value]:
        """The sums of all lanes, ``bits`` wide, in a value of ``o``."""
        if self.lanes == 1:
            return [o.as_signed()]
        above = self.used + self.wraps
        lanes = unpack(o[: self.used], o[self.used : above].as_signed(), o[above:])
        return [lane[: self.bits].as_signed() for lane in lanes]


class SkewedArray(wiring.Component):
    """``hw.matrix.array.Array`` in DSP blocks; ``select`` must walk through the columns when the contract's readout
    does.

    Latency, Throughput, Back-pressure: as ``Array``, but column j of a tile can be read in one cycle only:
    ``Array.SHADOW_LATENCY + j`` after the tile's last word. ``select`` is ignored.

    Parameters
    ----------
    config : gives ``array`` and the depth of W.
    signature : of ``Array``.
    """

    def __init__(self, config: AcceleratorConfig, signature: wiring.Signature) -> None:
        self.n, self.depth = config.array.lanes, config.array.depth
        self.pack = MULTIPLIERS[config.array.multiplier].products
        self.bits = sum_bits(config)
        super().__init__(signature)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        groups = -(-self.n // _SKEW)
        flags = Cat(self.valid, self.valid & self.first, self.valid & self.last)
        stages = delay_line(m, flags, 3 * groups + 2, name="flags", reset_less=True)
        a: Value = self.a
        columns = []
        for j in range(self.n):
            group, rest = divmod(j, _SKEW)
            if group and not rest:
                a = delay_line(m, a, _SKEW, name=f"a_{group}", reset_less=True)[-1]
            word = self.b.word_select(j, 8 * self.depth)
            b = delay_line(m, word, _SKEW * group, name=f"b_{j}", reset_less=True)[-1]
            cells = self._build_cells(m, j, a, b, stages[2 + _SKEW * group + min(rest, 1)])
            held = Cat(*(cell.o for cell in cells))
            if rest == _SKEW - 1:
                held = delay_line(m, held, 1, name=f"held_{j}", reset_less=True)[-1]
            columns.append(held)
        self._build_column(m, stages[2][2], columns, cells)
        return m

    def _build_cells(self, m: Module, j: int, a: Value, b: Value, flags: Value) -> list[Sums]:
        """The sums of column ``j``, by lanes of A, then by chains."""
        cells = []
        length = min(self.depth, CHAIN)
        for i in range(0, self.n, self.pack):
            for start in range(0, self.depth, length):
                cell = Sums(lanes=self.pack, depth=length, bits=self.bits, registers=1 + (j % _SKEW > 0))
                m.submodules[f"sums_{i}_{j}_{start}"] = cell
                m.d.comb += [
                    cell.b.as_value().eq(b[8 * start : 8 * (start + length)]),
                    cell.take.eq(flags[0]),
                    cell.load.eq(flags[1]),
                ]
                for lane in range(self.pack):
                    word = a.word_select(i + lane, 8 * self.depth)
                    m.d.comb += cell.a[lane].as_value().eq(word[8 * start : 8 * (start + length)])
                cells.append(cell)
        return cells

    def _build_column(self, m: Module, last: Value, columns: list[Value], cells: list[Sums]) -> None:
        """Cycle 4: the column whose turn it is. Cycle 5: its lanes, chains added."""
        position = Signal(range(self.n), reset_less=True)
        raw = Signal(len(columns[0]), reset_less=True)
        m.d.sync += position.eq(Mux(last, 0, position + 1))
        with m.Switch(position):
            for j, column in enumerate(columns):
                with m.Case(j):
                    m.d.sync += raw.eq(column)
        chains = self.depth // min(self.depth, CHAIN)
        sums = [cell.read(raw.word_select(index, len(cell.o))) for index, cell in enumerate(cells)]
        for pair in range(self.n // self.pack):
            for lane in range(self.pack):
                total = reduce(add, (sums[chains * pair + chain][lane] for chain in range(chains)))
                column = Signal(signed(self.bits), name=f"column_{self.pack * pair + lane}", reset_less=True)
                m.d.sync += column.eq(total)
                m.d.comb += self.column[self.pack * pair + lane].eq(column)
