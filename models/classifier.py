"""A user's module as a classifier: evaluation mode, on the CPU, in float32, from images to logits.

The module handed over is not changed. Where nothing is to be done it is also what is used; else a twin with the same
parts under the same names, which shares the parameters where these stay as they are.
"""

from __future__ import annotations

import copy
import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from vitreous.models.errors import ModelError
from vitreous.models.exported import ExportedModule, logits_alone, quiet_torch
from vitreous.models.logits import Shape, chosen_classes, logits_of

IMAGES_BY_NAME = "pixel_values"
"""The name of the images where a ``forward`` has other inputs before them, as in Hugging Face's transformers."""

_MOST_CHANNELS = 4
"""Of pictures; a last axis that is not longer, behind a first one that is, holds channels in all likelihood."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Classifier:
    """``module`` from ``float32 [n, C, H, W]`` to logits ``[n, classes]``; ``exported`` is the program that it runs,
    where it runs one; ``left_out`` names the operations of the user's model after the logits.
    """

    module: nn.Module
    classes: int
    exported: ExportedProgram | None = None
    left_out: tuple[str, ...] = ()


def classifier(module: nn.Module, label: str, shape: Shape) -> Classifier:
    """``module``, or its twin, for images ``shape``. It is run once, on a black image; ``label`` names it in errors.

    A module that returns classes is exported, and its program ends where the logits are.
    Raises ``ModelError`` where it cannot be copied or run, or returns neither logits nor classes.
    """
    kept = _in_evaluation(module, label)
    keyword = _keyword(kept, label)
    whole = kept if keyword is None else _twin(kept, keyword, lambda found: found)
    found = _run(whole, shape, label)
    if chosen_classes(found) is not None:
        program, left_out = logits_alone(_exported(whole, shape, label), label)
        made = ExportedModule(program, label)
        return Classifier(
            module=made, classes=classes_of(made, shape, label), exported=program, left_out=left_out
        )
    logits = logits_of(found, label)
    if keyword is not None or found is not logits:
        kept = _twin(kept, keyword, lambda found: logits_of(found, label))
    return Classifier(module=kept, classes=int(logits.shape[1]))


def precision_note(module: nn.Module) -> str:
    """What ``classifier`` makes of other float types, as a part of a sentence; empty where there are none."""
    found = sorted({_name(value.dtype) for value in _floats(module) if value.dtype != torch.float32})
    return f"{' and '.join(found)} parameters computed in float32" if found else ""


def classes_of(module: nn.Module, shape: Shape, label: str) -> int:
    """How many classes ``module`` distinguishes; it is run on one black image. Raises ``ModelError``."""
    return int(logits_of(_run(module, shape, label), label).shape[1])


def _in_evaluation(module: nn.Module, label: str) -> nn.Module:
    """A copy where anything is in training, no float32 or not on the CPU."""
    state = [*module.parameters(), *module.buffers()]
    foreign = any(
        (value.is_floating_point() and value.dtype != torch.float32) or value.device.type != "cpu"
        for value in state
    )
    if not foreign and not any(part.training for part in module.modules()):
        return module
    # A copy of the parts alone where the numbers are good as they are.
    kept = {} if foreign else {id(value): value for value in state}
    try:
        return copy.deepcopy(module, kept).eval().to(device="cpu", dtype=torch.float32)
    except Exception as error:  # whatever a part of the user's provokes
        raise ModelError(
            f"{label} cannot be copied ({_first_line(error)}); hand it over in evaluation mode, in float32"
        ) from error


def _run(module: nn.Module, shape: Shape, label: str) -> Any:
    """What ``module`` returns for one black image."""
    try:
        with torch.no_grad():
            return module(torch.zeros(1, *shape))
    except ModelError:
        raise
    except Exception as error:  # whatever the user's forward raises
        last = shape[2] <= _MOST_CHANNELS < shape[0]
        hint = "; images are [n, C, H, W], channels first" if last else ""
        raise ModelError(
            f"{label} cannot be run on images {list(shape)}: {type(error).__name__}: {_first_line(error)}{hint}"
        ) from error


def _exported(module: nn.Module, shape: Shape, label: str) -> ExportedProgram:
    """The program for any number of images, or for one where its number is part of what the module computes."""
    from torch.fx.experimental.symbolic_shapes import is_concrete_int  # with sympy, which few models need

    try:
        with quiet_torch():
            free = ({0: torch.export.Dim.AUTO},)
            program = torch.export.export(
                module, (torch.zeros(2, *shape),), dynamic_shapes=free, strict=False
            )
            (images,) = (n for n in program.graph.nodes if n.name in program.graph_signature.user_inputs)
            if is_concrete_int(images.meta["val"].shape[0]):
                program = torch.export.export(module, (torch.zeros(1, *shape),), strict=False)
            return program
    except Exception as error:
        raise ModelError(
            f"{label} returns classes, and torch.export cannot look for the logits in it ({_first_line(error)}); "
            "return the logits [n, classes]"
        ) from error


def _twin(module: nn.Module, keyword: str | None, pick: Callable[[Any], Any]) -> nn.Module:
    """``module`` with a ``forward`` that returns ``pick`` of its result. Parts keep their paths: messages name the
    user's own."""
    own: Any = module.forward
    # Not bound to the original: what is exported must find its parts under the twin.
    bound = isinstance(own, types.MethodType)
    function = own.__func__ if bound else own

    def forward(self: nn.Module, images: Tensor) -> Any:
        first = (self,) if bound else ()
        return pick(function(*first, images) if keyword is None else function(*first, **{keyword: images}))

    twin = copy.copy(module)
    twin.__dict__["forward"] = types.MethodType(forward, twin)
    return twin


def _keyword(module: nn.Module, label: str) -> str | None:
    """The name under which ``forward`` takes the images; None where they are its first argument."""
    try:
        parameters = inspect.signature(module.forward).parameters
    except (TypeError, ValueError):  # compiled code has none
        return None
    kinds = {name: parameter.kind for name, parameter in parameters.items()}
    if kinds.get(IMAGES_BY_NAME) in (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    ):
        return IMAGES_BY_NAME
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    if any(kind not in named for kind in kinds.values()):
        return None
    words = [name for name, kind in kinds.items() if kind == inspect.Parameter.KEYWORD_ONLY]
    needed = [name for name in words if parameters[name].default is inspect.Parameter.empty]
    for found in (needed, words):
        if len(found) == 1:
            return found[0]
    raise ModelError(f"{label}: forward takes no images: its arguments are {', '.join(kinds) or 'none'}")


def _floats(module: nn.Module) -> list[Tensor]:
    state = [*module.parameters(), *module.buffers()]
    return [value for value in state if value.is_floating_point()]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
