"""An accelerator, whatever it is given as."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitreous.spec.config import AcceleratorConfig, ConfigError
from vitreous.spec.config import load_accelerator as by_name

Given = str | Path | Mapping[str, Any] | AcceleratorConfig


def load_accelerator(accelerator: Given) -> AcceleratorConfig:
    """A configuration from a name of ``vitreous list``, a ``.toml`` file, a dictionary like the file, or itself.

    Raises ConfigError that lists the known names, or names the part or the field that is wrong.
    """
    if isinstance(accelerator, AcceleratorConfig):
        return accelerator
    if isinstance(accelerator, Mapping):
        return AcceleratorConfig.from_dict(accelerator)
    if isinstance(accelerator, Path):
        return AcceleratorConfig.from_toml(accelerator)
    if isinstance(accelerator, str):
        return by_name(accelerator)
    raise ConfigError(
        "An accelerator is a name, a .toml file, a dictionary or an AcceleratorConfig, not "
        f"{type(accelerator).__name__}"
    )
