"""Which tensor of what a network returns holds its logits ``[n, classes]``, or the classes themselves.

Libraries differ in what a ``forward`` gives: a tensor, a tuple, a dict, an object with a field ``logits``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from vitreous.models.errors import ModelError

Shape = tuple[int, int, int]
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.uint8, torch.int8)


def logits_among(found: Any, label: str) -> Tensor:
    """Which tensor of what a module returned holds the logits: the one called so, else the only floating-point one.

    Raises ``ModelError`` that lists the tensors where there is no single one.
    """
    named = _member(found, "logits")
    tensors = [value for value in _leaves(found if named is None else named) if value.is_floating_point()]
    others = [value for value in _leaves(found) if not value.is_floating_point()]
    if not tensors and others:
        kinds = ", ".join(f"{str(v.dtype).removeprefix('torch.')} {_shape(v)}" for v in others)
        raise ModelError(
            f"{label} returns {kinds} and no logits; return the logits [n, classes], or end in argmax, max or topk "
            "over the classes"
        )
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


def chosen_classes(found: Any) -> Tensor | None:
    """The one tensor of integers, where a module returned that in place of logits: alone, or beside values of the same
    shape, as ``max`` and ``topk`` give them. None where there may be logits.
    """
    if _member(found, "logits") is not None:
        return None
    leaves = _leaves(found)
    numbers = [value for value in leaves if value.dtype in _INTEGERS]
    beside = [value for value in leaves if value.is_floating_point()]
    if len(numbers) != 1 or any(value.shape != numbers[0].shape for value in beside):
        return None
    return numbers[0]


def _shape(value: Tensor) -> str:
    """The sizes; ``n`` for one that is free."""
    return f"[{', '.join(str(size) if isinstance(size, int) else 'n' for size in value.shape)}]"


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
