"""Correct programs of random instructions, each of which waits for the one before it."""

from __future__ import annotations

import random

from vitreous.golden.machine.faults import Windows, first_fault, words_moved
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, Operands, Scale, make
from vitreous.spec.layout import ceil_div, memory_words, word_bytes
from vitreous.spec.softmax import limits

LONGEST = 400
"""Words that an instruction moves at most."""
_OPCODES = (
    *(Opcode.LOAD, Opcode.LOAD, Opcode.STORE, Opcode.STORE, Opcode.FILL),
    *(Opcode.MATMUL, Opcode.MATMUL, Opcode.MATMUL, Opcode.NORM, Opcode.POOL, Opcode.LOAD_PATCHES),
)


def written_program(
    rng: random.Random, config: AcceleratorConfig, windows: Windows, count: int
) -> list[Instruction]:
    """``count`` instructions and END."""
    code: list[Instruction] = []
    while len(code) < count:
        i = random_instruction(rng, config, windows)
        if first_fault(i, 0, config, windows) is None and words_moved(i, config) <= LONGEST:
            code.append(i)
    waits = [0] + [1 << i.queue for i in code[:-1] if i.queue is not None]
    signals = [1 << i.queue for i in code[1:] if i.queue is not None] + [0]
    chained = [i.with_tokens(wait=w, signal=s) for i, w, s in zip(code, waits, signals, strict=True)]
    return [*chained, make(Opcode.END)]


def random_instruction(rng: random.Random, config: AcceleratorConfig, windows: Windows) -> Instruction:
    """One that often is legal."""
    match rng.choice(_OPCODES):
        case Opcode.LOAD:
            return _transfer(rng, config, Opcode.LOAD, rng.choice(list(Memory)[:4]), windows.read)
        case Opcode.STORE:
            return _transfer(rng, config, Opcode.STORE, rng.choice(list(Memory)[:3]), windows.write)
        case Opcode.FILL:
            memory = rng.choice((Memory.X, Memory.W, Memory.R))
            return make(Opcode.FILL, memory=memory, base=_word(rng, config, memory), words=rng.randint(1, 20))
        case Opcode.MATMUL:
            return _matmul(rng, config)
        case Opcode.NORM:
            return _norm(rng, config)
        case Opcode.POOL:
            return _pool(rng, config)
        case _:
            return _patches(rng, config, windows.read)


def _word(rng: random.Random, config: AcceleratorConfig, memory: Memory) -> int:
    return rng.randrange(memory_words(config, memory))


