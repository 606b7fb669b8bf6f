"""Dataclasses in JSON files: what is read is what the dataclass says, or a sentence names the entry that is not.

They are written by ``dataclasses.asdict``, with ``format``, which has a version, beside their fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from cattrs import Converter
from cattrs.cols import homogenous_tuple_structure_factory, is_sequence
from cattrs.errors import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn
from cattrs.strategies import configure_union_passthrough

from vitreous.reports.errors import ReportError

_T = TypeVar("_T")
_NAMES = {str: "a text", bool: "true or false", int: "an integer", float: "a number"}


def check_format(data: Any, expected: str, subject: str) -> None:
    """Raises ReportError unless ``data`` is a table of format ``expected``; the sentence begins with ``subject``."""
    found = data.get("format") if isinstance(data, Mapping) else type(data).__name__
    if found != expected:
        raise ReportError(f"{subject} format {found!r}; expected {expected!r}")


def structured(kind: type[_T], data: Any, whole: str) -> _T:
    """``data``, from JSON, as the dataclass ``kind``; an entry ``format`` is left out.

    Every entry has exactly the type of its field (an integer will do as a number), and no entry is unknown.
    Raises ReportError that names the wrong entry by its path, or ``whole`` where that is empty.
    """
    if isinstance(data, Mapping):
        data = {key: value for key, value in data.items() if key != "format"}
    try:
        return _converter().structure(data, kind)
    except Exception as error:  # a dataclass's own checks may raise anything
        raise ReportError(_sentence(error, "", whole)) from None


def _sentence(error: Exception, path: str, whole: str) -> str:
    """What is wrong first, innermost. Unknown entries come before missing ones, and these before wrong ones."""
    if isinstance(error, ClassValidationError):
        attributes, others = error.group_exceptions()
        unknown = [name for e in others if isinstance(e, ForbiddenExtraKeysError) for name in e.extra_fields]
        if unknown:
            return f"{path or whole} has unknown entries: {', '.join(sorted(unknown))}"
        missing = [note.name for e, note in attributes if isinstance(e, KeyError) and e.args == (note.name,)]
        if missing:
            return f"{path or whole} lacks {', '.join(sorted(missing))}"
        if not attributes:  # a check of the dataclass's own
            return _sentence(others[0], path, whole)
        inner, attribute = attributes[0]
        return _sentence(inner, _below(path, attribute), whole)
    if isinstance(error, IterableValidationError):
        items, others = error.group_exceptions()
        if not items:  # too few or too many
            return _sentence(others[0], path, whole)
        inner, item = items[0]
        return _sentence(inner, _below(path, item), whole)
    if isinstance(error, ReportError):
        return str(error)
    return f"{path or whole} {error}" if isinstance(error, _WrongTypeError) else f"{path or whole}: {error}"


def _below(path: str, note: AttributeValidationNote | IterableValidationNote) -> str:
    """The path of an attribute, of an entry of a list or of one of a table."""
    name = note.name if isinstance(note, AttributeValidationNote) else note.index
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


class _WrongTypeError(TypeError):
    """The rest of a sentence that begins with an entry's path."""


@cache
def _converter() -> Converter:
    made = Converter()
    for kind in _NAMES:
        made.register_structure_hook(kind, _exactly)
    configure_union_passthrough(str | bool | int | float | None, made)
    made.register_structure_hook_factory(dataclasses.is_dataclass, _dataclass)
    made.register_structure_hook_factory(is_sequence, _sequence)
    return made


def _exactly(value: Any, kind: type) -> Any:
    """A number that was written as an integer stays one, so that it is written again as it was. A word of an
    enumeration becomes its member.
    """
    if issubclass(kind, Enum):
        words = [member.value for member in kind]
        if value not in words:
            raise _WrongTypeError(f"must be one of {', '.join(words)}, not {value!r}")
        return kind(value)
    fits = type(value) is kind or (kind is float and type(value) is int)
    if not fits:
        raise _WrongTypeError(f"must be {_NAMES[kind]}, not {value!r}")
    return value


def _dataclass(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    fill = make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True)

    def read(data: Any, _: Any) -> Any:
        if not isinstance(data, Mapping):
            raise _WrongTypeError(f"must be a table, not {type(data).__name__}")
        return fill(data, kind)

    return read


def _sequence(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    fill = homogenous_tuple_structure_factory(tuple[kind.__args__[0], ...], converter)

    def read(data: Any, _: Any) -> Any:
        if not isinstance(data, Sequence) or isinstance(data, str):
            raise _WrongTypeError(f"must be a list, not {type(data).__name__}")
        return fill(data, kind)

    return read
