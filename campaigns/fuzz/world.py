"""What surrounds a fuzzed program on one accelerator: correct programs to start from, known contents of every memory,
and the program that stores them."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from campaigns.fuzz.case import Case, Kind, place_windows
from campaigns.fuzz.configurations import CONFIGURATIONS
from campaigns.fuzz.mutations import mutate
from campaigns.fuzz.written import written_program
from tests.support.compiler.graphs import random_image, random_vit_graph
from vitreous.compiler import compile
from vitreous.golden.machine.faults import Windows
from vitreous.golden.machine.machine import Machine
from vitreous.golden.machine.memories import Memories
from vitreous.spec import layout
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, Operands, Queue, Scale, make
from vitreous.spec.softmax import limits

BEFORE_BASE, AFTER_BASE, AFTER_WINDOW = 0x0000, 0x5000, 0x6000
"""Of the programs before and after, in the first quarter of the simulated DRAM; the second reaches up to 0x8000."""
STORED = (Memory.X, Memory.W, Memory.R)
GUARD_BYTES = 64
"""Behind each write window, so that what is written there is seen."""
_MODELS = (
    {"image": (6, 6), "patch": 3, "channels": 1, "dim": 5, "heads": 1, "depth": 1, "mlp": 6, "classes": 3},
    {
        "image": (3, 3), "patch": 3, "channels": 1, "dim": 7, "heads": 1, "depth": 1, "mlp": 19, "classes": 3,
        "class_token": False,
    },
)  # fmt: skip


@dataclass(frozen=True)
class Helper:
    """A program of the campaign's own: its image with the program at ``offset``, and the bytes that it writes."""

    image: bytes
    offset: int
    length: int
    read_base: int
    write_base: int
    write_size: int

    @property
    def settings(self) -> dict[str, int]:
        return {
            "READ_BASE": self.read_base,
            "READ_SIZE": len(self.image),
            "WRITE_BASE": self.write_base,
            "WRITE_SIZE": self.write_size,
            "PROGRAM_OFFSET": self.offset,
            "PROGRAM_LENGTH": self.length,
        }


def _sizes(config: AcceleratorConfig) -> dict[Memory, int]:
    """Bytes of each memory that LOAD writes."""
    memories = (*STORED, Memory.P)
    return {m: layout.memory_words(config, m) * layout.word_bytes(config, m) for m in memories}


def _whole(opcode: Opcode, memory: Memory, offset: int, config: AcceleratorConfig) -> Instruction:
    words = layout.memory_words(config, memory)
    return make(
        opcode, memory=memory, base=0, words=words, rows=1, stride=0, dram_offset=offset, dram_stride=0
    )


@cache
def before(name: str) -> Helper:
    """Loads random bytes into X, W, R and plausible parameters into P, and fills both slots of S."""
    config = CONFIGURATIONS[name]
    rng = np.random.default_rng(1)
    sizes = _sizes(config)
    entries = layout.memory_words(config, Memory.P)
    parameters = layout.pack_parameters(
        rng.integers(-2000, 2000, entries),
        rng.integers(1 << 14, 1 << 15, entries),
        rng.integers(16, 24, entries),
    )
    contents = {m: rng.integers(0, 256, sizes[m]).astype(np.uint8).tobytes() for m in STORED}
    contents[Memory.P] = parameters.tobytes()
    code, image = [], b""
    for memory, data in contents.items():
        code.append(_whole(Opcode.LOAD, memory, len(image), config))
        image += data
    load, matrix = 1 << Queue.LOAD, 1 << Queue.MATRIX
    code[-1] = code[-1].with_tokens(wait=0, signal=matrix)
    for slot in range(2):
        scores = make(
            Opcode.MATMUL, operands=Operands.XW, destination=Memory.S, scale=Scale.TENSOR, activation=0, residual=0,
            slot=slot, a_base=8 * slot, a_stride=0, b_base=0, b_stride=1, k_words=1, row_tiles=1,
            columns=config.s_depth * config.array.depth, o_base=0, o_stride=0, p_base=slot, zero_point=0,
            multiplier=24576, shift=16, extra_planes=0, first_block=1, last_block=1,
        )  # fmt: skip
        code.append(scores.with_tokens(wait=0 if slot else load, signal=slot * matrix))
    if limits(config.softmax).blocks:
        # What the lanes keep of a row's blocks; its result would follow with the last one.
        contexts = make(
            Opcode.MATMUL, operands=Operands.SW, destination=Memory.R, scale=Scale.SOFTMAX, activation=0, residual=0,
            slot=1, a_base=0, a_stride=0, b_base=0, b_stride=1, k_words=1, row_tiles=1,
            columns=config.memory.context_columns, o_base=0, o_stride=0, p_base=0, zero_point=0,
            multiplier=24576, shift=16, extra_planes=0, first_block=1, last_block=0,
        )  # fmt: skip
        code.append(contexts.with_tokens(wait=matrix, signal=0))
    else:
        code[-1] = code[-1].with_tokens(wait=0, signal=0)
    return _helper(code, image, BEFORE_BASE, AFTER_WINDOW, 0)