def _transfer(
    rng: random.Random, config: AcceleratorConfig, opcode: Opcode, memory: Memory, window: int
) -> Instruction:
    beat = config.bus.beat_bytes
    words, rows = rng.randint(1, 12), rng.randint(1, 4)
    size = -(-words * word_bytes(config, memory) // beat) * beat
    stride = size + beat * rng.choice((0, 0, 1, 3))
    room = max(1, (window - rows * stride) // beat)
    return make(
        opcode,
        memory=memory,
        base=_word(rng, config, memory),
        words=words,
        rows=rows,
        stride=words + rng.choice((0, 0, 2)),
        dram_offset=beat * rng.randrange(room),
        dram_stride=stride,
    )


def _matmul(rng: random.Random, config: AcceleratorConfig) -> Instruction:
    operands = rng.choice((Operands.XW, Operands.XW, Operands.WX, Operands.SW))
    a, b = (Memory.W, Memory.X) if operands is Operands.WX else (Memory.X, Memory.W)
    destination = rng.choice((Memory.X, Memory.W, Memory.R, Memory.R, Memory.S))
    if operands is Operands.SW and destination is Memory.S:
        destination = Memory.R
    rows = 1 if operands is Operands.SW or destination is Memory.S else rng.randint(1, 3)
    columns, k = rng.randint(1, 3 * config.array.lanes), rng.randint(1, 6)
    if operands is Operands.SW:
        k = min(k, config.s_depth)
    out = columns if destination is Memory.R else ceil_div(columns, config.array.depth)
    scales = [Scale.COLUMN, Scale.TENSOR] + ([Scale.LANE] if destination is not Memory.S else [])
    if operands is Operands.SW:
        scales = [Scale.SOFTMAX]
    first, last = rng.choice(((1, 1), (1, 0), (0, 1), (0, 0)) if limits(config.softmax).blocks else ((1, 1),))
    panel = destination in (Memory.X, Memory.W)
    wide = operands is Operands.SW and config.softmax.probability_bits == 16
    return make(
        Opcode.MATMUL,
        operands=operands,
        destination=destination,
        scale=rng.choice(scales),
        activation=rng.choice((0, 1, 2)) if panel else 0,
        residual=rng.getrandbits(1),
        slot=rng.getrandbits(1),
        a_base=_word(rng, config, a),
        a_stride=rng.choice((k, k, k + 1)),
        b_base=_word(rng, config, b),
        b_stride=rng.choice((k, k, 0)),
        k_words=k,
        row_tiles=rows,
        columns=columns,
        o_base=_word(rng, config, destination),
        o_stride=out + rng.choice((0, 0, 1)),
        p_base=_word(rng, config, Memory.P),
        zero_point=rng.randint(-128, 127),
        multiplier=rng.randrange(1 << 14, 1 << 15),
        shift=rng.randint(12, 24),
        extra_planes=rng.getrandbits(1) if wide else 0,
        first_block=first,
        last_block=last,
    )


def _norm(rng: random.Random, config: AcceleratorConfig) -> Instruction:
    channels = rng.randint(1, 40)
    panel = ceil_div(channels, config.array.depth)
    return make(
        Opcode.NORM,
        r_base=_word(rng, config, Memory.R),
        r_stride=channels + rng.choice((0, 0, 3)),
        channels=channels,
        row_tiles=rng.randint(1, 3),
        x_base=_word(rng, config, Memory.X),
        x_stride=panel + rng.choice((0, 0, 1)),
        epsilon=rng.choice((1, 1000, 1 << 20)),
        multiplier=rng.randrange(1 << 14, 1 << 15),
        shift=rng.randint(8, 24),
        zero_point=rng.randint(-128, 127),
        centred=rng.getrandbits(1),
        shifted=rng.getrandbits(1),
        shift_base=_word(rng, config, Memory.P),
    )


def _pool(rng: random.Random, config: AcceleratorConfig) -> Instruction:
    channels, tokens = rng.randint(1, 12), rng.randint(1, 4 * config.array.lanes)
    return make(
        Opcode.POOL,
        r_base=_word(rng, config, Memory.R),
        r_stride=channels,
        channels=channels,
        row_tiles=ceil_div(tokens, config.array.lanes),
        tokens=tokens,
        first=rng.randrange(min(tokens, config.array.lanes)),
        o_base=_word(rng, config, Memory.R),
        multiplier=rng.randrange(1, 1 << 15),
        shift=rng.randint(1, 30),
    )


def _patches(rng: random.Random, config: AcceleratorConfig, window: int) -> Instruction:
    beat = config.bus.beat_bytes
    patch, across, down, channels = (rng.randint(1, most) for most in (5, 4, 3, 2))
    row = -(-across * patch // beat) * beat
    plane = row * patch * down
    room = max(1, (window - channels * plane) // beat)
    return make(
        Opcode.LOAD_PATCHES,
        base=_word(rng, config, Memory.X),
        stride=ceil_div(channels * patch * patch, config.array.depth),
        first_token=rng.randint(0, 2 * config.array.lanes),
        patch=patch,
        grid_columns=across,
        grid_rows=down,
        channels=channels,
        dram_offset=beat * rng.randrange(room),
        row_stride=row,
        channel_stride=plane,
    )
