"""A compiled program: instructions, memory image and the map that says where tensors lie. Written by compiler,
read by golden and sim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vitreous.spec import layout
from vitreous.spec.isa import INSTRUCTION_BYTES, Instruction, ProgramError, decode
from vitreous.spec.storage import StorageError, read_pair, write_pair

PLACEMENT_KINDS = ("panel", "panel_transposed", "residual")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a stored tensor lies in the write window, as the machine leaves it.

    tensor : name in the integer graph; ``shape`` is [rows, columns] of the part that is stored.
    offset : byte offset in the write window.
    kind : ``panel`` (rows in lanes), ``panel_transposed`` (columns in lanes: attention's values, channels in
    lanes, tokens
        along k) or ``residual``.
    tile_stride : words from one tile to the next (at least what the shape needs).
    row_start, column_start : where this part begins in the graph's tensor.
    """

    tensor: str
    offset: int
    kind: str
    shape: tuple[int, int]
    tile_stride: int
    row_start: int = 0
    column_start: int = 0
    layer: str = ""

    def __post_init__(self) -> None:
        if self.kind not in PLACEMENT_KINDS:
            raise ProgramError(
                f"Placement of {self.tensor}: kind must be one of {', '.join(PLACEMENT_KINDS)}, not {self.kind!r}"
            )

    @property
    def area(self) -> tuple[slice, slice]:
        """The rows and columns of the graph's tensor that this part holds."""
        (rows, columns), row, column = self.shape, self.row_start, self.column_start
        return slice(row, row + rows), slice(column, column + columns)

    def words(self, lanes: int, depth: int) -> int:
        """Words stored, from the first word of the first tile to the last word of the last one."""
        rows, columns = self.shape if self.kind != "panel_transposed" else self.shape[::-1]
        per_tile = columns if self.kind == "residual" else layout.ceil_div(columns, depth)
        return (layout.ceil_div(rows, lanes) - 1) * self.tile_stride + per_tile

    def size(self, lanes: int, depth: int) -> int:
        return self.words(lanes, depth) * lanes * (2 if self.kind == "residual" else depth)

    def read(self, window: np.ndarray, lanes: int, depth: int) -> np.ndarray:
        """Window uint8 [bytes of the write window] -> int8 or int16 [rows, columns]."""
        raw = window[self.offset : self.offset + self.size(lanes, depth)]
        rows, columns = self.shape if self.kind != "panel_transposed" else self.shape[::-1]
        tiles = layout.ceil_div(rows, lanes)
        if self.kind == "residual":
            words = raw.view(np.int16).reshape(-1, lanes)
            return layout.unpack_residual(
                np.stack([words[t * self.tile_stride :][:columns] for t in range(tiles)]), rows
            )
        words8 = raw.view(np.int8).reshape(-1, lanes, depth)
        per_tile = layout.ceil_div(columns, depth)
        panel = np.stack([words8[t * self.tile_stride :][:per_tile] for t in range(tiles)])
        matrix = layout.unpack_panel(panel, rows, columns)
        return matrix if self.kind == "panel" else matrix.T.copy()