@cache
def after(name: str) -> Helper:
    """Stores X, W and R, one after another."""
    config = CONFIGURATIONS[name]
    sizes, code, offset = _sizes(config), [], 0
    for memory in STORED:
        code.append(_whole(Opcode.STORE, memory, offset, config))
        offset += sizes[memory]
    return _helper(code, b"", AFTER_BASE, AFTER_WINDOW, offset)


def _helper(code: list[Instruction], data: bytes, base: int, window: int, size: int) -> Helper:
    data += bytes(-len(data) % layout.DRAM_ALIGN)
    code = [*code, make(Opcode.END)]
    image = data + b"".join(i.encode() for i in code)
    return Helper(image + bytes(-len(image) % 64), len(data), len(code), base, window, size)


@cache
def _contents(name: str) -> Machine:
    """The functional machine after ``before``."""
    machine, helper = Machine(CONFIGURATIONS[name]), before(name)
    machine.execute_encoded(np.frombuffer(helper.image, np.uint8), helper.offset, helper.length)
    return machine


def fresh_machine(name: str) -> Machine:
    """A functional machine with the contents that ``before`` leaves in the RTL."""
    machine, known = Machine(CONFIGURATIONS[name]), _contents(name)
    for own, kept in zip(_arrays(machine.memories), _arrays(known.memories), strict=True):
        own[...] = kept
    return machine


def _arrays(memories: Memories) -> list[NDArray[np.generic]]:
    arrays: list[NDArray[np.generic]] = [memories.x, memories.w, memories.r, memories.p, memories.s]
    for slot in memories.slots:
        arrays += [slot.maximum, slot.total, slot.multiplier, slot.shift]
    return arrays


def stored(machine: Machine) -> bytes:
    """What ``after`` makes of a machine."""
    return b"".join(machine.memories.raw(memory).tobytes() for memory in STORED)


@cache
def _compiled(name: str, model: int, observe: bool) -> Case:
    """A small network's program, with its image of weights and input."""
    config = CONFIGURATIONS[name]
    graph = random_vit_graph(
        model, softmax=config.softmax, activation=config.activation, norm=config.norm, **_MODELS[model]
    )
    program = compile(graph, config, observe=observe)
    image = program.with_input(random_image(graph, model)).tobytes()
    return _case(image, program.program_offset, len(program.instructions), program.write_size)


def _case(image: bytes, offset: int, length: int, write_size: int) -> Case:
    window = np.random.default_rng(2).integers(0, 256, write_size + GUARD_BYTES).astype(np.uint8)
    return Case(
        kind=Kind.FLIPS, image=image, window=window.tobytes(), read_base=0, read_size=len(image), write_base=0,
        write_size=write_size, offset=offset, length=length,
    )  # fmt: skip


def _written(rng: random.Random, config: AcceleratorConfig) -> Case:
    data, write_size = rng.randbytes(2048), 512
    code = written_program(rng, config, Windows(len(data), write_size), rng.randint(3, 12))
    image = data + b"".join(i.encode() for i in code)
    return _case(image + bytes(-len(image) % 64), len(data), len(code), write_size)


def make_case(name: str, seed: int, index: int) -> Case:
    """Case ``index`` of the campaign ``seed`` on configuration ``name``; the kinds take turns."""
    rng = random.Random(f"{seed} {name} {index}")
    config = CONFIGURATIONS[name]
    kinds = list(Kind)
    if rng.random() < 0.5:
        base = _compiled(name, rng.randrange(len(_MODELS)), rng.random() < 0.5)
    else:
        base = _written(rng, config)
    case = place_windows(replace(base, kind=kinds[index % len(kinds)]), rng)
    return mutate(case, rng, config)
