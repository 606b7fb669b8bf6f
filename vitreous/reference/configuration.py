"""docs/configuration.md: every field of an accelerator, from the dataclasses of ``spec.config`` and the presets."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import Any

from vitreous.reference import meaning
from vitreous.spec.config import AcceleratorConfig, load_accelerator, named_accelerators
from vitreous.spec.ranges import Range, ranges
from vitreous.spec.variants import EXACT

_INTRODUCTION = """\
# Configuration

<!-- Written by `make docs` from spec/config.py and configs/: change these. -->

An accelerator is one TOML file with the tables below, each field optional: what is left out has its default. A file of
nothing is the default machine. `--accelerator` takes the path of such a file or the name of one in `configs/`;
`AcceleratorConfig.from_dict` takes the same as a dictionary. `vitreous schema configuration` prints its JSON Schema.

A field that is unknown or out of range is refused by name, and so is a combination that cannot work.

```toml
[array]
lanes = 16

[softmax]
variant = "online"
```

The column "presets" names each accelerator of `configs/` whose value is not the default.
"""
_HEADER = "| field | type | default | range | presets | meaning |\n| --- | --- | --- | --- | --- | --- |"


def page() -> str:
    """The whole page."""
    presets = {name: load_accelerator(name) for name in named_accelerators()}
    sections = [_INTRODUCTION]
    for part in dataclasses.fields(AcceleratorConfig):
        default = getattr(AcceleratorConfig(), part.name)
        if dataclasses.is_dataclass(default):
            sections.append(
                _section(part.name, default, {n: getattr(p, part.name) for n, p in presets.items()})
            )
    return "\n".join(sections)


def _section(label: str, default: Any, presets: dict[str, Any]) -> str:
    told = meaning.fields(type(default))
    rows = []
    for name, (kind, allowed) in ranges(type(default)).items():
        usual = getattr(default, name)
        others = [f"{preset}: `{_toml(getattr(part, name))}`" for preset, part in presets.items()]
        differing = [
            text for text, part in zip(others, presets.values(), strict=True) if getattr(part, name) != usual
        ]
        cells = (
            f"`{name}`",
            _type(kind),
            f"`{_toml(usual)}`",
            _range(kind, allowed),
            ", ".join(differing),
            told[name],
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([f"## [{label}]", "", meaning.summary(type(default)), "", _HEADER, *rows, ""])


def _type(kind: type) -> str:
    if issubclass(kind, StrEnum):
        return "word"
    return {int: "integer", float: "number", bool: "true or false"}[kind]


def _range(kind: type, allowed: Range | None) -> str:
    if allowed is not None:
        return allowed.words
    if issubclass(kind, StrEnum):
        return ", ".join(f"`{_toml(member)}`" for member in kind if member != EXACT)
    return "`true`, `false`"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value}"
