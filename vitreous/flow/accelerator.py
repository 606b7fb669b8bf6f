"""An accelerator, whatever it is given as, and as the file that can be given."""

from __future__ import annotations

import json
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


def as_toml(parts: Mapping[str, Any], comments: str) -> str:
    """The file of a configuration's ``as_dict``, every field of every part, after lines of ``comments``."""
    lines = [f"# {line}" for line in comments.splitlines()]
    for part, fields in parts.items():
        if isinstance(fields, Mapping):
            # JSON writes numbers, true, false and plain words as TOML does.
            lines += ["", f"[{part}]", *(f"{name} = {json.dumps(value)}" for name, value in fields.items())]
    return "\n".join(lines) + "\n"
