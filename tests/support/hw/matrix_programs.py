"""Random MATMUL instructions and memories for the matrix unit's tests, executed by the functional machine."""

import copy
from collections.abc import Sequence
from functools import cache

import numpy as np

from tests.support.hw.matrix_bench import WAIT, MatrixBench, Outcome, compare
from vitreous.golden.errors import GoldenError
from vitreous.golden.machine import Memories
from vitreous.golden.machine.matmul import start
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig, ActivationConfig, ArrayConfig, MemoryConfig, SoftmaxConfig
from vitreous.spec.isa import Activation, Instruction, Memory, Opcode, Operands, Scale
from vitreous.spec.softmax import limits


def small(
    lanes: int = 4,
    depth: int = 2,
    *,
    variant: str = "base2",
    fraction_bits: int = 8,
    probability_bits: int = 16,
    activation: ActivationConfig | None = None,
) -> AcceleratorConfig:
    """A small accelerator whose memories a test can compare as a whole."""
    memory = MemoryConfig(activation_kib=1, weight_kib=1, residual_kib=1, parameter_entries=64, score_keys=32)
    softmax = SoftmaxConfig(variant=variant, fraction_bits=fraction_bits, probability_bits=probability_bits)
    array = ArrayConfig(lanes=lanes, depth=depth)
    return AcceleratorConfig(
        array=array, memory=memory, softmax=softmax, activation=activation or ActivationConfig()
    )


def parameter(bias: int, multiplier: int, shift: int) -> int:
    return (bias & 0xFFFF_FFFF) | multiplier << 32 | shift << 47


def random_memories(config: AcceleratorConfig, rng: np.random.Generator) -> Memories:
    memories = Memories(config)
    memories.x[:] = rng.integers(-128, 128, memories.x.shape)
    memories.w[:] = rng.integers(-128, 128, memories.w.shape)
    memories.r[:] = rng.integers(-(1 << 15), 1 << 15, memories.r.shape)
    for address in range(len(memories.p)):
        # Shifts near 15 + 10 bring a sum of some products of bytes to about 8 bits.
        memories.p[address] = parameter(
            int(rng.integers(-50_000, 50_000)), int(rng.integers(1 << 14, 1 << 15)), int(rng.integers(16, 27))
        )
    return memories


def matmul(**fields: int) -> Instruction:
    """A MATMUL of one tile of one word with scale TENSOR from X and W to X, changed by ``fields``; of a score row it is
    the only block."""
    wait = fields.pop("wait", 0)
    values = {f.name: 0 for f in isa.FIELDS[Opcode.MATMUL]}
    values |= {
        "scale": Scale.TENSOR,
        "k_words": 1,
        "row_tiles": 1,
        "columns": 1,
        "multiplier": 1 << 14,
        "shift": 16,
        "first_block": 1,
        "last_block": 1,
    }
    return Instruction(
        opcode=Opcode.MATMUL, wait=wait, fields={**values, **{k: int(v) for k, v in fields.items()}}
    )


