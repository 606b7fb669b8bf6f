"""A user's own model: an object in Python, what a factory function returns, or an exported program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from vitreous.models.dataset.image_set import Normalization
from vitreous.models.errors import ModelError
from vitreous.models.exported import ExportedModule, logits_alone, program_of, read_program
from vitreous.models.logits import Shape
from vitreous.models.named import current_folder_first, find

FORMS = (
    "a module, an exported program, (module, calibration images) or "
    "(module, calibration images, test images, labels)"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Foreign:
    """What a user's model brought along; ``None`` for what it did not.

    label : what errors call it. module : as it came, or an ``ExportedModule``. calibration, test : anything that
    ``dataset.read`` takes. declared : the input's shape that the module cannot differ from; usual : the one that it
    was made for, which given images override. left_out : the operations of an exported program after its logits.
    """

    label: str
    module: nn.Module
    exported: ExportedProgram | None = None
    left_out: tuple[str, ...] = ()
    calibration: Any = None
    test: Any = None
    declared: Shape | None = None
    usual: Shape | None = None
    normalization: Normalization | None = None
    crop: float = 1.0


def from_factory(spec: str) -> Foreign:
    """Import ``package.module:factory``, the current folder first, and call it.

    Raises ``ModelError`` if that fails or if the result is not one of ``FORMS``.
    """
    factory = find(spec, "factory")
    if not callable(factory) and not isinstance(factory, tuple):
        raise ModelError(f"{spec.partition(':')[0]} has no function {spec.partition(':')[2]}")
    return from_object(factory, spec)


def from_object(made: Any, label: str) -> Foreign:
    """A module, a program, one of both with its data, or a function without arguments that returns one of these.

    Raises ``ModelError`` for anything else.
    """
    if callable(made) and not isinstance(made, nn.Module | ExportedProgram):
        made = _called(made, label)
    parts = made if isinstance(made, tuple) else (made,)
    if len(parts) not in (1, 2, 4) or not isinstance(parts[0], nn.Module | ExportedProgram):
        found = ", ".join(type(part).__name__ for part in parts)
        raise ModelError(f"{label} must be or return {FORMS}, not {found or 'nothing'}")
    module, calibration, images, labels = parts + (None,) * (4 - len(parts))
    program = module if isinstance(module, ExportedProgram) else program_of(module, label)
    left_out: tuple[str, ...] = ()
    if program is not None:
        module = ExportedModule(program, label)
        program, left_out = logits_alone(program, label)
        if left_out:
            module = ExportedModule(program, label)
    return Foreign(
        label=label,
        module=module,
        exported=program,
        left_out=left_out,
        calibration=calibration,
        test=None if images is None else (images, labels),
        declared=_declared_shape(module, label),
        usual=_shape(_timm_config(module).get("input_size") or _huggingface_size(module), label),
        normalization=_normalization(module, label),
        crop=float(_timm_config(module).get("crop_pct") or 1.0),
    )


def from_exported(path: Path) -> Foreign:
    """Load a ``.pt2`` file. Its one input must be ``[n, C, H, W]`` with ``n`` 1 or dynamic.

    Raises ``ModelError`` if the file is missing or damaged, or has other inputs.
    """
    return from_object(read_program(path), str(path))


def _called(factory: Callable[[], Any], label: str) -> Any:
    try:
        with current_folder_first():  # where what it imports may lie, too
            return factory()
    except Exception as error:
        raise ModelError(f"{label} failed: {type(error).__name__}: {error}") from error


def _declared_shape(module: nn.Module, label: str) -> Shape | None:
    """Our own attribute ``input_shape``, else the size in timm's patch embedding."""
    size = getattr(module, "input_shape", None)
    embed: Any = getattr(module, "patch_embed", None)
    if (
        size is None
        and getattr(embed, "img_size", None)
        and isinstance(getattr(embed, "proj", None), nn.Conv2d)
    ):
        size = (embed.proj.in_channels, *embed.img_size)
    return _shape(size, label)


def _huggingface_size(module: nn.Module) -> tuple[int, ...] | None:
    config: Any = getattr(module, "config", None)
    size, channels = getattr(config, "image_size", None), getattr(config, "num_channels", None)
    if size is None or channels is None:
        return None
    return (channels, *size) if isinstance(size, tuple | list) else (channels, size, size)


def _shape(size: Any, label: str) -> Shape | None:
    if size is None:
        return None
    try:
        channels, height, width = (int(value) for value in size)
    except (TypeError, ValueError):
        raise ModelError(f"{label}: the module's input shape {size!r} is not (C, H, W)") from None
    return channels, height, width


def _timm_config(module: nn.Module) -> dict[str, Any]:
    for name in ("pretrained_cfg", "default_cfg"):
        config = getattr(module, name, None)
        if isinstance(config, dict):
            return config
    return {}


def _normalization(module: nn.Module, label: str) -> Normalization | None:
    """Our own attributes ``input_mean`` and ``input_std``, else timm's configuration."""
    config = _timm_config(module)
    mean = getattr(module, "input_mean", config.get("mean"))
    std = getattr(module, "input_std", config.get("std"))
    if mean is None and std is None:
        return None
    try:
        return tuple(float(value) for value in mean), tuple(float(value) for value in std)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        raise ModelError(
            f"{label}: input_mean and input_std must be given together, one number for each channel"
        ) from None
