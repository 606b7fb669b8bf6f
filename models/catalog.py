"""The models that the command line knows by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from vitreous.models import fashion, synthetic
from vitreous.models.checkpoint import load_checkpoint
from vitreous.models.loaded import LoadedModel
from vitreous.models.vit import VisionTransformer, ViTConfig
from vitreous.spec.images import ImageOrigin

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_WEIGHT_SEED = 13

DEIT_TINY = ViTConfig(image_size=224, patch_size=16, dim=192, depth=12, heads=3, num_classes=1000)
_SMALL = ViTConfig(image_size=32, patch_size=8, dim=48, depth=2, heads=3, num_classes=10)
RMS_SILU = replace(_SMALL, qkv_bias=False, activation="silu", norm="rms")
"""The normalization and the activation of large language models, small enough to be simulated in seconds."""
DEIT_SMALL = ViTConfig(image_size=224, patch_size=16, dim=384, depth=12, heads=6, num_classes=1000)
DEIT_SMALL_384 = replace(DEIT_SMALL, image_size=384)
VIT_BASE = ViTConfig(image_size=224, patch_size=16, dim=768, depth=12, heads=12, num_classes=1000)
DINOV2_SMALL = replace(DEIT_SMALL, image_size=518, patch_size=14, registers=4, layer_scale=True)
"""DINOv2's ViT-S/14 with registers; the head reads the class token alone, as timm's model of that name."""

FEW_IMAGES = (4, 4)
"""To calibrate and to judge the largest models, where others have 16 and 8: each image of these costs as much as 4 to
10 of ``deit-small``, and quantization goes over the images some ten times.
"""
Loader = Callable[[str, str | Path | None], LoadedModel]


def _load_fashion(name: str, checkpoint: str | Path | None) -> LoadedModel:
    model = VisionTransformer(fashion.CONFIG)
    load_checkpoint(model, checkpoint or fashion.WEIGHTS)
    calibration, _ = fashion.read_shipped(fashion.CALIBRATION)
    images, labels = fashion.read_shipped(fashion.TEST)
    weights = f"weights from {checkpoint}" if checkpoint else "weights trained for this project"
    return LoadedModel(
        name=name,
        module=model.eval(),
        input_shape=(1, 28, 28),
        calibration=fashion.normalize(calibration),
        test_images=fashion.normalize(images),
        test_labels=labels,
        mean=fashion.MEAN,
        std=fashion.STD,
        source=f"{weights}; images from Fashion-MNIST (Zalando SE, MIT)",
        classes=fashion.CONFIG.num_classes,
        calibration_source=f"Fashion-MNIST: the first {len(calibration)} training images",
        test_source=f"Fashion-MNIST: the first {len(images)} test images",
        calibration_origin=ImageOrigin.SHIPPED,
        test_origin=ImageOrigin.SHIPPED,
        pixels=(fashion.MEAN, fashion.STD),
    )


def _load_random(
    config: ViTConfig, few_images: bool, name: str, checkpoint: str | Path | None
) -> LoadedModel:
    model = VisionTransformer(config)
    if checkpoint is None:
        synthetic.randomize(model, _WEIGHT_SEED)
    else:
        load_checkpoint(model, checkpoint)
    weights = (
        f"weights from {checkpoint}" if checkpoint else "random weights at the scale of trained ones, seeded"
    )
    pixels = (IMAGENET_MEAN, IMAGENET_STD)
    counts = FEW_IMAGES if few_images else (synthetic.CALIBRATION_IMAGES, synthetic.TEST_IMAGES)
    loaded = synthetic.loaded(
        model.eval(),
        name=name,
        shape=model.input_shape,
        classes=config.num_classes,
        source=f"{weights}; {synthetic.SOURCE}",
        normalization=pixels,
        counts=counts,
    )
    if few_images:
        sources = [f"{count} {synthetic.SOURCE}: few, as the model is large" for count in counts]
        loaded = replace(loaded, calibration_source=sources[0], test_source=sources[1])
    return replace(loaded, pixels=pixels)


def _random(config: ViTConfig, *, few_images: bool = False) -> Loader:
    return partial(_load_random, config, few_images)


CATALOG: dict[str, Loader] = {
    "fashion-vit": _load_fashion,
    "deit-tiny": _random(DEIT_TINY),
    "deit-small": _random(DEIT_SMALL),
    "deit-small-384": _random(DEIT_SMALL_384, few_images=True),
    "vit-base": _random(VIT_BASE, few_images=True),
    "dinov2-small": _random(DINOV2_SMALL, few_images=True),
    "rms-silu-vit": _random(RMS_SILU),
}