def random_matmul(
    config: AcceleratorConfig, rng: np.random.Generator, *, destination: Memory, operands: Operands
) -> Instruction:
    """Legal fields; addresses may still be beyond the end of a memory."""
    n, to_scores, from_scores = config.array.lanes, destination == Memory.S, operands == Operands.SW
    panel = destination in (Memory.X, Memory.W)
    row_tiles = 1 if to_scores or from_scores else int(rng.integers(1, 4))
    k_words = int(rng.integers(1, min(12, config.s_depth) + 1))
    columns = int(rng.integers(1, 3 * n + 1))
    if to_scores:
        columns = min(columns, config.s_depth * config.array.depth)
    scales = [Scale.SOFTMAX] if from_scores else [Scale.COLUMN, Scale.TENSOR] + [Scale.LANE] * (not to_scores)
    first, last = rng.integers(2, size=2) if limits(config.softmax).blocks else (1, 1)
    written = columns if destination == Memory.R else -(-columns // config.array.depth)
    return matmul(
        operands=operands,
        destination=destination,
        scale=rng.choice(scales),
        activation=rng.choice(list(Activation)) if panel else Activation.NONE,
        residual=rng.integers(2) if destination == Memory.R else 0,
        slot=rng.integers(2),
        a_base=0 if from_scores else rng.integers(32),
        a_stride=0 if from_scores else rng.integers(k_words + 2),
        b_base=rng.integers(32),
        b_stride=rng.integers(k_words + 2),
        k_words=k_words,
        row_tiles=row_tiles,
        columns=columns,
        o_base=rng.integers(60),
        o_stride=written + rng.integers(2),
        p_base=rng.integers(16),
        zero_point=rng.integers(-128, 128),
        multiplier=rng.integers(1 << 14, 1 << 15),
        shift=rng.integers(12, 20),
        extra_planes=rng.integers(2) if from_scores and config.softmax.probability_bits == 16 else 0,
        first_block=first,
        last_block=last,
    )


def execute(instruction: Instruction, memories: Memories, pc: int = 0) -> None:
    start(instruction, memories, pc)()


class Footprint:
    """The words that an instruction reads and writes, as (memory, address); a slot of S counts as one."""

    @staticmethod
    def reads(i: Instruction, n: int) -> set[tuple[str, int]]:
        tiles, found = -(-i["columns"] // n), set()
        a, b = {Operands.XW: ("x", "w"), Operands.WX: ("w", "x"), Operands.SW: ("s", "w")}[
            Operands(i["operands"])
        ]
        for k in range(i["k_words"]):
            found |= {(b, i["b_base"] + c * i["b_stride"] + k) for c in range(tiles)}
            if a != "s":
                found |= {(a, i["a_base"] + r * i["a_stride"] + k) for r in range(i["row_tiles"])}
        if a == "s":
            found.add(("s", i["slot"]))
        if i["residual"]:
            found |= Footprint.writes(i, 1)
        return found

    @staticmethod
    def writes(i: Instruction, depth: int) -> set[tuple[str, int]]:
        if i["destination"] == Memory.S:
            return {("s", i["slot"])}
        words = i["columns"] if i["destination"] == Memory.R else -(-i["columns"] // depth)
        name = "xwr"[i["destination"]]
        return {
            (name, i["o_base"] + r * i["o_stride"] + c) for r in range(i["row_tiles"]) for c in range(words)
        }


def random_program(
    config: AcceleratorConfig,
    memories: Memories,
    rng: np.random.Generator,
    count: int,
    *,
    destinations: Sequence[Memory],
) -> list[Instruction]:
    """``count`` instructions, executed on ``memories`` as they are made; a reader of an unfinished write waits."""
    n, depth = config.array.lanes, config.array.depth
    program: list[Instruction] = []
    unfinished: set[tuple[str, int]] = set()
    score_words = {0: 0, 1: 0}
    while len(program) < count:
        operands = Operands(rng.choice([0, 0, 1, 1, 2] if any(score_words.values()) else [0, 1]))
        allowed = [d for d in destinations if not (d == Memory.S and operands == Operands.SW)]
        instruction = random_matmul(config, rng, destination=Memory(rng.choice(allowed)), operands=operands)
        if operands == Operands.SW:
            words = score_words[instruction["slot"]]
            if not words:
                continue
            instruction = matmul(**{**instruction.fields, "k_words": words})
        try:
            execute(instruction, memories)
        except GoldenError:  # beyond the end of a memory, or reads what it writes
            continue
        if unfinished & Footprint.reads(instruction, n):
            instruction, unfinished = instruction.with_tokens(wait=WAIT, signal=0), set()
        unfinished |= Footprint.writes(instruction, depth)
        if instruction["destination"] == Memory.S:
            score_words[instruction["slot"]] = -(-instruction["columns"] // depth)
        program.append(instruction)
    return program


@cache
def bench(config: AcceleratorConfig) -> MatrixBench:
    """One for each configuration: elaborating it takes longer than a program."""
    return MatrixBench(config)


def run(config: AcceleratorConfig, program: list[Instruction], seed: int = 0) -> Outcome:
    """Runs a legal program and compares all memories."""
    before = random_memories(config, np.random.default_rng(seed))
    expected = copy.deepcopy(before)
    for pc, instruction in enumerate(program):
        execute(instruction, expected, pc)
    outcome = bench(config).run(program, before)
    assert outcome.errors == []
    assert len(outcome.done) == len(program)
    compare(outcome, expected)
    return outcome
