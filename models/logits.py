"""Any classifier as one that takes ``float32 [n, C, H, W]`` and gives logits ``float32 [n, classes]``.

Libraries differ in what a ``forward`` takes (by position or by keyword, in 16, 32 or 64 bits) and gives (a tensor, a
tuple, a dict, an object with a field ``logits``). Here each module is brought to one form, once: everything behind it
sees the same function, the quantizer as well as the float reference.
"""

from __future__ import annotations

import copy
import inspect
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vitreous.models.errors import ModelError

Shape = tuple[int, int, int]
IMAGES_BY_NAME = "pixel_values"
"""The name of the images where a ``forward`` has other inputs before them, as in Hugging Face's transformers."""


def classifier(module: nn.Module, label: str, shape: Shape) -> tuple[nn.Module, int]:
    """``module`` in evaluation mode, on the CPU, in float32, from images ``shape`` to logits; and how many classes.

    The module handed over is not changed. Where nothing is to be done it is also what is returned; else a twin with the
    same parts under the same names, which shares the parameters where these stay as they are. It is run once, on a
    black image. ``label`` names the module in errors.

    Raises ``ModelError`` where it cannot be copied or run, or returns no logits.
    """
    kept, needed = module, _foreign_state(module) or any(part.training for part in module.modules())
    if needed:
        try:
            kept = copy.deepcopy(module).eval().to(device="cpu", dtype=torch.float32)
        except Exception as error:  # whatever a part of the user's provokes
            raise ModelError(
                f"{label} cannot be copied ({_first_line(error)}); hand it over in evaluation mode, in float32"
            ) from error
    keyword = _keyword(kept, label)
    if keyword is not None:
        kept = _twin(kept, keyword, label)
    found = _run(kept, shape, label)
    logits = logits_of(found, label)
    if found is not logits:
        kept = _twin(kept, None, label)
    return kept, int(logits.shape[1])


def precision_note(module: nn.Module) -> str:
    """What ``classifier`` makes of other float types, as a part of a sentence; empty where there are none."""
    found = sorted({_name(value.dtype) for value in _floats(module) if value.dtype != torch.float32})
    return f"{' and '.join(found)} parameters computed in float32" if found else ""


def logits_among(found: Any, label: str) -> Tensor:
    """Which tensor of what a module returned holds the logits: the one called so, else the only floating-point one.

    Raises ``ModelError`` that lists the tensors where there is no single one.
    """
    named = _member(found, "logits")
    tensors = [value for value in _leaves(found if named is None else named) if value.is_floating_point()]
    if len(tensors) != 1:
        shapes = ", ".join(str(list(value.shape)) for value in tensors) or "none"
        raise ModelError(
            f"{label} returns {len(tensors)} floating-point tensors ({shapes}); return the logits [n, classes] alone, "
            "or under the name logits"
        )
    return tensors[0]


def logits_of(found: Any, label: str) -> Tensor:
    """The logits ``float32 [n, classes]`` in what a module returned; axes of size 1 beside the classes are dropped.

    Raises ``ModelError`` where there are none.
    """
    logits = logits_among(found, label)
    sizes = [size for size in logits.shape[1:] if size != 1]
    if logits.ndim < 2 or len(sizes) > 1:
        raise ModelError(f"{label} returns a tensor {list(logits.shape)}; logits [n, classes] are needed")
    flat = logits if logits.ndim == 2 else logits.flatten(1)
    return flat if flat.dtype == torch.float32 else flat.float()


def classes_of(module: nn.Module, shape: Shape, label: str) -> int:
    """How many classes ``module`` distinguishes; it is run on one black image. Raises ``ModelError``."""
    return int(logits_of(_run(module, shape, label), label).shape[1])


def _run(module: nn.Module, shape: Shape, label: str) -> Any:
    """What ``module`` returns for one black image."""
    try:
        with torch.no_grad():
            return module(torch.zeros(1, *shape))
    except ModelError:
        raise
    except Exception as error:  # whatever the user's forward raises
        raise ModelError(
            f"{label} cannot be run on images {list(shape)}: {type(error).__name__}: {_first_line(error)}"
        ) from error


def _foreign_state(module: nn.Module) -> bool:
    """Whether anything in ``module`` is no float32 on the CPU."""
    state = [*module.parameters(), *module.buffers()]
    return any(
        (value.is_floating_point() and value.dtype != torch.float32) or value.device.type != "cpu"
        for value in state
    )


def _twin(module: nn.Module, keyword: str | None, label: str) -> nn.Module:
    """``module`` with a ``forward`` from images to logits. Parts keep their paths: messages name the user's own."""
    own: Any = module.forward
    # Not bound to the original: what is exported must find its parts under the twin.
    bound = isinstance(own, types.MethodType)
    function = own.__func__ if bound else own

    def forward(self: nn.Module, images: Tensor) -> Tensor:
        first = (self,) if bound else ()
        found = function(*first, images) if keyword is None else function(*first, **{keyword: images})
        return logits_of(found, label)

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


def _leaves(found: Any) -> list[Tensor]:
    """All tensors in nested tuples, lists, mappings and dataclasses, in order."""
    if isinstance(found, Tensor):
        return [found]
    if isinstance(found, Mapping):
        parts = list(found.values())
    elif isinstance(found, tuple | list):
        parts = list(found)
    elif is_dataclass(found):
        parts = [getattr(found, part.name) for part in fields(found)]
    else:
        parts = []
    return [leaf for part in parts for leaf in _leaves(part)]


def _member(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)


def _floats(module: nn.Module) -> list[Tensor]:
    state = [*module.parameters(), *module.buffers()]
    return [value for value in state if value.is_floating_point()]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
