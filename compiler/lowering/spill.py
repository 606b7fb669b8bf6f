"""Scores that go to DRAM and back: what a machine does that cannot keep the score row of a query tile on chip.

This machine can, and its score buffer S has no path to DRAM. So for each block of keys of each query tile a STORE and a
LOAD of as many bytes as 16-bit scores would have (for each of N lanes and each key) move a part of R to the write
window and the same number of bytes from the read window back. For the order of instructions they read and write the
block's slot of S, so the values are multiplied after the bytes are back. The results are those of the fused program.
"""

from __future__ import annotations

from vitreous.compiler.lowering.plan import Plan, Spill
from vitreous.compiler.operations import Attention
from vitreous.compiler.steps import Buffer, Moved
from vitreous.spec.isa import Memory, Opcode
from vitreous.spec.layout import DRAM_ALIGN, align
from vitreous.spec.limits import SCORE_SLOTS
from vitreous.spec.opcodes.causes import Cause


def spill_scores(plan: Plan, attention: Attention, block: range, slot: int) -> None:
    """STORE and LOAD for the scores of a query tile by the keys ``block`` in ``slot`` of S: a word of R, 2N bytes, for
    each key."""
    spill = _room(plan, attention)
    stride = _bytes(plan, spill.words)
    for opcode, offset in ((Opcode.STORE, spill.write_offset), (Opcode.LOAD, spill.read_offset)):
        plan.emitter.transfer(
            opcode,
            attention.layer,
            {"base": (spill.buffer, slot * spill.words)},
            Moved(f"{attention.output}.scores", Cause.SCORES),
            slot_of_scores=slot,
            memory=int(Memory.R),
            words=len(block),
            rows=1,
            stride=len(block),
            dram_offset=offset + slot * stride,
            dram_stride=0,
        )


def _room(plan: Plan, attention: Attention) -> Spill:
    """Made at the first attention whose longest block has this number of keys. It begins as zeros, so every run stores
    the same."""
    keys = max(map(len, attention.blocks))
    if keys not in plan.spills:
        buffer = Buffer(f"spilled scores of {keys} keys", Memory.R, SCORE_SLOTS * keys, attention.layer)
        emitter, size = plan.emitter, SCORE_SLOTS * _bytes(plan, keys)
        plan.spills[keys] = Spill(buffer, keys, emitter.image.reserve(size), emitter.write_size)
        emitter.write_size += size
        emitter.emit(
            Opcode.FILL, attention.layer, {"base": (buffer, 0)}, memory=int(Memory.R), words=buffer.words
        )
    return plan.spills[keys]


def _bytes(plan: Plan, keys: int) -> int:
    """Of the scores of one query tile in DRAM."""
    return align(keys * plan.config.residual_word_bytes, DRAM_ALIGN)