@dataclass(frozen=True, kw_only=True, repr=False)
class Program:
    """Everything that the machine needs to run a model, and what a host needs to feed it and to read it.

    config_digest : of the AcceleratorConfig that it was compiled for; ``config`` the whole of it
    (``AcceleratorConfig.as_dict``).
    graph_name : the model's name; macs: multiply-accumulates of the float model.
    instructions : END is the last. Their ``label`` names the layer.
    image : uint8; the read window before the run: program, constants, room for the input image.
    input_offset, input_shape : where the host writes the image ([C, H, W] int8, ``layout.pack_image``).
    write_size : bytes of the write window.
    placements : every tensor that the program stores; the one whose tensor is ``output_tensor`` is the result.
    observed : True when every intermediate is stored too (for checking; slower).
    """

    graph_name: str
    config_digest: str
    config: Mapping[str, Any]
    instructions: tuple[Instruction, ...]
    image: np.ndarray
    program_offset: int
    input_offset: int
    input_shape: tuple[int, int, int]
    write_size: int
    placements: tuple[Placement, ...]
    output_tensor: str
    macs: int
    observed: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        accelerator = self.config.get("name", self.config_digest)
        observed = ", observed" if self.observed else ""
        return (
            f"<Program {self.graph_name} for {accelerator}: {len(self.instructions):,} instructions, "
            f"{self.read_size:,} bytes read, {self.write_size:,} written{observed}>"
        )

    @property
    def read_size(self) -> int:
        return int(self.image.size)

    def with_input(self, image: np.ndarray) -> np.ndarray:
        """A copy of the memory image with the int8 [C, H, W] input in its place."""
        if image.shape != self.input_shape or image.dtype != np.int8:
            raise ProgramError(f"The input must be int8 {self.input_shape}, not {image.dtype} {image.shape}")
        memory = self.image.copy()
        raw = np.frombuffer(layout.pack_image(image), np.uint8)
        memory[self.input_offset : self.input_offset + raw.size] = raw
        return memory

    def tensors(self, window: np.ndarray, lanes: int, depth: int) -> dict[str, np.ndarray]:
        """Every stored tensor by name, [rows, columns], from its parts in ``window`` (uint8, the write window).

        Raises ProgramError when parts of one tensor differ in type or leave a hole or overlap, or the result is none
        of them.
        """
        by_name: dict[str, list[Placement]] = {}
        for placement in self.placements:
            by_name.setdefault(placement.tensor, []).append(placement)
        if self.output_tensor not in by_name:
            raise ProgramError(
                f"The program stores no tensor {self.output_tensor!r}, which it names as its output"
            )
        return {name: _assemble(name, parts, window, lanes, depth) for name, parts in by_name.items()}


def _assemble(name: str, parts: list[Placement], window: np.ndarray, lanes: int, depth: int) -> np.ndarray:
    rows = max(p.row_start + p.shape[0] for p in parts)
    columns = max(p.column_start + p.shape[1] for p in parts)
    read = [p.read(window, lanes, depth) for p in parts]
    whole, seen = np.zeros((rows, columns), read[0].dtype), np.zeros((rows, columns), np.int64)
    for placement, part in zip(parts, read, strict=True):
        if part.dtype != whole.dtype:
            raise ProgramError(f"The parts of tensor {name} are stored as {whole.dtype} and as {part.dtype}")
        whole[placement.area] = part
        seen[placement.area] += 1
    if not (seen == 1).all():
        raise ProgramError(f"The parts of tensor {name} do not tile its {rows} x {columns} values")
    return whole


FORMAT = "vitreous-program-3"


def save(program: Program, path: str | Path) -> Path:
    """Write ``path`` (safetensors: the memory image, which holds the encoded instructions) and the same name
    with .json.
    """
    text = {
        "format": FORMAT,
        "graph_name": program.graph_name,
        "config_digest": program.config_digest,
        "config": dict(program.config),
        "labels": [i.label for i in program.instructions],
        "program_offset": program.program_offset,
        "input_offset": program.input_offset,
        "input_shape": list(program.input_shape),
        "write_size": program.write_size,
        "placements": [asdict(p) for p in program.placements],
        "output_tensor": program.output_tensor,
        "macs": program.macs,
        "observed": program.observed,
        "notes": dict(program.notes),
    }
    return write_pair(path, {"image": program.image}, text)


def load(path: str | Path) -> Program:
    """The inverse of ``save``. Raises ProgramError on a missing, truncated or foreign file."""
    try:
        arrays, text = read_pair(path, FORMAT)
        image, start = arrays["image"], text["program_offset"]
        code = image[start : start + len(text["labels"]) * INSTRUCTION_BYTES].tobytes()
        instructions = tuple(
            decode(code[i * INSTRUCTION_BYTES : (i + 1) * INSTRUCTION_BYTES], label=label)
            for i, label in enumerate(text["labels"])
        )
        placements = tuple(Placement(**{**p, "shape": tuple(p["shape"])}) for p in text["placements"])
        return Program(
            graph_name=text["graph_name"],
            config_digest=text["config_digest"],
            config=text["config"],
            instructions=instructions,
            image=image,
            program_offset=start,
            input_offset=text["input_offset"],
            input_shape=tuple(text["input_shape"]),
            write_size=text["write_size"],
            placements=placements,
            output_tensor=text["output_tensor"],
            macs=text["macs"],
            observed=text["observed"],
            notes=text["notes"],
        )
    except StorageError as error:
        raise ProgramError(str(error)) from None
    except ProgramError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ProgramError(f"{path} is not a complete program: {error!r}") from None
