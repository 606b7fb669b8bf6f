"""A program of eight instructions for any accelerator, and the bytes that it writes: what the bench of a core runs."""

from __future__ import annotations

import random
from dataclasses import dataclass

from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, Operands, Queue, Scale
from vitreous.spec.layout import DRAM_ALIGN, align
from vitreous.spec.numbers import INT8, MULTIPLIER_BITS, SHIFT_BITS, requantize

_MULTIPLIER, _SHIFT = 3 << 13, 23  # the sum of at most 8 products of two bytes, brought to about 8 bits
_R_WORDS = 2


@dataclass(frozen=True, kw_only=True)
class Sample:
    """``image``: all of the memory, from address 0 the write window, zero, then the read window with the program first.
    ``expected``: the write window after the run. ``instructions``: length of the program."""

    image: bytes
    expected: bytes
    instructions: int

    @property
    def read_from(self) -> int:
        """Where the read window begins."""
        return len(self.expected)


def sample(config: AcceleratorConfig) -> Sample:
    """A product of one word of X and one of W with parameters of P goes out by X, two words of R as they came."""
    source = random.Random(config.array.macs_per_cycle)
    columns = min(config.array.lanes, config.array.depth)
    a = source.randbytes(config.panel_word_bytes)
    b = source.randbytes(config.panel_word_bytes)
    biases = [source.randrange(-3000, 3000) for _ in range(columns)]
    parameters = b"".join(_parameter(bias) for bias in biases)
    r = source.randbytes(_R_WORDS * config.residual_word_bytes)

    product = _product(config, a, b, biases)
    r_at = align(len(product), DRAM_ALIGN)
    expected = bytearray(align(r_at + len(r), DRAM_ALIGN))
    expected[: len(product)] = product
    expected[r_at : r_at + len(r)] = r

    length = 8
    offsets, data = [], bytearray(align(length * isa.INSTRUCTION_BYTES, DRAM_ALIGN))
    for operand in (a, b, parameters, r):
        offsets.append(len(data))
        data += operand.ljust(align(len(operand), DRAM_ALIGN), b"\0")
    program = _program(columns, offsets, r_at)
    assert len(program) == length
    code = b"".join(instruction.encode() for instruction in program)
    data[: len(code)] = code
    return Sample(image=bytes(len(expected)) + bytes(data), expected=bytes(expected), instructions=length)


def _parameter(bias: int) -> bytes:
    """A word of P: bias, multiplier, shift."""
    fields = bias & 0xFFFF_FFFF | _MULTIPLIER << 32 | _SHIFT << (32 + MULTIPLIER_BITS)
    assert fields >> (32 + MULTIPLIER_BITS + SHIFT_BITS) == 0
    return fields.to_bytes(isa.PARAMETER_BYTES, "little")


def _product(config: AcceleratorConfig, a: bytes, b: bytes, biases: list[int]) -> bytes:
    """The word of X that MATMUL makes: ``[lane][column]`` of int8, columns that do not exist zero."""
    lanes, depth = config.array.lanes, config.array.depth
    word = bytearray(lanes * depth)
    for lane in range(lanes):
        for column, bias in enumerate(biases):
            pairs = zip(a[lane * depth :][:depth], b[column * depth :][:depth], strict=True)
            acc = bias + sum(_signed(x) * _signed(w) for x, w in pairs)
            word[lane * depth + column] = requantize(acc, _MULTIPLIER, _SHIFT, 0, INT8) & 0xFF
    return bytes(word)


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _program(columns: int, offsets: list[int], r_at: int) -> list[Instruction]:
    """``offsets``: where the words for X, W, P and R lie in the read window. ``r_at``: where R's go."""
    row = {"rows": 1, "stride": 0, "dram_stride": 0}
    x, w, p, r = (
        _instruction(Opcode.LOAD, memory=memory, base=0, words=words, dram_offset=offset, **row)
        for memory, words, offset in zip(
            (Memory.X, Memory.W, Memory.P, Memory.R), (1, 1, columns, _R_WORDS), offsets, strict=True
        )
    )
    fields = {field.name: 0 for field in isa.FIELDS[Opcode.MATMUL]} | {
        "operands": Operands.XW,
        "destination": Memory.X,
        "scale": Scale.COLUMN,
        "k_words": 1,
        "row_tiles": 1,
        "columns": columns,
        "o_base": 1,
    }
    product = _instruction(Opcode.MATMUL, **fields)
    store_x = _instruction(Opcode.STORE, memory=Memory.X, base=1, words=1, dram_offset=0, **row)
    store_r = _instruction(Opcode.STORE, memory=Memory.R, base=0, words=_R_WORDS, dram_offset=r_at, **row)
    load, matrix, store = (1 << queue for queue in (Queue.LOAD, Queue.MATRIX, Queue.STORE))
    return [
        x,
        w,
        p.with_tokens(wait=0, signal=matrix),
        product.with_tokens(wait=load, signal=store),
        r.with_tokens(wait=0, signal=store),
        store_x.with_tokens(wait=matrix, signal=0),
        store_r.with_tokens(wait=load, signal=0),
        _instruction(Opcode.END),
    ]


def _instruction(opcode: Opcode, **fields: int) -> Instruction:
    return Instruction(opcode=opcode, fields={name: int(value) for name, value in fields.items()})
