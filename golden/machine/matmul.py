"""The matrix unit: products on the array and the epilogue through which they are read out (docs/machine.md, MATMUL)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.golden.activation.activation import activation
from vitreous.golden.arith.integers import product
from vitreous.golden.machine.memories import Blocks, Ints, Memories, refuse_overlap, rows_of_words
from vitreous.golden.ops.add import add
from vitreous.golden.ops.context import add_block, planes
from vitreous.golden.ops.relu import relu
from vitreous.golden.ops.requantize import requantize_any
from vitreous.golden.softmax.blocks import Joined, add_sums, join
from vitreous.golden.softmax.softmax import Statistics, probabilities, row_scale, statistics
from vitreous.spec.isa import Activation, Instruction, Memory, Operands, Scale
from vitreous.spec.layout import ceil_div
from vitreous.spec.numbers import SCORE
from vitreous.spec.softmax import MASKED_CODE

Finish = Callable[[], None]

_SUM_BITS = 32
_SOURCES = {Operands.XW: (Memory.X, Memory.W), Operands.WX: (Memory.W, Memory.X)}


def start(i: Instruction, memories: Memories, pc: int) -> Finish:
    """Read both operands and multiply. The returned call is the readout: it reads parameters, residual, and writes."""
    a, b = _operands(i, memories, pc)
    byte_planes = planes(a) if i["extra_planes"] else (a,)
    found = [product(plane, b)[:, : i["columns"]] for plane in byte_planes]
    if i["operands"] != Operands.SW:
        return lambda: _readout(i, found[0].to(torch.int64), memories, pc)
    maximum = torch.from_numpy(memories.slots[i["slot"]].maximum)
    return lambda: _end_block(i, found, maximum, memories, pc)


def _operands(i: Instruction, memories: Memories, pc: int) -> tuple[torch.Tensor, torch.Tensor]:
    """int8 A [row_tiles * lanes, k] (int16: a two-pass operand), B [column tiles * lanes, k]: whole tiles."""
    lanes = memories.config.array.lanes
    b_words = rows_of_words(i["b_base"], i["b_stride"], ceil_div(i["columns"], lanes), i["k_words"])
    if i["operands"] == Operands.SW:
        if i["destination"] == Memory.W and i["last_block"]:
            refuse_overlap(b_words, _written(i, memories))
        return _probabilities(i, memories), _panel(memories, Memory.W, b_words, pc)
    source_a, source_b = _SOURCES[Operands(i["operands"])]
    a_words = rows_of_words(i["a_base"], i["a_stride"], i["row_tiles"], i["k_words"])
    for source, words in ((source_a, a_words), (source_b, b_words)):
        if source == i["destination"]:
            refuse_overlap(words, _written(i, memories))
    return _panel(memories, source_a, a_words, pc), _panel(memories, source_b, b_words, pc)


def _probabilities(i: Instruction, memories: Memories) -> torch.Tensor:
    """Of the slot's codes, a row for each lane: int8 [lanes, k], int16 where two-pass."""
    codes = torch.from_numpy(memories.s[i["slot"], : i["k_words"]].astype(np.int64))
    keys = codes.permute(1, 0, 2).flatten(1)
    slot = memories.slots[i["slot"]]
    found = Statistics(keys, torch.from_numpy(slot.maximum), torch.from_numpy(slot.total))
    return probabilities(found, memories.config.softmax, wide=bool(i["extra_planes"]))


def _panel(memories: Memories, memory: Memory, words: Ints, pc: int) -> torch.Tensor:
    memories.check(memory, words, pc)
    tiles = memories.array(memory)[words]  # [tile, word, lane, depth]
    return torch.from_numpy(tiles.transpose(0, 2, 1, 3).reshape(len(words) * tiles.shape[2], -1))


def _end_block(
    i: Instruction, found: list[torch.Tensor], maximum: torch.Tensor, memories: Memories, pc: int
) -> None:
    """Probabilities times values of one block of keys: added to those of the blocks before, read out after the last.

    found : float64 [lanes, columns] of each byte plane; maximum : of the block, int64 [lanes].
    """
    state = memories.blocks
    joined = join(maximum if i["first_block"] else torch.from_numpy(state.context_maximum), maximum)
    state.context_maximum = joined.maximum.numpy()
    if i["first_block"] and i["last_block"] and not i["extra_planes"]:
        _readout(i, found[0].to(torch.int64), memories, pc)
        return
    places = np.arange(i["columns"]) % len(state.contexts)
    older = torch.zeros(1, 1, dtype=torch.float64)
    if not i["first_block"]:
        older = torch.from_numpy(state.contexts[places].T.astype(np.float64))
    acc = add_block(older, found, Joined(*(values.unsqueeze(-1) for values in joined))).to(torch.int64)
    state.contexts[places] = acc.to(torch.int32).numpy().T  # of columns that share a place the last one stays
    if i["last_block"]:
        _readout(i, acc, memories, pc)


