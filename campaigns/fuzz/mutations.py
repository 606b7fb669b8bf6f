"""Cases from correct programs: what a bad compiler, a bad memory or a bad host would make of them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping
from dataclasses import replace

from campaigns.fuzz.case import Action, Case, Kind
from vitreous.golden.machine.faults import Windows
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import FIELDS, PC_BITS, Instruction, Memory, Opcode, Register
from vitreous.spec.layout import memory_words

USED_BITS = 208
"""No field of an instruction lies above; bits up there are ignored."""
_ADDRESSES = {
    **dict.fromkeys(("a_base", "x_base"), Memory.X),
    **dict.fromkeys(("b_base",), Memory.W),
    **dict.fromkeys(("o_base", "r_base"), Memory.R),
    **dict.fromkeys(("p_base", "shift_base"), Memory.P),
    "base": Memory.X,
}


def mutate(case: Case, rng: random.Random, config: AcceleratorConfig) -> Case:
    """What the case's kind does, once or a few times."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        case = _MUTATIONS[case.kind](case, rng, config)
    return case


def _flips(case: Case, rng: random.Random, config: AcceleratorConfig) -> Case:
    """One bit of one instruction."""
    words = case.words()
    pc, bit = rng.randrange(len(words)), rng.randrange(USED_BITS)
    word = int.from_bytes(words[pc], "little") ^ 1 << bit
    words[pc] = word.to_bytes(isa.INSTRUCTION_BYTES, "little")
    return case.with_words(words)


def _words(case: Case, rng: random.Random, config: AcceleratorConfig) -> Case:
    """One instruction becomes random: all of it, or all of its fields."""
    words = case.words()
    pc = rng.randrange(len(words))
    word = rng.getrandbits(8 * isa.INSTRUCTION_BYTES)
    if rng.random() < 0.7:
        word = word >> 4 << 4 | rng.choice([opcode for opcode in Opcode if opcode is not Opcode.END])
    words[pc] = word.to_bytes(isa.INSTRUCTION_BYTES, "little")
    return case.with_words(words)


def _fields_of(case: Case, rng: random.Random) -> tuple[int, Instruction] | None:
    """An instruction that has fields, and where it stands."""
    code = [(pc, i) for pc, i in enumerate(case.code()) if i is not None and i.fields]
    return rng.choice(code) if code else None


def _edges(case: Case, rng: random.Random, config: AcceleratorConfig) -> Case:
    """One or two fields of an instruction, or a register of the host, at an end of its range."""
    if rng.random() < 0.2:
        return _host_edge(case, rng)
    found = _fields_of(case, rng)
    if found is None:
        return case
    pc, i = found
    fields = dict(i.fields)
    for f in rng.sample(FIELDS[i.opcode], rng.choice((1, 1, 2))):
        values = _values(i, f.name, f.width, config, case.sizes)
        value = rng.choice(values) & ((1 << f.width) - 1)
        fields[f.name] = value - (1 << f.width) if f.signed and value >> f.width - 1 else value
    words = case.words()
    words[pc] = dataclasses.replace(i, fields=fields).encode()
    return case.with_words(words)


def _values(i: Instruction, name: str, width: int, config: AcceleratorConfig, windows: Windows) -> list[int]:
    """Edges of a field: of its bits, and of what it counts."""
    value, beat = i[name], config.bus.beat_bytes
    values = [0, 0, 1, value + 1, value - 1, (1 << width) - 1, 1 << width - 1, 2 * value]
    if name in _ADDRESSES:
        memory = Memory(i["memory"]) if "memory" in i.fields and i["memory"] < Memory.S else _ADDRESSES[name]
        depth = memory_words(config, memory)
        values += [
            depth,
            depth - 1,
            depth - 2,
            depth - i.fields.get("words", 4),
            depth - i.fields.get("k_words", 1),
        ]
    if "dram" in name or name.endswith("_stride"):
        size = windows.write if i.opcode is Opcode.STORE else windows.read
        values += [
            size,
            size - beat,
            size // beat * beat,
            -beat,
            beat,
            value + beat,
            (1 << 32) - size,
            beat // 2,
        ]
    if name in ("k_words", "columns", "words", "channels"):
        values += [
            config.s_depth,
            config.s_depth + 1,
            config.s_depth * config.array.depth + 1,
            config.array.lanes,
        ]
    return values


