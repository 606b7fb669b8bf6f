"""An accelerator as the TOML file that ``load_accelerator`` reads."""

from __future__ import annotations

from vitreous.spec.config import AcceleratorConfig


def toml(config: AcceleratorConfig, *comments: str) -> str:
    """Every field of every part, after ``comments``, one a line."""
    lines = [f"# {comment}" for comment in comments]
    for part, fields in config.as_dict().items():
        if isinstance(fields, dict):
            lines += ["", f"[{part}]", *(f"{name} = {_value(value)}" for name, value in fields.items())]
    return "\n".join(lines).lstrip("\n") + "\n"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
