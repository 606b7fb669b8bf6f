"""Which fields the machine refuses with ILLEGAL_FIELD, before it reads or writes anything (docs/machine.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from vitreous.golden.machine.errors import MachineError
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Activation, ErrorCode, Instruction, Memory, Opcode, Operands, Scale
from vitreous.spec.layout import ceil_div
from vitreous.spec.limits import NORM_CHANNELS, POOL_TOKENS
from vitreous.spec.numbers import MULTIPLIER_BITS
from vitreous.spec.softmax import limits

_NORMALIZED = 1 << MULTIPLIER_BITS - 1
"""The least multiplier with all its bits: what rows are scaled by."""
_PANELS = (Memory.X, Memory.W)
_STREAMS = (Memory.X, Memory.W, Memory.R)


def _scale_constants(i: Instruction, least: int = 1) -> Iterator[str]:
    if i["multiplier"] < least:
        yield f"multiplier {i['multiplier']}, less than {least}"
    if not i["shift"]:
        yield "shift 0"


def _matmul(i: Instruction, config: AcceleratorConfig) -> Iterator[str]:
    if i["operands"] > Operands.SW or i["activation"] > Activation.RELU:
        yield f"operands {i['operands']}, activation {i['activation']}"
    if i["destination"] not in (*_STREAMS, Memory.S):
        yield f"destination {i['destination']}"
    for name in ("k_words", "row_tiles", "columns"):
        if not i[name]:
            yield f"{name} 0"
    probabilities, to_scores = i["operands"] == Operands.SW, i["destination"] == Memory.S
    if (probabilities or to_scores) and i["row_tiles"] != 1:
        yield f"{i['row_tiles']} row tiles where a score slot holds one"
    if probabilities and i["k_words"] > config.s_depth:
        yield f"{i['k_words']} words of scores where a slot holds {config.s_depth}"
    if to_scores and ceil_div(i["columns"], config.array.depth) > config.s_depth:
        yield f"{i['columns']} columns of scores where a slot holds {config.s_depth * config.array.depth}"
    if i["activation"] != Activation.NONE and i["destination"] not in _PANELS:
        yield "an activation with destination R or S"
    if to_scores and i["scale"] in (Scale.SOFTMAX, Scale.LANE):
        yield "scores scaled by lane"
    if i["scale"] == Scale.SOFTMAX and not probabilities:
        yield "the scale of a softmax without its probabilities"
    if probabilities and i["scale"] != Scale.SOFTMAX:
        yield "probabilities without the scale of their softmax"
    if probabilities and to_scores:
        yield "scores of probabilities"
    if (probabilities or to_scores) and not (i["first_block"] and i["last_block"]):
        yield from _part_of_a_row(i, config)
    if i["extra_planes"] and not probabilities:
        yield "extra planes without probabilities"
    if i["extra_planes"] and config.softmax.probability_bits == 8:
        yield "extra planes on an accelerator whose probabilities have 8 bits"
    if to_scores or i["activation"] == Activation.SMOOTH:
        yield from _scale_constants(i, _NORMALIZED if to_scores else 1)


def _part_of_a_row(i: Instruction, config: AcceleratorConfig) -> Iterator[str]:
    """Of a block of keys that is not its whole row."""
    if not limits(config.softmax).blocks:
        yield f"a block of a row where softmax {config.softmax.variant} takes rows whole"
    kept = config.memory.context_columns
    if i["operands"] == Operands.SW and i["columns"] > kept:
        yield f"{i['columns']} columns of a block's contexts where {kept} are kept"


def _norm(i: Instruction, config: AcceleratorConfig) -> Iterator[str]:
    if not 0 < i["channels"] <= NORM_CHANNELS or not i["row_tiles"] or not i["epsilon"]:
        yield f"channels {i['channels']}, row_tiles {i['row_tiles']}, epsilon {i['epsilon']}"
    yield from _scale_constants(i, _NORMALIZED)


def _pool(i: Instruction, config: AcceleratorConfig) -> Iterator[str]:
    if not 0 < i["channels"] <= NORM_CHANNELS or not 0 < i["tokens"] <= POOL_TOKENS:
        yield f"channels {i['channels']}, tokens {i['tokens']}"
    if i["row_tiles"] != ceil_div(i["tokens"], config.array.lanes):
        yield f"{i['tokens']} tokens do not end in tile {i['row_tiles']}"
    if i["first"] >= min(i["tokens"], config.array.lanes):
        yield f"the first token {i['first']} is not one of the first tile"
    yield from _scale_constants(i)


def _transfer(i: Instruction, memories: tuple[Memory, ...], sizes: tuple[str, ...]) -> Iterator[str]:
    if memories and i["memory"] not in memories:
        yield f"memory {i['memory']}"
    for name in sizes:
        if not i[name]:
            yield f"{name} 0"


def check_fields(i: Instruction, config: AcceleratorConfig, pc: int) -> None:
    """Raises MachineError ILLEGAL_FIELD that says which field is wrong."""
    match i.opcode:
        case Opcode.MATMUL:
            wrong = _matmul(i, config)
        case Opcode.NORM:
            wrong = _norm(i, config)
        case Opcode.POOL:
            wrong = _pool(i, config)
        case Opcode.LOAD:
            wrong = _transfer(i, (*_STREAMS, Memory.P), ("words", "rows"))
        case Opcode.STORE:
            wrong = _transfer(i, _STREAMS, ("words", "rows"))
        case Opcode.FILL:
            wrong = _transfer(i, _STREAMS, ("words",))
        case Opcode.LOAD_PATCHES:
            wrong = _transfer(i, (), ("patch", "grid_columns", "grid_rows", "channels"))
        case Opcode.END:
            return
        case _:
            assert_never(i.opcode)
    for sentence in wrong:
        raise MachineError(ErrorCode.ILLEGAL_FIELD, pc, f"{i.opcode.name}: {sentence}")
