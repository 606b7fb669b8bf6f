"""The vector unit: layer norm, RMS norm and the mean over tokens, on the residual memory (docs/machine.md, NORM,
POOL)."""

from __future__ import annotations

import numpy as np
import torch

from vitreous.golden.machine.matmul import Finish
from vitreous.golden.machine.memories import Memories, refuse_overlap, rows_of_words
from vitreous.golden.norm.constants import NormConstants
from vitreous.golden.norm.norm import norm
from vitreous.golden.ops.requantize import requantize_any
from vitreous.spec.isa import Instruction, Memory
from vitreous.spec.layout import ceil_div, pack_panel


def _rows(i: Instruction, memories: Memories, pc: int) -> torch.Tensor:
    """The tiles that the instruction reads, as int16 [row_tiles * lanes, channels]."""
    words = rows_of_words(i["r_base"], i["r_stride"], i["row_tiles"], i["channels"])
    memories.check(Memory.R, words, pc)
    return torch.from_numpy(memories.r[words].transpose(0, 2, 1).reshape(-1, i["channels"]))


def start_norm(i: Instruction, memories: Memories, pc: int) -> Finish:
    """Read and normalize every lane of every tile. The returned call writes words of X."""
    array = memories.config.array
    channels = i["channels"]
    shifts = memories.shifts(i["shift_base"], channels, pc) if i["shifted"] else np.zeros(channels, np.int64)
    constants = NormConstants(
        i["multiplier"], i["shift"], i["epsilon"], i["zero_point"], torch.from_numpy(shifts)
    )
    y = norm(
        _rows(i, memories, pc), memories.config.norm, constants, centred=bool(i["centred"]), strict=False
    )
    words = rows_of_words(i["x_base"], i["x_stride"], i["row_tiles"], ceil_div(channels, array.depth))
    memories.check(Memory.X, words, pc)
    panel = pack_panel(y.numpy(), array.lanes, array.depth)

    def finish() -> None:
        memories.x[words] = panel

    return finish


def start_pool(i: Instruction, memories: Memories, pc: int) -> Finish:
    """Read the tokens and average them. The returned call writes lane 0 of words of R, and zero in the other lanes."""
    refuse_overlap(
        rows_of_words(i["r_base"], i["r_stride"], i["row_tiles"], i["channels"]),
        i["o_base"] + np.arange(i["channels"]),
    )
    rows = _rows(i, memories, pc)[: i["tokens"]]
    total = rows[i["first"] :].to(torch.int64).sum(dim=0, keepdim=True)
    y = requantize_any(total, torch.tensor(i["multiplier"]), torch.tensor(i["shift"]), 0, 16)
    words = i["o_base"] + np.arange(i["channels"])
    memories.check(Memory.R, words, pc)

    def finish() -> None:
        memories.r[words] = 0
        memories.r[words, 0] = y[0].numpy()

    return finish
