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

FEW_IMAGES = {"deit-small-384": 4, "vit-base": 4, "dinov2-small": 2}
"""To calibrate and as many to judge the large models, where others have 16 and 8: an image of these costs as much as 3
to 10 of ``deit-small``, and calibration goes over its images many times.
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


def _load_random(config: ViTConfig, name: str, checkpoint: str | Path | None) -> LoadedModel:
    model = VisionTransformer(config)
    if checkpoint is None:
        synthetic.randomize(model, _WEIGHT_SEED)
    else:
        load_checkpoint(model, checkpoint)
    weights = (
        f"weights from {checkpoint}" if checkpoint else "random weights at the scale of trained ones, seeded"
    )
    pixels = (IMAGENET_MEAN, IMAGENET_STD)
    few = FEW_IMAGES.get(name)
    counts = (synthetic.CALIBRATION_IMAGES, synthetic.TEST_IMAGES) if few is None else (few, few)
    loaded = synthetic.loaded(
        model.eval(),
        name=name,
        shape=model.input_shape,
        classes=config.num_classes,
        source=f"{weights}; {synthetic.SOURCE}",
        normalization=pixels,
        counts=counts,
    )
    if few is not None:
        source = f"{few} {synthetic.SOURCE}: few, as the model is large"
        loaded = replace(loaded, calibration_source=source, test_source=source)
    return replace(loaded, pixels=pixels)


CATALOG: dict[str, Loader] = {
    "fashion-vit": _load_fashion,
    "deit-tiny": partial(_load_random, DEIT_TINY),
    "deit-small": partial(_load_random, DEIT_SMALL),
    "deit-small-384": partial(_load_random, DEIT_SMALL_384),
    "vit-base": partial(_load_random, VIT_BASE),
    "dinov2-small": partial(_load_random, DINOV2_SMALL),
    "rms-silu-vit": partial(_load_random, RMS_SILU),
}
