"""What the docstring of a dataclass says about its fields: lines ``name, other : text`` at the docstring's margin, with
what is indented below them.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

_FIELDS = re.compile(r"(?P<names>[a-z_]\w*(?:, [a-z_]\w*)*) : (?P<text>.*)", re.DOTALL)


def summary(kind: type) -> str:
    """The paragraphs before the first line about a field, as one line; empty for a class without a docstring."""
    return _entries(kind)[0]


def fields(kind: Any) -> dict[str, str]:
    """Text by field, on one line; only fields of ``kind`` that its docstring has a line about."""
    return _entries(kind)[1]


def _entries(kind: Any) -> tuple[str, dict[str, str]]:
    text = (kind.__doc__ or "").replace("``", "`")
    if text.startswith(f"{kind.__name__}("):  # what dataclass writes where there is none
        return "", {}
    known = {field.name for field in dataclasses.fields(kind)}
    before: list[str] = []
    found: dict[str, str] = {}
    names: list[str] = []
    for line in inspect.cleandoc(text).splitlines():
        match = _FIELDS.fullmatch(line)
        if match is not None and set(match["names"].split(", ")) <= known:
            names = match["names"].split(", ")
            found.update(dict.fromkeys(names, match["text"].strip()))
        elif names and line.strip():
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
        elif not names:
            before.append(line.strip())
    return " ".join(part for part in before if part), found
