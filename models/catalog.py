"""The models that the command line knows by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
    loaded = synthetic.loaded(
        model.eval(),
        name=name,
        shape=model.input_shape,
        classes=config.num_classes,
        source=f"{weights}; {synthetic.SOURCE}",
        normalization=pixels,
    )
    return replace(loaded, pixels=pixels)


CATALOG: dict[str, Callable[[str, str | Path | None], LoadedModel]] = {
    "fashion-vit": _load_fashion,
    "deit-tiny": lambda name, checkpoint: _load_random(DEIT_TINY, name, checkpoint),
    "deit-small": lambda name, checkpoint: _load_random(DEIT_SMALL, name, checkpoint),
    "rms-silu-vit": lambda name, checkpoint: _load_random(RMS_SILU, name, checkpoint),
}
