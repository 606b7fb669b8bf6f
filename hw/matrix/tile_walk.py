"""Where the operand sequencer stands: its two instructions, and the steps from word to word, from tile to tile and from
instruction to instruction. They are built into its module.
"""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from vitreous.hw.memory.ports import WORD_ADDRESS_BITS, instruction_layout
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig


class Held(NamedTuple):
    """The instruction after the current one.

    valid : there is one. wrong : it must not start.
    fields, pc : it, and its program counter.
    short : its ``k_words`` where they are fewer than 2 * N, the longest wait.
    """

    valid: Signal
    wrong: Signal
    fields: data.View[data.StructLayout]
    pc: Signal
    short: Signal


class Current(NamedTuple):
    """The instruction that feeds: registers that ``walk`` steps, and what follows from them.

    fields, short, score : it, ``Held.short`` of it, and whether it writes S.
    left : words of the tile that are not out. columns : left in this row of tiles. rows : left, this one included.
    first, word_last : the next word begins its tile, ends it. row_last : its tile ends a row of tiles. rows_last : its
        row of tiles ends the instruction. From registers, because a whole instruction may start with it.
    instruction_first, row_first : its tile is the first of the instruction, of its row.
    low : its tile is fed for the second time.
    wide, again, instruction_last : each tile is fed twice; this one will be; it is the last of the instruction.
    """

    fields: data.View[data.StructLayout]
    short: Signal
    score: Signal
    left: Signal
    columns: Signal
    rows: Signal
    first: Signal
    word_last: Signal
    row_last: Signal
    rows_last: Signal
    instruction_first: Signal
    row_first: Signal
    low: Signal
    wide: Value
    again: Value
    instruction_last: Signal


class Addresses(NamedTuple):
    """Word addresses, of the current tile's first word and of the next word; ``p_row``: of the row's parameters."""

    a_row: Signal
    a: Signal
    b_tile: Signal
    b: Signal
    p_row: Signal


def short(lanes: int, *, name: str) -> Signal:
    """A register for ``k_words`` where they are fewer than 2 * N, else for 2 * N."""
    return Signal(range(2 * lanes + 1), name=name, reset_less=True)


def current_instruction(config: AcceleratorConfig) -> Current:
    """The registers that ``walk`` steps; whoever asks for them drives ``instruction_last``."""

    def register(shape: int, name: str) -> Signal:
        return Signal(shape, name=name, reset_less=True)

    fields = Signal(instruction_layout(isa.Opcode.MATMUL), name="_current", reset_less=True)
    wide = fields.extra_planes if config.softmax.probability_bits == 16 else Const(0, 1)
    low = register(1, "_low")
    return Current(
        fields=fields,
        short=short(config.array.lanes, name="k_short"),
        score=register(1, "_score"),
        left=register(isa.ADDRESS_BITS, "_left"),
        columns=register(isa.ADDRESS_BITS, "_columns"),
        rows=register(12, "_rows"),
        first=register(1, "_first"),
        word_last=register(1, "_word_last"),
        row_last=register(1, "_row_last"),
        rows_last=register(1, "_rows_last"),
        instruction_first=register(1, "_instruction_first"),
        row_first=register(1, "_row_first"),
        low=low,
        wide=wide,
        again=wide & ~low,
        instruction_last=Signal(name="_instruction_last"),
    )


def walk(
    m: Module, held: Held, current: Current, *, word_valid: Value, start: Value, lanes: int
) -> Addresses:
    """Steps ``current`` where ``word_valid``, and with ``start`` makes ``held`` the current instruction. Addresses step
    by one inside a tile, by the strides between tiles."""
    at = Addresses(
        *(
            Signal(WORD_ADDRESS_BITS, name=name, reset_less=True)
            for name in ("a_row", "a_addr", "b_tile", "b_addr", "p_row")
        )
    )
    with m.If(word_valid):
        m.d.sync += [
            current.left.eq(current.left - 1),
            current.first.eq(0),
            current.word_last.eq(current.left == 2),
            at.a.eq(at.a + 1),
            at.b.eq(at.b + 1),
        ]
        with m.If(current.word_last):
            m.d.sync += [
                current.left.eq(current.fields.k_words),
                current.first.eq(1),
                current.word_last.eq(current.fields.k_words == 1),
                current.low.eq(current.again),
                current.instruction_first.eq(0),
                current.row_first.eq(current.row_last & ~current.again),
            ]
            with m.If(current.again):
                m.d.sync += [at.a.eq(at.a_row), at.b.eq(at.b_tile)]
            with m.Else():
                _build_next_tile(m, current, at, lanes)
    with m.If(start):
        _build_start(m, held, current, at, lanes)
    return at


def _build_next_tile(m: Module, current: Current, at: Addresses, lanes: int) -> None:
    """The next tile of B beside the same rows of A; after the last one the next rows of A."""
    fields = current.fields
    with m.If(current.row_last):
        m.d.sync += [
            at.a_row.eq(at.a_row + fields.a_stride),
            at.a.eq(at.a_row + fields.a_stride),
            at.b_tile.eq(fields.b_base),
            at.b.eq(fields.b_base),
            at.p_row.eq(at.p_row + lanes),
            current.columns.eq(fields.columns),
            current.row_last.eq(fields.columns <= lanes),
            current.rows.eq(current.rows - 1),
            current.rows_last.eq(current.rows == 2),
        ]
    with m.Else():
        m.d.sync += [
            at.a.eq(at.a_row),
            at.b_tile.eq(at.b_tile + fields.b_stride),
            at.b.eq(at.b_tile + fields.b_stride),
            current.columns.eq(current.columns - lanes),
            current.row_last.eq(current.columns <= 2 * lanes),
        ]


def _build_start(m: Module, held: Held, current: Current, at: Addresses, lanes: int) -> None:
    """The held instruction becomes the current one. The probabilities of a slot start at its word 0."""
    following = held.fields
    a_base = Mux(following.operands == isa.Operands.SW, 0, following.a_base)
    m.d.sync += [
        at.a_row.eq(a_base),
        at.a.eq(a_base),
        at.b_tile.eq(following.b_base),
        at.b.eq(following.b_base),
        at.p_row.eq(following.p_base),
        current.left.eq(following.k_words),
        current.first.eq(1),
        current.word_last.eq(following.k_words == 1),
        current.short.eq(held.short),
        current.score.eq(following.destination == isa.Memory.S),
        current.columns.eq(following.columns),
        current.row_last.eq(following.columns <= lanes),
        current.rows.eq(following.row_tiles),
        current.rows_last.eq(following.row_tiles == 1),
        current.fields.eq(following),
        current.low.eq(0),
        Cat(current.instruction_first, current.row_first).eq(3),
    ]
