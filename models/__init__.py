"""Float reference models: the transformers that ship with the project, and the way to a user's own."""

from vitreous.models.catalog import LoadedModel, available, load
from vitreous.models.checkpoint import load_checkpoint
from vitreous.models.errors import ModelError
from vitreous.models.macs import macs
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
