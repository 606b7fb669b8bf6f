"""A transformer and a space so small that a point costs milliseconds; workers import this by name."""

from typing import Any

import torch
from torch import Tensor, nn

from vitreous.explore.space import Space
from vitreous.explore.space_file import space_of
from vitreous.models.synthetic import images, randomize
from vitreous.models.vit import VisionTransformer, ViTConfig

MODEL = "tests.support.explore.tiny:model"


def model() -> tuple[nn.Module, Tensor]:
    """5 tokens of 32 channels, one layer, and four images."""
    net = VisionTransformer(
        ViTConfig(image_size=8, in_channels=1, patch_size=4, dim=32, depth=1, heads=2, num_classes=4)
    )
    randomize(net, 3)
    return net.eval(), images(4, (1, 8, 8), 4)


def contents(**changes: Any) -> dict[str, Any]:
    """A space's file: 96 combinations; where X has 1 KiB the model does not fit."""
    torch.set_num_threads(1)
    return {
        "models": [MODEL],
        "accelerator": "edge64",
        "objectives": ["latency", "energy", "area"],
        "technology": {"name": "fpga-ultrascale-plus", "dram": "ddr4", "clock_mhz": 200},
        "space": {
            "array.lanes": [4, 8],
            "array.depth": [1, 2, 4],
            "bus.data_bits": [64, 128],
            "memory.residual_kib": {"low": 2, "high": 4, "log": True},
            "memory.activation_kib": [1, 16],
            "memory.weight_kib": 16,
            "memory.score_keys": [8, 32],
            "quantization.calibration_images": 2,
        },
        **changes,
    }


def space(**changes: Any) -> Space:
    return space_of(contents(**changes), "tiny")