def _written(i: Instruction, memories: Memories) -> Ints:
    per_row = (
        i["columns"] if i["destination"] == Memory.R else ceil_div(i["columns"], memories.config.array.depth)
    )
    return rows_of_words(i["o_base"], i["o_stride"], i["row_tiles"], per_row)


def _scale(i: Instruction, memories: Memories, pc: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Bias, multiplier and shift, broadcastable to [row_tiles * lanes, columns]."""
    lanes = memories.config.array.lanes
    if i["scale"] == Scale.SOFTMAX:
        slot = memories.slots[i["slot"]]
        values = (np.zeros(lanes, np.int64), slot.multiplier, slot.shift)
    else:
        count = {Scale.COLUMN: i["columns"], Scale.TENSOR: 1, Scale.LANE: i["row_tiles"] * lanes}[
            Scale(i["scale"])
        ]
        values = memories.parameters(i["p_base"] + np.arange(count), pc)
    by_lane = i["scale"] in (Scale.LANE, Scale.SOFTMAX)
    first, second, third = (torch.from_numpy(v.reshape((-1, 1) if by_lane else (1, -1))) for v in values)
    return first, second, third


def _readout(i: Instruction, acc: torch.Tensor, memories: Memories, pc: int) -> None:
    """Acc int64 [row_tiles * lanes, columns]; the bias is added in 32 bits, as the accumulators are."""
    bias, multiplier, shift = _scale(i, memories, pc)
    total = (acc + bias).to(torch.int32)
    destination = Memory(i["destination"])
    if destination == Memory.S:
        _to_scores(i, requantize_any(total, multiplier, shift, 0, SCORE.width), memories)
    elif destination == Memory.R:
        _to_residual(i, requantize_any(total, multiplier, shift, 0, 16), memories, pc)
    else:
        _to_panel(i, _activate(i, total, multiplier, shift, memories), destination, memories, pc)


def _activate(
    i: Instruction, acc: torch.Tensor, multiplier: torch.Tensor, shift: torch.Tensor, memories: Memories
) -> torch.Tensor:
    zero_point = i["zero_point"]
    if i["activation"] == Activation.SMOOTH:
        y = activation(requantize_any(acc, multiplier, shift, 0, 16), memories.config.activation)
        return requantize_any(y, torch.tensor(i["multiplier"]), torch.tensor(i["shift"]), zero_point, 8)
    y = requantize_any(acc, multiplier, shift, zero_point, 8)
    return relu(y, zero_point) if i["activation"] == Activation.RELU else y


def _pack(values: torch.Tensor, fill: int, lanes: int, depth: int) -> NDArray[Any]:
    """[row_tiles * lanes, columns] -> words [row_tiles, words, lanes, depth], the last word of a row filled up."""
    columns = values.shape[1]
    padded = torch.nn.functional.pad(values, (0, -columns % depth), value=fill)
    return padded.reshape(-1, lanes, padded.shape[1] // depth, depth).permute(0, 2, 1, 3).numpy()


def _to_panel(i: Instruction, values: torch.Tensor, memory: Memory, memories: Memories, pc: int) -> None:
    words = _written(i, memories)
    memories.check(memory, words, pc)
    array = memories.config.array
    memories.array(memory)[words] = _pack(values, 0, array.lanes, array.depth)


def _to_residual(i: Instruction, values: torch.Tensor, memories: Memories, pc: int) -> None:
    words = _written(i, memories)
    memories.check(Memory.R, words, pc)
    tiles = values.reshape(i["row_tiles"], -1, i["columns"]).transpose(1, 2)
    for row, tile in zip(words, tiles, strict=True):  # one by one: rows of tiles may share words
        if i["residual"]:
            tile = add(tile, torch.from_numpy(memories.r[row]))
        memories.r[row] = tile.numpy()


def _to_scores(i: Instruction, t: torch.Tensor, memories: Memories) -> None:
    config = memories.config
    found = statistics(t, config.softmax)
    codes = _pack(found.codes, MASKED_CODE, config.array.lanes, config.array.depth)[0]
    memories.s[i["slot"], : len(codes)] = codes
    slot = memories.slots[i["slot"]]
    slot.maximum, slot.total = found.maximum.numpy(), found.total.numpy()
    total = _join_rows(i, found, memories.blocks)
    if i["last_block"]:
        multiplier, shift = row_scale(total, i["multiplier"], i["shift"], config.softmax, strict=False)
        slot.multiplier, slot.shift = multiplier.numpy(), shift.numpy()


def _join_rows(i: Instruction, block: Statistics, state: Blocks) -> torch.Tensor:
    """The rows' sums with this block's, int64 [lanes]; they are kept in 32 bits, together with the maxima."""
    maximum, total = block.maximum, block.total
    if not i["first_block"]:
        joined = join(torch.from_numpy(state.maximum), maximum)
        maximum = joined.maximum
        total = add_sums(torch.from_numpy(state.total), total, joined) & (1 << _SUM_BITS) - 1
    state.maximum, state.total = maximum.numpy(), total.numpy()
    return total