def _host_edge(case: Case, rng: random.Random) -> Case:
    """A window at the end of the address space, or beyond; a program that is empty, too long, outside."""
    size = -(-len(case.image) // 64) * 64
    match rng.randrange(8):
        case 0:
            return replace(case, length=rng.choice((0, 1, case.length - 1, case.length + 1)))
        case 1:
            return replace(case, length=rng.choice((1 << PC_BITS, (1 << PC_BITS) + 1, (1 << 32) - 1)))
        case 2:
            return replace(case, offset=rng.choice((len(case.image) // 64 * 64, 1 << 31, (1 << 32) - 64)))
        case 3:
            return replace(
                case, read_size=rng.choice((0, 32, case.offset + 32 * case.length, case.read_size - 1))
            )
        case 4:
            return replace(case, write_size=rng.choice((0, 1, case.write_size - 1, case.write_size + 8)))
        case 5:
            return replace(case, read_base=(1 << 32) - size, write_base=0x8000, read_size=size)
        case 6:
            bytes_ = -(-len(case.window) // 64) * 64
            return replace(case, write_base=(1 << 32) - bytes_, read_base=0x8000, write_size=bytes_)
        case _:
            base, beyond = (1 << 32) - size, rng.choice((1, 64, 4096, 1 << 31))
            if rng.random() < 0.5:
                return replace(case, read_base=base, write_base=0x8000, read_size=size + beyond)
            return replace(case, write_base=base, read_base=0x8000, write_size=size + beyond)


def _tokens(case: Case, rng: random.Random, config: AcceleratorConfig) -> Case:
    """A wait or a signal is taken away, added, moved to another instruction, or exchanged with another's."""
    words = case.words()
    masks = [int.from_bytes(word[:2], "little") >> 4 & 0xFF for word in words]  # waits low, signals high
    held = [(pc, bit) for pc, mask in enumerate(masks) for bit in range(8) if mask >> bit & 1]
    pc, bit = rng.choice(held) if held else (rng.randrange(len(words)), rng.randrange(8))
    other = max(0, min(len(words) - 1, pc + rng.choice((-3, -2, -1, 1, 2, 3))))
    match rng.randrange(4):
        case 0:
            masks[pc] &= ~(1 << bit)
        case 1:
            masks[rng.randrange(len(words))] ^= 1 << rng.randrange(8)
        case 2:
            masks[pc] &= ~(1 << bit)
            masks[other] |= 1 << bit
        case _:
            group = 0xF << 4 * (bit // 4)
            first, second = masks[pc] & group, masks[other] & group
            masks[pc], masks[other] = masks[pc] & ~group | second, masks[other] & ~group | first
    for at, mask in enumerate(masks):
        head = int.from_bytes(words[at][:2], "little") & ~0xFF0 | mask << 4
        words[at] = head.to_bytes(2, "little") + words[at][2:]
    return case.with_words(words)


def _host(case: Case, rng: random.Random, config: AcceleratorConfig) -> Case:
    """A reset, a second start, or a register written while the program runs."""
    after = int(10 ** rng.uniform(0, 3.5))
    match rng.randrange(4):
        case 0 | 1:
            action = Action(after, Register.CONTROL, isa.CONTROL_RESET)
        case 2:
            action = Action(after, Register.CONTROL, isa.CONTROL_START)
        case _:
            registers = (Register.READ_BASE, Register.READ_SIZE, Register.WRITE_BASE, Register.WRITE_SIZE)
            register = rng.choice((*registers, Register.PROGRAM_OFFSET, Register.PROGRAM_LENGTH))
            action = Action(after, register, rng.choice((0, 64, 0xFFFFFFC0, rng.getrandbits(32))))
    return replace(case, actions=tuple(sorted((*case.actions, action))))


_MUTATIONS: Mapping[Kind, Callable[[Case, random.Random, AcceleratorConfig], Case]] = {
    Kind.FLIPS: _flips,
    Kind.WORDS: _words,
    Kind.EDGES: _edges,
    Kind.TOKENS: _tokens,
    Kind.HOST: _host,
}
