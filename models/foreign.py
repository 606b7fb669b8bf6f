"""A user's own model: from a factory function named on the command line, or from an exported program."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn
from torch.export import ExportedProgram

from vitreous.models.errors import ModelError
from vitreous.models.exported import ExportedModule, Shape, program_of, read_program

Normalization = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Foreign:
    """What a user's model brought along; ``None`` for what it did not. Fields as in ``LoadedModel``."""

    module: nn.Module
    input_shape: Shape
    calibration: Tensor | None = None
    test_images: Tensor | None = None
    test_labels: Tensor | None = None
    normalization: Normalization | None = None
    exported: ExportedProgram | None = None


def from_factory(spec: str) -> Foreign:
    """Import ``package.module:factory``, the current folder first, and call it.

    Raises ``ModelError`` if that fails or if the result is not of one of the forms that ``catalog.load`` names.
    """
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise ModelError(f"{spec!r} is not of the form package.module:factory")
    with _current_folder_first():
        factory = _import(spec, module_name, attribute)
        try:
            made = factory()
        except Exception as error:
            raise ModelError(f"{spec} failed: {type(error).__name__}: {error}") from error
    module, calibration, images, labels = _unpack(spec, made)
    exported = program_of(module, spec)
    if exported is not None:
        module = ExportedModule(exported, spec)
    return Foreign(
        module=module.eval(),
        input_shape=_input_shape(spec, module, calibration),
        calibration=calibration,
        test_images=images,
        test_labels=labels,
        normalization=_timm_normalization(module),
        exported=exported,
    )


def from_exported(path: Path) -> Foreign:
    """Load a ``.pt2`` file. Its one input must be ``[n, C, H, W]`` with ``n`` 1 or dynamic.

    Raises ``ModelError`` if the file is missing or damaged, or has other inputs.
    """
    program = read_program(path)
    module = ExportedModule(program, str(path))
    return Foreign(module=module, input_shape=module.input_shape, exported=program)


@contextmanager
def _current_folder_first() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _import(spec: str, module_name: str, attribute: str) -> Callable[[], Any]:
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise ModelError(
            f"cannot import {module_name} for {spec}: {type(error).__name__}: {error}"
        ) from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ModelError(f"{module_name} has no function {attribute}")
    return cast(Callable[[], Any], found)


def _unpack(spec: str, made: Any) -> tuple[nn.Module, Tensor | None, Tensor | None, Tensor | None]:
    parts = made if isinstance(made, tuple) else (made,)
    if len(parts) not in (1, 2, 4) or not isinstance(parts[0], nn.Module):
        raise ModelError(
            f"{spec} must return a module, (module, calibration) or (module, calibration, test_images, test_labels)"
        )
    module, calibration, images, labels = parts + (None,) * (4 - len(parts))
    if len(parts) > 1:
        calibration = _checked_images(spec, "calibration images", calibration)
    if len(parts) == 4:
        images = _checked_images(spec, "test images", images)
        if images.shape[1:] != calibration.shape[1:]:
            raise ModelError(f"{spec}: calibration and test images differ in shape")
        if labels is not None and (not isinstance(labels, Tensor) or labels.shape != images.shape[:1]):
            raise ModelError(f"{spec}: the test labels must be a tensor with one label for each test image")
    return module, calibration, images, None if labels is None else labels.long()


def _checked_images(spec: str, what: str, images: Any) -> Tensor:
    if not isinstance(images, Tensor) or images.ndim != 4 or not images.numel():
        raise ModelError(f"{spec}: the {what} must be a tensor [n, C, H, W]")
    if not images.is_floating_point():
        raise ModelError(f"{spec}: the {what} must be normalised floating-point images, not {images.dtype}")
    return images.float()


def _input_shape(spec: str, module: nn.Module, calibration: Tensor | None) -> Shape:
    """``(C, H, W)`` from what the module says of itself, checked against the calibration images."""
    declared = _declared_shape(module)
    if calibration is not None:
        channels, height, width = calibration.shape[1:]
        if declared not in (None, (channels, height, width)):
            given = (channels, height, width)
            raise ModelError(f"{spec}: the model takes {declared} but its calibration images are {given}")
        return channels, height, width
    if declared is None:
        raise ModelError(
            f"{spec}: the input shape is unknown; give the module an attribute input_shape = (C, H, W) "
            "or return calibration images with it"
        )
    return declared


def _declared_shape(module: nn.Module) -> Shape | None:
    """Our own attribute ``input_shape``, else timm's ``pretrained_cfg``, else the size in its patch embedding."""
    size = getattr(module, "input_shape", None) or _timm_config(module).get("input_size")
    embed: Any = getattr(module, "patch_embed", None)
    if size is None and hasattr(embed, "img_size") and isinstance(getattr(embed, "proj", None), nn.Conv2d):
        size = (embed.proj.in_channels, *embed.img_size)
    if size is None:
        return None
    try:
        channels, height, width = (int(value) for value in size)
    except (TypeError, ValueError):
        raise ModelError(f"the module's input shape {size!r} is not (C, H, W)") from None
    return channels, height, width


def _timm_config(module: nn.Module) -> dict[str, Any]:
    for name in ("pretrained_cfg", "default_cfg"):
        config = getattr(module, name, None)
        if isinstance(config, dict):
            return config
    return {}


def _timm_normalization(module: nn.Module) -> Normalization | None:
    config = _timm_config(module)
    if "mean" in config and "std" in config:
        return tuple(map(float, config["mean"])), tuple(map(float, config["std"]))
    return None
