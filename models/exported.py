"""A program of ``torch.export`` as a model like any other: any number of images, and an evaluation mode."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from vitreous.models.errors import ModelError

Shape = tuple[int, int, int]
# torch writes 2 as the lower bound of a size that may also be 1: it only says that 1 was not the example.
_FREE_LOWER_BOUND = 2


class ExportedModule(nn.Module):
    """``float32 [n, C, H, W]`` to the program's result for any ``n``, in parts of as many images as it takes at once.

    Parameters: ``program``, whose one input is ``[n, C, H, W]`` with ``n`` 1 or dynamic; ``label`` names it in
    errors. Members: ``input_shape`` ``(C, H, W)``; ``most`` images at once, None without a bound. ``train`` and
    ``eval`` change nothing: what a program computes was fixed when it was exported.

    Raises ``ModelError`` for other inputs.
    """

    def __init__(self, program: ExportedProgram, label: str) -> None:
        super().__init__()
        batch, *image = _input_size(program, label)
        if isinstance(batch, int) and batch != 1:
            raise ModelError(
                f"{label} was exported for {batch} images at once; export it for 1 or for a dynamic number"
            )
        if not all(isinstance(size, int) for size in image):
            raise ModelError(
                f"{label} was exported with a dynamic image size {image}; export it for a fixed one"
            )
        channels, height, width = image
        self.input_shape: Shape = (channels, height, width)
        self.most = 1 if isinstance(batch, int) else _upper_bound(program, batch, label)
        self.program = program.module()
        self.training = False

    def train(self, mode: bool = True) -> ExportedModule:
        """Nothing: the program's own module refuses to change its mode."""
        return self

    def forward(self, images: Tensor) -> Tensor:
        """The program's result for ``images`` ``[n, C, H, W]``."""
        if self.most is None or len(images) <= self.most:
            return cast(Tensor, self.program(images))
        return torch.cat([self.program(part) for part in images.split(self.most)])


def read_program(path: Path) -> ExportedProgram:
    """Read a ``.pt2`` file of ``torch.export.save``. Raises ``ModelError`` if it is missing or damaged."""
    if not path.is_file():
        raise ModelError(f"{path} does not exist")
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # the loader logs the traceback of every format that it tried
    try:
        return torch.export.load(path)
    except Exception as error:  # the loader raises whatever the damaged part provokes
        raise ModelError(f"{path} cannot be read as an exported program: {_first_line(error)}") from error
    finally:
        logging.disable(before)


def program_of(module: nn.Module, label: str) -> ExportedProgram | None:
    """The program of which ``module`` is the ``ExportedProgram.module()``, exported again; None for other modules."""
    if not isinstance(module, fx.GraphModule) or not hasattr(module, "_in_spec"):
        return None
    values = [node.meta.get("val") for node in module.graph.nodes if node.op == "placeholder"]
    if len(values) != 1 or not isinstance(values[0], Tensor) or values[0].ndim != 4:
        return None
    batch, *image = values[0].shape
    fixed = isinstance(batch, int)
    example = torch.zeros(int(batch) if fixed else 2, *(int(size) for size in image))
    try:
        return torch.export.export(
            module, (example,), dynamic_shapes=None if fixed else ({0: torch.export.Dim.AUTO},)
        )
    except Exception as error:
        raise ModelError(
            f"{label} returned an exported module that cannot be read: {_first_line(error)}"
        ) from error


def _input_size(program: ExportedProgram, label: str) -> torch.Size:
    names = program.graph_signature.user_inputs
    inputs = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    shapes = [node.meta["val"].shape for node in inputs if isinstance(node.meta.get("val"), Tensor)]
    if len(names) != 1 or len(shapes) != 1 or len(shapes[0]) != 4:
        described = ", ".join(str(list(shape)) for shape in shapes)
        raise ModelError(
            f"{label} takes inputs {described or 'other than tensors'}; one of [n, C, H, W] is needed"
        )
    return cast(torch.Size, shapes[0])


def _upper_bound(program: ExportedProgram, batch: torch.SymInt, label: str) -> int | None:
    """How many images a program with a dynamic batch takes at once."""
    constraints: Mapping[str, object] = {str(key): value for key, value in program.range_constraints.items()}
    bounds = constraints.get(str(batch))
    lower, upper = getattr(bounds, "lower", 1), getattr(bounds, "upper", None)
    if lower > _FREE_LOWER_BOUND:
        raise ModelError(f"{label} was exported for {lower} images or more at once; export it for 1 or more")
    finite = upper is not None and bool(getattr(upper, "is_Integer", isinstance(upper, int)))
    return int(cast(int, upper)) if finite else None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
