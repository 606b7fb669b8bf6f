"""MATMUL: a product on the array and what its epilogue makes of the accumulators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import assert_never

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.layout import ceil_div
from vitreous.spec.opcodes.kinds import Activation, Field, Memory, Operands, Queue, Scale
from vitreous.spec.opcodes.opcode import Accesses, Fields, OpcodeSpec, Region, memory_event

FIELDS = (
    Field("operands", 2),
    Field("destination", 3),
    Field("scale", 2),
    Field("activation", 2),
    Field("residual", 1),
    Field("slot", 1),
    Field("a_base", 16),
    Field("a_stride", 16),
    Field("b_base", 16),
    Field("b_stride", 16),
    Field("k_words", 16),
    Field("row_tiles", 12),
    Field("columns", 16),
    Field("o_base", 16),
    Field("o_stride", 16),
    Field("p_base", 16),
    Field("zero_point", 8, signed=True),
    Field("multiplier", 15),
    Field("shift", 6),
    Field("extra_planes", 1),
    Field("first_block", 1),
    Field("last_block", 1),
)

_BLOCKS: Mapping[tuple[int, int], tuple[str, ...]] = {
    (1, 1): (),  # a row of one block
    (1, 0): ("first block",),
    (0, 0): ("next block",),
    (0, 1): ("last block",),
}
"""How a listing names the blocks of a score row and of its context, by ``first_block`` and ``last_block``."""


def has_result(i: Fields) -> bool:
    """Whether anything is written: not by a block of a context that is not the last of its row."""
    return i["operands"] != Operands.SW or bool(i["last_block"])


def accesses(i: Fields, config: AcceleratorConfig) -> Accesses:
    """Both operands, parameters and residual are read; the result is written. Of a context's blocks only the last one
    of a row writes and reads more than operands."""
    reads = [_a(i), _b(i, config.array.lanes)]
    if not has_result(i):
        return Accesses(tuple(reads), ())
    reads += _parameters(i, config.array.lanes)
    written = _result(i, config)
    if written.memory is Memory.R and i["residual"]:
        reads.append(written)
    return Accesses(tuple(reads), (written,))


def _a(i: Fields) -> Region:
    match Operands(i["operands"]):
        case Operands.XW:
            return Region(Memory.X, i["a_base"], i["k_words"], i["row_tiles"], i["a_stride"])
        case Operands.WX:
            return Region(Memory.W, i["a_base"], i["k_words"], i["row_tiles"], i["a_stride"])
        case Operands.SW:
            return Region(Memory.S, i["slot"], 1)
        case never:
            assert_never(never)


def _b(i: Fields, lanes: int) -> Region:
    match Operands(i["operands"]):
        case Operands.XW | Operands.SW:
            memory = Memory.W
        case Operands.WX:
            memory = Memory.X
        case never:
            assert_never(never)
    return Region(memory, i["b_base"], i["k_words"], ceil_div(i["columns"], lanes), i["b_stride"])


def _parameters(i: Fields, lanes: int) -> tuple[Region, ...]:
    match Scale(i["scale"]):
        case Scale.COLUMN:
            words = i["columns"]
        case Scale.TENSOR:
            words = 1
        case Scale.LANE:
            words = i["row_tiles"] * lanes
        case Scale.SOFTMAX:
            return ()
        case never:
            assert_never(never)
    return (Region(Memory.P, i["p_base"], words),)


def _result(i: Fields, config: AcceleratorConfig) -> Region:
    match Memory(i["destination"]):
        case Memory.X | Memory.W as memory:
            words = ceil_div(i["columns"], config.array.depth)
            return Region(memory, i["o_base"], words, i["row_tiles"], i["o_stride"])
        case Memory.R:
            return Region(Memory.R, i["o_base"], i["columns"], i["row_tiles"], i["o_stride"])
        case Memory.S:
            return Region(Memory.S, i["slot"], 1)
        case Memory.P:
            raise ValueError("P is not a destination of MATMUL")
        case never:
            assert_never(never)


def counts(i: Fields, config: AcceleratorConfig) -> Counter[str]:
    """Words of both operands, columns by what they pass through, words of results. A block of a context that is not the
    last of its row has no results: its columns stay where they are read out."""
    lanes, rows, columns = config.array.lanes, i["row_tiles"], i["columns"]
    words = rows * ceil_div(columns, lanes) * i["k_words"] * (1 + i["extra_planes"])
    read_out = rows * columns
    found = Counter({"array_busy": words, "w_reads": words, "readout_columns": read_out})
    found["s_reads" if i["operands"] == Operands.SW else "x_reads"] += words
    if not has_result(i):
        return found
    if i["activation"] == Activation.SMOOTH:
        found["activation_columns"] = read_out
    if i["scale"] != Scale.SOFTMAX:
        found["p_reads"] = rows * lanes if i["scale"] == Scale.LANE else read_out
    memory = Memory(i["destination"])
    if memory is Memory.R:
        found["r_writes"] = read_out
        found["r_reads"] = read_out * i["residual"]
    else:
        found[memory_event(memory, "writes")] += rows * ceil_div(columns, config.array.depth)
    if memory is Memory.S:
        found["score_columns"] = read_out
    return found


def line(i: Fields, config: AcceleratorConfig, moved: Accesses) -> str:
    """Sizes, and what happens to the columns."""
    words = [
        f"{moved}; {Operands(i['operands']).name} {i['row_tiles']} tiles x {i['columns']} columns, "
        f"k {i['k_words']} words",
        f"scale {Scale(i['scale']).name}",
    ]
    match Activation(i["activation"]):
        case Activation.NONE:
            pass
        case Activation.SMOOTH:
            words.append(config.activation.function.upper())
        case Activation.RELU:
            words.append("RELU")
        case never:
            assert_never(never)
    if i["extra_planes"]:
        words.append("two passes")
    if i["destination"] == Memory.S or i["operands"] == Operands.SW:
        words += _BLOCKS[i["first_block"], i["last_block"]]
    if i["residual"]:
        words.append("residual")
    if i["zero_point"]:
        words.append(f"zero {i['zero_point']}")
    if i["multiplier"]:
        words.append(f"m {i['multiplier']} s {i['shift']}")
    return ", ".join(words)


MATMUL = OpcodeSpec(
    Queue.MATRIX,
    FIELDS,
    accesses,
    counts,
    line,
    counted=(
        "operands",
        "destination",
        "scale",
        "activation",
        "residual",
        "k_words",
        "row_tiles",
        "columns",
        "extra_planes",
        "last_block",
    ),
)
