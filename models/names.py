"""The models that the command line knows by name, without their code: a listing needs no torch."""

from __future__ import annotations

NAMES: dict[str, str] = {
    "fashion-vit": "ViT, dim 64, 6 layers, 28x28x1, trained on Fashion-MNIST; with 512 test images",
    "deit-tiny": "DeiT-Tiny, dim 192, 12 layers, 224x224x3; random weights unless a checkpoint is given",
    "deit-small": "DeiT-Small, dim 384, 12 layers, 224x224x3; random weights unless a checkpoint is given",
    "deit-small-384": "DeiT-Small at 384x384x3, 577 tokens; random weights unless a checkpoint is given; 4 images",
    "vit-base": "ViT-B/16, dim 768, 12 layers, 224x224x3; random weights unless a checkpoint is given; 4 images",
    "dinov2-small": "DINOv2 ViT-S/14, 4 registers, layer scale, 518x518x3, 1374 tokens; "
    "random weights unless a checkpoint is given; 2 images",
    "rms-silu-vit": "small ViT with RMS norms and SiLU, dim 48, 2 layers, 32x32x3; random weights",
}


def available() -> list[tuple[str, str]]:
    """The named models as ``(name, one-line description)``, in the order in which to list them."""
    return list(NAMES.items())
