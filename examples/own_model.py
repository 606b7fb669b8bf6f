"""A model of your own: a function without arguments that returns a module and images to calibrate it with.

    vitreous run examples.own_model:make --accelerator edge64 --images 2 --out build/own

Anything that torch.export can trace and that has the structure of a vision transformer will do; here it is ours with
random weights, without a class token and without biases on q, k and v.
"""

from dataclasses import replace

import torch

from vitreous.models import VisionTransformer, ViTConfig


def make() -> tuple[torch.nn.Module, torch.Tensor]:
    """Module and calibration images, normalised as the module expects; test images and their labels may follow."""
    torch.manual_seed(0)
    usual = ViTConfig(image_size=32, patch_size=8, dim=48, depth=2, heads=3, num_classes=10)
    config = replace(usual, class_token=False, qkv_bias=False)
    return VisionTransformer(config).eval(), torch.randn(16, 3, 32, 32)
