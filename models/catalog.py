"""The models that the command line knows by name, and ``load``, the one way to them and to a user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn
from torch.export import ExportedProgram

from vitreous.models import fashion, synthetic
from vitreous.models.checkpoint import load_checkpoint
from vitreous.models.errors import ModelError
from vitreous.models.foreign import Foreign, from_exported, from_factory
from vitreous.models.vit import VisionTransformer, ViTConfig

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# For a user's model that comes without data: inputs in -1..1, the most common choice for ViTs.
CENTERED_MEAN, CENTERED_STD = 0.5, 0.5

CALIBRATION_IMAGES = 16
TEST_IMAGES = 8
_OWN_WEIGHTS = "is an exported program with its own weights; a checkpoint cannot be loaded into it"
_CALIBRATION_SEED, _TEST_SEED, _WEIGHT_SEED = 11, 12, 13

DEIT_TINY = ViTConfig(image_size=224, patch_size=16, dim=192, depth=12, heads=3, num_classes=1000)
_SMALL = ViTConfig(image_size=32, patch_size=8, dim=48, depth=2, heads=3, num_classes=10)
RMS_SILU = replace(_SMALL, qkv_bias=False, activation="silu", norm="rms")
"""The normalization and the activation of large language models, small enough to be simulated in seconds."""
DEIT_SMALL = ViTConfig(image_size=224, patch_size=16, dim=384, depth=12, heads=6, num_classes=1000)


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A float model and the data to calibrate and evaluate it.

    ``module`` maps ``float32 [n, C, H, W]`` to logits and is in evaluation mode; ``input_shape`` is ``(C, H, W)``.
    ``calibration`` and ``test_images`` are normalised inputs ``[n, C, H, W]``; ``test_labels`` ``int64 [n]`` is
    ``None`` where accuracy means nothing. ``mean`` and ``std`` say, per channel, how pixels in 0..1 were
    normalised; they are 0 and 1 for data that a user's factory returned, which is taken as it is.
    ``source`` tells a reader of a report where weights and data come from. ``exported`` is the program of
    ``torch.export`` that ``module`` runs, where the model came as one: what is quantized then.
    """

    name: str
    module: nn.Module
    input_shape: tuple[int, int, int]
    calibration: Tensor
    test_images: Tensor
    test_labels: Tensor | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str
    exported: ExportedProgram | None = None


def load(name_or_spec: str, *, checkpoint: str | Path | None = None) -> LoadedModel:
    """Load a named model, ``package.module:factory``, or a ``.pt2`` file of ``torch.export.save``.

    A factory takes no argument and returns an ``nn.Module``, or a tuple ``(module, calibration)`` or
    ``(module, calibration, test_images, test_labels)``; the current folder is searched first. ``checkpoint`` is a
    safetensors file whose tensors replace all parameters (not for ``.pt2``).

    Raises ``ModelError`` for an unknown name, a spec that cannot be imported or run, a file that is missing or
    damaged, and a model whose input shape cannot be told.
    """
    if name_or_spec in _CATALOG:
        return _CATALOG[name_or_spec](name_or_spec, checkpoint)
    if name_or_spec.endswith(".pt2"):
        if checkpoint is not None:
            raise ModelError(f"{name_or_spec} {_OWN_WEIGHTS}")
        return _complete(name_or_spec, from_exported(Path(name_or_spec)))
    if ":" in name_or_spec:
        foreign = from_factory(name_or_spec)
        if checkpoint is not None and foreign.exported is not None:
            raise ModelError(f"{name_or_spec} {_OWN_WEIGHTS}")
        if checkpoint is not None:
            load_checkpoint(foreign.module, checkpoint)
        return _complete(name_or_spec, foreign)
    known = ", ".join(_CATALOG)
    raise ModelError(
        f"unknown model {name_or_spec!r}; known are {known}; or give package.module:factory or a .pt2 file"
    )


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
    calibration, test = _synthetic_data(model.input_shape, IMAGENET_MEAN, IMAGENET_STD)
    return LoadedModel(
        name=name,
        module=model.eval(),
        input_shape=model.input_shape,
        calibration=calibration,
        test_images=test,
        test_labels=None,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        source=f"{weights}; synthetic images with a 1/f spectrum, seeded",
    )


def _complete(spec: str, foreign: Foreign) -> LoadedModel:
    """Fill in, with synthetic images, the data that a user's model did not bring."""
    channels = foreign.input_shape[0]
    mean, std = foreign.normalization or ((CENTERED_MEAN,) * channels, (CENTERED_STD,) * channels)
    calibration, test, data = foreign.calibration, foreign.test_images, "calibration images from the factory"
    if calibration is None:
        calibration, test = _synthetic_data(foreign.input_shape, mean, std)
        data = "synthetic images with a 1/f spectrum, seeded"
    else:
        mean, std = (0.0,) * channels, (1.0,) * channels
    return LoadedModel(
        name=spec,
        module=foreign.module,
        input_shape=foreign.input_shape,
        calibration=calibration,
        test_images=calibration[:TEST_IMAGES] if test is None else test,
        test_labels=foreign.test_labels,
        mean=mean,
        std=std,
        source=f"model and weights from {spec}; {data}",
        exported=foreign.exported,
    )


def _synthetic_data(
    shape: tuple[int, int, int], mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    calibration = synthetic.images(CALIBRATION_IMAGES, shape, _CALIBRATION_SEED)
    test = synthetic.images(TEST_IMAGES, shape, _TEST_SEED)
    return synthetic.normalize(calibration, mean, std), synthetic.normalize(test, mean, std)


_CATALOG: dict[str, Callable[[str, str | Path | None], LoadedModel]] = {
    "fashion-vit": _load_fashion,
    "deit-tiny": lambda name, checkpoint: _load_random(DEIT_TINY, name, checkpoint),
    "deit-small": lambda name, checkpoint: _load_random(DEIT_SMALL, name, checkpoint),
    "rms-silu-vit": lambda name, checkpoint: _load_random(RMS_SILU, name, checkpoint),
}
