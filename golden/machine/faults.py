"""The error that an instruction stops with, from its fields alone: no data decides it (docs/machine.md, Errors).

Every check is by ends: the last word of a region, the last byte of a row. So an instruction of 2**32 words costs no
more than one of a few.
"""

from __future__ import annotations

from typing import NamedTuple, assert_never

from vitreous.golden.machine.decode_checks import check_fields
from vitreous.golden.machine.errors import MachineError
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import OPCODES, ErrorCode, Instruction, Memory, Opcode
from vitreous.spec.layout import ceil_div, memory_words, word_bytes
from vitreous.spec.opcodes.opcode import Region

_ALIGNED = {
    Opcode.LOAD: ("dram_offset", "dram_stride"),
    Opcode.STORE: ("dram_offset", "dram_stride"),
    Opcode.LOAD_PATCHES: ("dram_offset", "row_stride", "channel_stride"),
}


class Windows(NamedTuple):
    """Bytes of the read window and of the write window."""

    read: int
    write: int


def first_fault(i: Instruction, pc: int, config: AcceleratorConfig, windows: Windows) -> MachineError | None:
    """What stops the machine at ``i``, or None. Fields come first, then alignment, then what is met first in the order
    of rows; of one row its place in DRAM comes before its words."""
    try:
        check_fields(i, config, pc)
        _check_alignment(i, pc, config)
        match i.opcode:
            case Opcode.LOAD:
                _check_rows(i, pc, config, windows.read)
            case Opcode.STORE:
                _check_rows(i, pc, config, windows.write)
            case Opcode.LOAD_PATCHES:
                _check_pixel_rows(i, pc, config, windows.read)
            case Opcode.MATMUL | Opcode.NORM | Opcode.POOL | Opcode.FILL:
                for region in (region for side in regions(i, config) for region in side):
                    _check_region(region, pc, config)
            case Opcode.END:
                pass
            case _:
                assert_never(i.opcode)
    except MachineError as error:
        return error
    return None


def regions(i: Instruction, config: AcceleratorConfig) -> tuple[tuple[Region, ...], tuple[Region, ...]]:
    """The words on the chip that a legal instruction reads, and those that it writes."""
    reads, writes = OPCODES[i.opcode].accesses(i.fields, config)
    return reads, writes


def _check_alignment(i: Instruction, pc: int, config: AcceleratorConfig) -> None:
    beat = config.bus.beat_bytes
    for name in _ALIGNED.get(i.opcode, ()):
        if i[name] % beat:
            detail = f"{name} {i[name]} is not a multiple of {beat} bytes"
            raise MachineError(ErrorCode.ALIGNMENT, pc, detail)


def _check_region(region: Region, pc: int, config: AcceleratorConfig) -> None:
    if region.memory is not Memory.S and region.end > memory_words(config, region.memory):
        _outside(region.memory, region.end - 1, pc, config)


def _outside(memory: Memory, word: int, pc: int, config: AcceleratorConfig) -> None:
    detail = f"word {word} of {memory.name}, which has {memory_words(config, memory)}"
    raise MachineError(ErrorCode.ADDRESS, pc, detail)


def _first_beyond(first: int, stride: int, size: int, bound: int) -> int | None:
    """The first row ``r`` with ``first + r * stride + size > bound``."""
    if first + size > bound:
        return 0
    return None if not stride else (bound - first - size) // stride + 1


def _check_rows(i: Instruction, pc: int, config: AcceleratorConfig, window: int) -> None:
    """Of LOAD and STORE: the first row that leaves the window or its memory."""
    memory = Memory(i["memory"])
    size = i["words"] * word_bytes(config, memory)
    in_dram = _first_beyond(i["dram_offset"], i["dram_stride"], size, window)
    on_chip = _first_beyond(i["base"], i["stride"], i["words"], memory_words(config, memory))
    if in_dram is not None and in_dram < i["rows"] and (on_chip is None or in_dram <= on_chip):
        end = i["dram_offset"] + in_dram * i["dram_stride"] + size
        raise MachineError(ErrorCode.WINDOW, pc, f"byte {end - 1} of a window of {window}")
    if on_chip is not None and on_chip < i["rows"]:
        _outside(memory, i["base"] + on_chip * i["stride"] + i["words"] - 1, pc, config)


def _check_pixel_rows(i: Instruction, pc: int, config: AcceleratorConfig, window: int) -> None:
    """Of LOAD_PATCHES: all strides are at least 0, so the last pixel row of all is the farthest; which error comes
    first is looked for only where there are both."""
    patch, across, down, channels = i["patch"], i["grid_columns"], i["grid_rows"], i["channels"]
    size = across * patch
    last = i["dram_offset"] + (down * patch - 1) * i["row_stride"] + (channels - 1) * i["channel_stride"]
    (panel,) = regions(i, config)[1]
    leaves, overruns = last + size > window, panel.end > memory_words(config, Memory.X)
    if leaves and (not overruns or _window_first(i, config, window)):
        raise MachineError(ErrorCode.WINDOW, pc, f"byte {last + size - 1} of a window of {window}")
    if overruns:
        _outside(Memory.X, panel.end - 1, pc, config)


def _window_first(i: Instruction, config: AcceleratorConfig, window: int) -> bool:
    """Whether a pixel row leaves the window before one has written beyond the end of X."""
    patch, across, lanes = i["patch"], i["grid_columns"], config.array.lanes
    depth = memory_words(config, Memory.X)
    for gy in range(i["grid_rows"]):
        tile = (i["first_token"] + (gy + 1) * across - 1) // lanes
        base = i["base"] + tile * i["stride"]
        for c in range(i["channels"]):
            for y in range(patch):
                row = i["dram_offset"] + (gy * patch + y) * i["row_stride"] + c * i["channel_stride"]
                if row + across * patch > window:
                    return True
                if base + ((c * patch + y) * patch + patch - 1) // config.array.depth >= depth:
                    return False
    raise AssertionError("one of the two was found by its end")


def words_moved(i: Instruction, config: AcceleratorConfig) -> int:
    """About the cycles that a legal instruction takes: words of every region, pairs of operands."""
    reads, writes = regions(i, config)
    moved = sum(region.words * region.rows for side in (reads, writes) for region in side)
    match i.opcode:
        case Opcode.MATMUL:
            tiles = i["row_tiles"] * ceil_div(i["columns"], config.array.lanes)
            return moved + 2 * tiles * max(i["k_words"], config.array.lanes)
        case Opcode.LOAD_PATCHES:
            return i["grid_rows"] * i["channels"] * i["patch"] ** 2 * i["grid_columns"]
        case Opcode.LOAD | Opcode.STORE | Opcode.FILL | Opcode.NORM | Opcode.POOL:
            return moved
        case Opcode.END:
            return 0
        case _:
            assert_never(i.opcode)
