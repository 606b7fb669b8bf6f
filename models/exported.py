"""A program of ``torch.export`` as a model like any other: any number of images, and an evaluation mode."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from vitreous.models.endings import before_the_choice
from vitreous.models.errors import ModelError
from vitreous.models.logits import Shape, chosen_classes, logits_among, logits_of

# torch writes 2 as the lower bound of a size that may also be 1: it only says that 1 was not the example.
_FREE_LOWER_BOUND = 2


class ExportedModule(nn.Module):
    """``float32 [n, C, H, W]`` to logits for any ``n``, in parts of as many images as the program takes at once.

    Parameters: ``program``, whose one input is ``float32 [n, C, H, W]`` with ``n`` 1 or dynamic, by position or by
    keyword; ``label`` names it in errors. Members: ``input_shape`` ``(C, H, W)``; ``most`` images at once, None without
    a bound. ``train`` and ``eval`` change nothing: what a program computes was fixed when it was exported.

    Raises ``ModelError`` for other inputs, and from ``forward`` where the program returns no logits.
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
        self.keyword = _keyword(program)
        self.label = label
        self.program = program.module()
        self.training = False

    def train(self, mode: bool = True) -> ExportedModule:
        """Nothing: the program's own module refuses to change its mode."""
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``float32 [n, classes]`` of ``images`` ``[n, C, H, W]``."""
        if self.most is None or len(images) <= self.most:
            return self._part(images)
        return torch.cat([self._part(part) for part in images.split(self.most)])

    def _part(self, images: Tensor) -> Tensor:
        found = self.program(images) if self.keyword is None else self.program(**{self.keyword: images})
        return logits_of(found, self.label)


def read_program(path: Path) -> ExportedProgram:
    """Read a ``.pt2`` file of ``torch.export.save``. Raises ``ModelError`` if it is missing or damaged."""
    if not path.is_file():
        raise ModelError(f"{path} does not exist")
    try:
        with quiet_torch():
            return torch.export.load(path)
    except Exception as error:  # the loader raises whatever the damaged part provokes
        raise ModelError(f"{path} cannot be read as an exported program: {_first_line(error)}") from error


@contextlib.contextmanager
def quiet_torch() -> Iterator[None]:
    """Beside the exception that they raise, the loader and the exporter log warnings and tracebacks."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def program_of(module: nn.Module, label: str) -> ExportedProgram | None:
    """The program of which ``module`` is the ``ExportedProgram.module()``, exported again; None for other modules."""
    if not isinstance(module, fx.GraphModule) or not hasattr(module, "_in_spec"):
        return None
    values = [node.meta.get("val") for node in module.graph.nodes if node.op == "placeholder"]
    if len(values) != 1 or not isinstance(values[0], Tensor) or values[0].ndim != 4:
        raise ModelError(
            f"{label} is an exported module of {len(values)} inputs; one of [n, C, H, W] is needed"
        )
    batch, *image = values[0].shape
    fixed = isinstance(batch, int)
    example = torch.zeros(int(batch) if fixed else 2, *(int(size) for size in image))
    keyword = _only_keyword(module._in_spec)
    free = {0: torch.export.Dim.AUTO}
    dynamic: Any = None if fixed else ({keyword: free} if keyword else (free,))
    try:
        if keyword is None:
            return torch.export.export(module, (example,), dynamic_shapes=dynamic)
        return torch.export.export(module, (), {keyword: example}, dynamic_shapes=dynamic)
    except Exception as error:
        raise ModelError(
            f"{label} returned an exported module that cannot be read: {_first_line(error)}"
        ) from error


def logits_alone(program: ExportedProgram, label: str) -> tuple[ExportedProgram, tuple[str, ...]]:
    """``program`` without what it returns beside the logits, and without what it makes of them where it returns
    classes: the names of the operations that are left out. Itself where the logits are all that it returns.

    Raises ``ModelError`` where none of several is called logits, or what is returned is computed otherwise.
    """
    module = program.module()
    assert isinstance(module, fx.GraphModule)
    spec: Any = module._out_spec
    (output,) = (node for node in module.graph.nodes if node.op == "output")
    # Meta tensors stand for the results: which one is meant is decided as in a module.
    nodes = list(output.args[0])
    results = [node.meta["val"] if isinstance(node, fx.Node) else None for node in nodes]
    found = pytree.tree_unflatten(results, spec)

    def maker(result: Tensor) -> fx.Node:
        (node,) = (node for node, value in zip(nodes, results, strict=True) if value is result)
        return node

    numbers = chosen_classes(found)
    cut = None if numbers is None else before_the_choice(maker(numbers))
    if cut is None and spec.num_leaves == 1:
        logits_among(found, label)
        return program, ()
    chosen, left_out = (maker(logits_among(found, label)), ()) if cut is None else cut
    code: Any = module.graph._codegen
    code.pytree_info = code.pytree_info._replace(out_spec=pytree.tree_flatten(torch.zeros(1))[1])
    output.args = ((chosen,),)
    module.graph.eliminate_dead_code()
    module.recompile()
    made = program_of(module, label)
    assert made is not None
    return made, left_out


def _keyword(program: ExportedProgram) -> str | None:
    """The name under which the program takes its one input; None for a position."""
    return _only_keyword(program.call_spec.in_spec)


def _only_keyword(spec: Any) -> str | None:
    _args, words = pytree.tree_unflatten(list(range(spec.num_leaves)), spec)
    return next(iter(words), None)


def _input_size(program: ExportedProgram, label: str) -> torch.Size:
    names = program.graph_signature.user_inputs
    inputs = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    shapes = [node.meta["val"].shape for node in inputs if isinstance(node.meta.get("val"), Tensor)]
    if len(names) != 1 or len(shapes) != 1 or len(shapes[0]) != 4:
        described = ", ".join(str(list(shape)) for shape in shapes)
        raise ModelError(
            f"{label} takes inputs {described or 'other than tensors'}; one of [n, C, H, W] is needed"
        )
    (dtype,) = (node.meta["val"].dtype for node in inputs)
    if dtype != torch.float32:
        raise ModelError(f"{label} was exported for images of {dtype}; export the model in torch.float32")
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
