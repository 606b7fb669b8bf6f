"""What an instruction does to the hardware's counters: the one definition, for the cycle model and for every estimate.

Of ``isa.COUNTERS`` these are ``array_busy`` and the counters of words, columns, beats and instructions, which need no
clock. Not here: ``fetch_beats``, which depends on the bursts of instruction fetch, and the counters of cycles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from operator import itemgetter

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Activation, Instruction, Memory, Opcode, Operands, Scale
from vitreous.spec.layout import ceil_div, word_bytes
from vitreous.spec.patches import pixel_rows, steps_of_beats


def work(instructions: Iterable[Instruction], config: AcceleratorConfig) -> Counter[str]:
    """Counts by counter name that ``instructions`` cause together, on the accelerator of ``config``.

    A counter that they do not touch may be missing. ``array_busy`` is in words of A: one a cycle.
    """
    total: Counter[str] = Counter()
    # Of each kind of product: a program has few kinds and many products.
    rows: dict[tuple[int, ...], int] = {}
    instructions = tuple(instructions)
    for instruction in instructions:
        i, opcode = instruction.fields, instruction.opcode
        if opcode is Opcode.MATMUL:
            kind = _kind(i)
            rows[kind] = rows.get(kind, 0) + i["row_tiles"]
        elif opcode is Opcode.LOAD or opcode is Opcode.STORE:
            _transfer(total, i, opcode, config)
        elif opcode is Opcode.NORM or opcode is Opcode.POOL:
            _row(total, i, opcode, config)
        elif opcode is Opcode.FILL:
            total[f"{Memory(i['memory']).name.lower()}_writes"] += i["words"]
        elif opcode is Opcode.LOAD_PATCHES:
            for _, phase in pixel_rows(i):
                steps = steps_of_beats(i, phase, config)
                total["x_writes"] += sum(steps)
                total["load_beats"] += len(steps)
    for kind, count in rows.items():
        _matmul(total, dict(zip(KIND, kind, strict=True)), count, config)
    total["instructions"] = len(instructions)
    return total


KIND = ("operands", "destination", "scale", "activation", "residual", "k_words", "columns", "wide")
"""The fields of a MATMUL that decide what it does to the counters for each row of tiles."""
_kind = itemgetter(*KIND)


def _matmul(total: Counter[str], i: dict[str, int], rows: int, config: AcceleratorConfig) -> None:
    lanes, columns = config.array.lanes, i["columns"]
    words = rows * ceil_div(columns, lanes) * i["k_words"] * (1 + i["wide"])
    read_out = rows * columns
    total["array_busy"] += words
    total["w_reads"] += words
    total["s_reads" if i["operands"] == Operands.SW else "x_reads"] += words
    total["readout_columns"] += read_out
    total["activation_columns"] += read_out * (i["activation"] == Activation.SMOOTH)
    if i["scale"] != Scale.SOFTMAX:
        total["p_reads"] += rows * lanes if i["scale"] == Scale.LANE else read_out
    destination = Memory(i["destination"])
    if destination is Memory.R:
        total["r_writes"] += read_out
        total["r_reads"] += read_out * i["residual"]
    else:
        total[f"{destination.name.lower()}_writes"] += rows * ceil_div(columns, config.array.depth)
        total["score_columns"] += read_out * (destination is Memory.S)


def _row(total: Counter[str], i: dict[str, int], opcode: Opcode, config: AcceleratorConfig) -> None:
    columns = i["channels"] * i["row_tiles"]
    if opcode is Opcode.POOL:
        total["r_reads"] += columns
        total["r_writes"] += i["channels"]
    else:
        total["r_reads"] += (2 + has_mean_pass(i, config)) * columns
        total["norm_columns"] += columns
        total["x_writes"] += ceil_div(i["channels"], config.array.depth) * i["row_tiles"]


def _transfer(total: Counter[str], i: dict[str, int], opcode: Opcode, config: AcceleratorConfig) -> None:
    memory, load = Memory(i["memory"]), opcode is Opcode.LOAD
    beats = ceil_div(i["words"] * word_bytes(config, memory), config.bus.beat_bytes)
    total["load_beats" if load else "store_beats"] += i["rows"] * beats
    if memory is not Memory.P:  # p_writes: the beats of LOAD say it
        total[f"{memory.name.lower()}_{'writes' if load else 'reads'}"] += i["rows"] * i["words"]


def has_mean_pass(i: dict[str, int], config: AcceleratorConfig) -> bool:
    """Whether a NORM with fields ``i`` reads each tile once more, for its mean."""
    return config.norm.mean_pass and bool(i["centred"])
