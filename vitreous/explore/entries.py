"""Reading single entries of a TOML table: each refusal is one sentence that names the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from vitreous.errors import RunError

_N = TypeVar("_N", int, float)


def only(table: object, keys: Sequence[str], where: str) -> None:
    """Raises RunError unless ``table`` is a table with none but ``keys``."""
    if not isinstance(table, Mapping):
        raise RunError(f"{where} must be a table, not {table!r}")
    for key in table:
        if key not in keys:
            raise RunError(f"Unknown key {key} in {where}; known are {', '.join(keys)}")


def text(table: Mapping[str, Any], key: str, default: str | None) -> str:
    """A word; without a default it must be there."""
    value = table.get(key, default)
    if not isinstance(value, str) or not value:
        raise RunError(
            f"{key} must be a word in quotes, not {value!r}" if key in table else f"{key} is missing"
        )
    return value


def strings(table: Mapping[str, Any], key: str, default: tuple[str, ...] | None) -> tuple[str, ...]:
    """A list of different words, at least one."""
    value = table.get(key, None if default is None else list(default))
    if value is None:
        raise RunError(f"{key} is missing: a list of words in quotes")
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise RunError(f"{key} must be a list of words in quotes, at least one, not {value!r}")
    if len(set(value)) < len(value):
        raise RunError(f"{key} has an entry twice: {', '.join(value)}")
    return tuple(value)


def number(
    table: Mapping[str, Any],
    key: str,
    kind: type[_N],
    default: _N | None = None,
    *,
    low: _N | None = None,
    high: _N | None = None,
    where: str = "",
) -> _N:
    """An integer, or any number for ``float``, within ``low..high``; without a default it must be there."""
    value = table.get(key, default)
    if value is None:
        raise RunError(f"{where}{key} is missing")
    name = "an integer" if kind is int else "a number"
    if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
        raise RunError(f"{where}{key} must be {name}, not {value!r}")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"in {low}..{high}"
        raise RunError(f"{where}{key} must be {bounds}, not {value!r}")
    return kind(value)
