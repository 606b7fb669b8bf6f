"""What values a field of the configuration may have, beside its type: checked when one is made, and told by
docs/configuration.md and by the JSON Schema.

    lanes: Annotated[int, Choice(4, 8, 16, 32)] = 8
    activation_kib: Annotated[int, Within(1, 16384)] = 256
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from vitreous.spec.errors import VitreousError

Kind = TypeVar("Kind", bound=StrEnum)


class ConfigError(VitreousError, ValueError):
    """A configuration that cannot work; the sentence names the field and the value."""


@dataclass(frozen=True, init=False)
class Choice:
    """One of a few values."""

    allowed: tuple[int, ...]

    def __init__(self, *allowed: int) -> None:
        object.__setattr__(self, "allowed", allowed)

    def check(self, name: str, value: object) -> None:
        choice(name, value, self.allowed)

    @property
    def words(self) -> str:
        return ", ".join(map(str, self.allowed))

    @property
    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.allowed)}


@dataclass(frozen=True)
class Within:
    """An integer in ``low..high``, both included, and a multiple of ``multiple``."""

    low: int
    high: int
    multiple: int = 1

    def check(self, name: str, value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise ConfigError(f"{name} must be an integer in {self.low}..{self.high}, not {value!r}")
        if value % self.multiple:
            raise ConfigError(f"{name} must be a multiple of {self.multiple}, not {value}")

    @property
    def words(self) -> str:
        stepped = f", a multiple of {self.multiple}" if self.multiple > 1 else ""
        return f"{self.low} to {self.high}{stepped}"

    @property
    def schema(self) -> dict[str, Any]:
        stepped = {"multipleOf": self.multiple} if self.multiple > 1 else {}
        return {"minimum": self.low, "maximum": self.high, **stepped}


@dataclass(frozen=True)
class Told:
    """A range that the part checks itself, because it follows from other fields: in ``words``, and what a JSON Schema
    can say of it.
    """

    words: str
    schema: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def check(self, name: str, value: object) -> None:
        """Nothing."""


Range = Choice | Within | Told


def ranges(part: Any) -> dict[str, tuple[type, Range | None]]:
    """Type of each field of the dataclass ``part``, and its range where the type does not say all."""
    return _read(part)


@cache
def _read(part: Any) -> dict[str, tuple[type, Range | None]]:
    hints = get_type_hints(part, include_extras=True)
    found: dict[str, tuple[type, Range | None]] = {}
    for each in dataclasses.fields(part):
        kind, *told = get_args(hints[each.name]) or (hints[each.name],)
        found[each.name] = (kind, told[0] if told else None)
    return found


def check(part: Any, label: str) -> None:
    """Check every field of a frozen ``part`` that is called ``label``; a word becomes the member that it names.

    Raises ConfigError.
    """
    for name, (kind, allowed) in ranges(type(part)).items():
        value, full = getattr(part, name), f"{label}.{name}"
        if issubclass(kind, StrEnum):
            object.__setattr__(part, name, _member(full, value, kind))
        elif kind is bool:
            choice(full, value, (False, True))
        elif allowed is not None:
            allowed.check(full, value)


def choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Raises ConfigError for a value that is not one of ``allowed``."""
    # By type too: Python holds 8.0 and True for integers, the hardware does not.
    if not any(type(value) is type(other) and value == other for other in allowed):
        raise ConfigError(f"{name} must be one of {', '.join(map(str, allowed))}, not {value!r}")


def _member(name: str, value: object, kind: type[Kind]) -> Kind:
    """The member that a word of TOML names."""
    choice(name, str(value) if isinstance(value, kind) else value, tuple(str(member) for member in kind))
    return kind(str(value))
