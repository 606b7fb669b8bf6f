"""Float reference models: the transformers that ship with the project, and the way to a user's own.

The names below are loaded when they are first used, so that ``available`` brings no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vitreous.models.errors import ModelError
from vitreous.models.macs import macs
from vitreous.models.names import available

if TYPE_CHECKING:
    from vitreous.models.checkpoint import load_checkpoint
    from vitreous.models.door import load
    from vitreous.models.loaded import LoadedModel
    from vitreous.models.vit import VisionTransformer, ViTConfig

__all__ = [
    "LoadedModel",
    "ModelError",
    "ViTConfig",
    "VisionTransformer",
    "available",
    "load",
    "load_checkpoint",
    "macs",
]

_HOMES = {
    "LoadedModel": "loaded",
    "ViTConfig": "vit",
    "VisionTransformer": "vit",
    "load": "door",
    "load_checkpoint": "checkpoint",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
