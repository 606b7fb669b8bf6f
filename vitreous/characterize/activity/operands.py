"""The inputs of the machine's units when a program runs, read beside the functional machine.

Instructions run in program order, each whole, which is one of the orders that their tokens allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.golden.arith.integers import product
from vitreous.golden.machine import Machine
from vitreous.golden.machine.memories import Memories, rows_of_words
from vitreous.golden.ops.context import combine, planes
from vitreous.golden.ops.requantize import requantize_any
from vitreous.golden.softmax.softmax import Statistics, probabilities, statistics
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Activation, Instruction, Memory, Opcode, Operands, Scale
from vitreous.spec.layout import ceil_div
from vitreous.spec.numbers import SCORE
from vitreous.spec.program import Program

Bytes = NDArray[np.int8]
_BLOCK = re.compile(r"^blocks\.\d+\.")


@dataclass(frozen=True, kw_only=True)
class Product:
    """One MATMUL as the units see it. ``part``: of the network, over all its blocks.

    a : int8 [row tiles, passes, words, N, V]; b : int8 [column tiles, words, N, V]; both whole panels.
    columns : that are read out. activation : int16 [row tiles * N, columns] into GELU, or None. scores : integers
        [N, columns] into the softmax statistics, or None. constants : (m_o, s_o) of a score row. codes, maximum : of
        P.V, what the prologue gets: int64 [words, N, V] and [N], or None.
    """

    part: str
    a: Bytes
    b: Bytes
    columns: int
    activation: NDArray[np.int16] | None = None
    scores: NDArray[np.integer] | None = None
    constants: tuple[int, int] = (0, 0)
    codes: NDArray[np.int64] | None = None
    maximum: NDArray[np.int64] | None = None


def products(program: Program, config: AcceleratorConfig, image: NDArray[np.int8]) -> Iterator[Product]:
    """Every MATMUL of a program on one int8 image [C, H, W], with its operands. Raises as the machine does."""
    machine = Machine(config)
    memory = program.with_input(image)
    for instruction in program.instructions:
        if instruction.opcode is Opcode.MATMUL:
            yield _product(instruction, machine.memories, config)
        if instruction.opcode is not Opcode.END:
            machine.execute([instruction.with_tokens(wait=0, signal=0)], memory, program.write_size)


def part_of(i: Instruction) -> str:
    """The layer without its block: ``mlp.fc1``; of attention, which of the two products."""
    if i["operands"] == Operands.SW:
        return "P.V"
    return "Q.K" if i["destination"] == Memory.S else _BLOCK.sub("", i.label)


def _product(i: Instruction, memories: Memories, config: AcceleratorConfig) -> Product:
    lanes = config.array.lanes
    b_words = rows_of_words(i["b_base"], i["b_stride"], ceil_div(i["columns"], lanes), i["k_words"])
    b = memories.array(Memory.X if i["operands"] == Operands.WX else Memory.W)[b_words]
    if i["operands"] == Operands.SW:
        codes = memories.s[i["slot"], : i["k_words"]].astype(np.int64)
        maximum = memories.slots[i["slot"]].maximum
        a = _probabilities(codes, i, memories, config)
        return Product(part=part_of(i), a=a, b=b, columns=i["columns"], codes=codes, maximum=maximum)
    a_words = rows_of_words(i["a_base"], i["a_stride"], i["row_tiles"], i["k_words"])
    panel = memories.array(Memory.W if i["operands"] == Operands.WX else Memory.X)[a_words]
    found = Product(part=part_of(i), a=panel[:, None], b=b, columns=i["columns"])
    if i["activation"] == Activation.SMOOTH:
        return Product(**vars(found) | {"activation": _read_out(i, found, memories, 16)})
    if i["destination"] == Memory.S:
        scores, constants = _read_out(i, found, memories, SCORE.width), (i["multiplier"], i["shift"])
        return Product(**vars(found) | {"scores": scores, "constants": constants})
    return found


def _probabilities(
    codes: NDArray[np.int64], i: Instruction, memories: Memories, config: AcceleratorConfig
) -> Bytes:
    """The A words of P.V, [1, passes, words, N, V]."""
    slot = memories.slots[i["slot"]]
    keys = torch.from_numpy(codes).permute(1, 0, 2).flatten(1)
    state = Statistics(keys, torch.from_numpy(slot.maximum), torch.from_numpy(slot.total))
    p = probabilities(state, config.softmax, wide=bool(i["extra_planes"]))
    words = [
        plane.reshape(len(plane), -1, codes.shape[2]).transpose(0, 1)
        for plane in (planes(p) if i["extra_planes"] else (p,))
    ]
    return np.asarray(torch.stack(words).unsqueeze(0).numpy())


def accumulators(found: Product) -> torch.Tensor:
    """int64 [row tiles * N, columns]: of two passes their sum."""
    tiles, count, words, lanes, depth = found.a.shape
    a = torch.from_numpy(found.a.transpose(1, 0, 3, 2, 4).reshape(count, tiles * lanes, words * depth))
    b = torch.from_numpy(found.b.transpose(0, 2, 1, 3).reshape(-1, words * depth))
    sums = [product(plane, b) for plane in a]
    whole = combine(*sums) if count == 2 else sums[0].to(torch.int64)
    return whole[:, : found.columns]


def _read_out(i: Instruction, found: Product, memories: Memories, bits: int) -> NDArray[Any]:
    """What leaves the first requantization. Raises ValueError for parameters by lane, which neither use has."""
    if i["scale"] not in (Scale.COLUMN, Scale.TENSOR):
        raise ValueError(f"{i.label}: scale {Scale(i['scale']).name} with a nonlinear unit")
    count = i["columns"] if i["scale"] == Scale.COLUMN else 1
    bias, multiplier, shift = (
        torch.from_numpy(v)[None] for v in memories.parameters(i["p_base"] + np.arange(count), 0)
    )
    total = (accumulators(found) + bias).to(torch.int32)
    return np.asarray(requantize_any(total, multiplier, shift, 0, bits).numpy())


def random_like(found: Product, source: np.random.Generator, config: AcceleratorConfig) -> Product:
    """The same product with every value that goes into a unit replaced by a uniformly random one of its type.

    Operands: all 256 bytes, in padded lanes too. GELU's inputs: 16 bits. Scores: all; the prologue's codes and
    maxima are those of such scores.
    """
    changed = dict(vars(found))
    changed["a"] = source.integers(-128, 128, found.a.shape, np.int8)
    changed["b"] = source.integers(-128, 128, found.b.shape, np.int8)
    if found.activation is not None:
        changed["activation"] = source.integers(-(1 << 15), 1 << 15, found.activation.shape, np.int16)
    if found.scores is not None:
        changed["scores"] = source.integers(SCORE.minimum, SCORE.maximum + 1, found.scores.shape, np.int32)
    if found.codes is not None:
        words, lanes, depth = found.codes.shape
        keys = source.integers(SCORE.minimum, SCORE.maximum + 1, (lanes, words * depth), np.int32)
        state = statistics(torch.from_numpy(keys), config.softmax)
        changed["codes"] = state.codes.reshape(lanes, words, depth).transpose(0, 1).numpy()
        changed["maximum"] = state.maximum.numpy()
    return Product(**changed)


def zero_like(found: Product, config: AcceleratorConfig) -> Product:
    """The same product with zeros; all keys of a row have the same score, 0."""
    changed = dict(vars(found))
    for name in ("a", "b", "activation", "scores"):
        changed[name] = None if changed[name] is None else np.zeros_like(changed[name])
    if found.codes is not None:
        words, lanes, depth = found.codes.shape
        state = statistics(torch.zeros((lanes, words * depth), dtype=torch.int32), config.softmax)
        changed["codes"] = state.codes.reshape(lanes, words, depth).transpose(0, 1).numpy()
        changed["maximum"] = state.maximum.numpy()
    return Product(**changed)
