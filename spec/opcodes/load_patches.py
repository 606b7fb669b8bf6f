"""LOAD_PATCHES: rows of an image in DRAM are unfolded into a panel of X by byte-masked writes."""

from __future__ import annotations

from collections import Counter

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.layout import ceil_div
from vitreous.spec.opcodes.kinds import Field, Memory, Queue
from vitreous.spec.opcodes.opcode import Accesses, Fields, OpcodeSpec, Region
from vitreous.spec.patches import pixel_rows, steps_of_beats

FIELDS = (
    Field("base", 16),
    Field("stride", 16),
    Field("first_token", 16),
    Field("patch", 8),
    Field("grid_columns", 16),
    Field("grid_rows", 16),
    Field("channels", 16),
    Field("dram_offset", 32),
    Field("row_stride", 16),
    Field("channel_stride", 32),
)


def accesses(i: Fields, config: AcceleratorConfig) -> Accesses:
    """The tiles of X that hold the patches."""
    lanes = config.array.lanes
    first = i["first_token"] // lanes
    last = (i["first_token"] + i["grid_rows"] * i["grid_columns"] - 1) // lanes
    words = ceil_div(i["channels"] * i["patch"] ** 2, config.array.depth)
    panel = Region(Memory.X, i["base"] + first * i["stride"], words, last - first + 1, i["stride"])
    return Accesses(writes=(panel,))


def counts(i: Fields, config: AcceleratorConfig) -> Counter[str]:
    """Beats, and the writes that each of them becomes."""
    found: Counter[str] = Counter()
    for _, phase in pixel_rows(i):
        steps = steps_of_beats(i, phase, config)
        found["x_writes"] += sum(steps)
        found["load_beats"] += len(steps)
    return found


def line(i: Fields, config: AcceleratorConfig, moved: Accesses) -> str:
    """Patches, their first token and their place in DRAM."""
    patches = (
        f"{i['grid_rows']} x {i['grid_columns']} patches of {i['channels']} x {i['patch']} x {i['patch']}"
    )
    return f"{moved}; {patches} from token {i['first_token']}, DRAM +0x{i['dram_offset']:x}"


LOAD_PATCHES = OpcodeSpec(
    Queue.LOAD, FIELDS, accesses, counts, line, counted=tuple(field.name for field in FIELDS)
)
