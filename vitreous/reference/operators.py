"""docs/operators.md: the operators that the importer takes, and what it says where it takes one in some forms only.

From the importer's own tables, and from its source: every ``refuse(node, problem, supported)`` in it is a row.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from vitreous.quant import importer as folder
from vitreous.quant.importer import importer
from vitreous.quant.importer.elementwise import SUPPORTED

_INTRODUCTION = """\
# Supported operators

<!-- Written by `make docs` from quant/importer: change it. -->

A model comes as a graph of ATen operators, which `torch.export` makes of it; an operator is meant by its name, in any
overload. The importer follows what each computes, so it does not matter how a model writes its reshapes, splits its
heads or names its modules. What has no integer form is refused, with the operator and the module that it is in.
"""


def page() -> str:
    """The whole page."""
    parts = [
        _INTRODUCTION,
        "## Operators that compute",
        "",
        "| operators | what is recognized |",
        "| --- | --- |",
        *(
            f"| {', '.join(f'`{name}`' for name in names)} | {_first_line(handler)} |"
            for handler, names in _by_handler()
        ),
        "",
        "## Operators that move elements",
        "",
        "In any combination, and on constants as on computed values:",
        "",
        f"{_list(importer._MOVES)}.",
        "",
        "Operators on constants alone are computed while importing, whatever they are.",
        f"Assertions of the exporter are passed over: {_list(importer._ASSERTIONS)}.",
        "",
        "## What is refused, and what would be supported",
        "",
        "The sentence names the operator and the module as well; an ellipsis stands for what was found.",
        *(
            line
            for supported, problems in _by_support().items()
            for line in (
                "",
                f"Supported: {supported}. Refused:",
                "",
                *(f"- {problem}" for problem in problems),
            )
        ),
        "",
    ]
    return "\n".join(parts)


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _by_handler() -> list[tuple[Callable[..., Any], list[str]]]:
    """The operators of each handler, in the order of the importer's table."""
    found: dict[Callable[..., Any], list[str]] = {}
    for name, handler in importer._HANDLERS.items():
        found.setdefault(handler, []).append(name)
    return list(found.items())


def _first_line(handler: Callable[..., Any]) -> str:
    text = inspect.getdoc(handler)
    if not text:
        raise ValueError(
            f"{handler.__module__}.{handler.__name__} needs a docstring: a page for users is made from it"
        )
    return _cell(" ".join(text.partition("\n\n")[0].split()))


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")


def _plain(text: str) -> str:
    """A text of the source in Markdown: an asterisk is an asterisk."""
    return text.replace("*", "\\*")


def _by_support() -> dict[str, list[str]]:
    """What is refused, by what would be supported, both in order."""
    found: dict[str, set[str]] = {}
    for problem, supported in _refusals():
        found.setdefault("what this page lists" if supported == SUPPORTED else supported, set()).add(problem)
    return {supported: sorted(found[supported]) for supported in sorted(found)}


def _refusals() -> Iterator[tuple[str, str]]:
    """(problem, supported) of every refusal in the importer's source."""
    assert folder.__file__ is not None
    for path in sorted(Path(folder.__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        shared = _strings(tree.body)
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            known = {**shared, **_strings(list(ast.walk(function)))}
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "refuse":
                    _, problem, supported = call.args
                    yield _plain(_text(problem, known)), _plain(_text(supported, known))


def _strings(nodes: Any) -> dict[str, ast.expr]:
    """Names that are assigned once a text, here or in the module that they are imported from."""
    found: dict[str, ast.expr] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
        if isinstance(node, ast.ImportFrom):
            module = __import__(node.module or "", fromlist=["_"])
            for alias in node.names:
                value = getattr(module, alias.name, None)
                if isinstance(value, str):
                    found[alias.asname or alias.name] = ast.Constant(value)
    return found


def _text(node: ast.expr, known: dict[str, ast.expr]) -> str:
    """A text as it stands in the source, with an ellipsis for what is filled in later."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(value, known) for value in values)
        case ast.Name(id=name) if name in known and not isinstance(known[name], ast.Name):
            return _text(known[name], known)
        case ast.FormattedValue(value=value):
            return _text(value, known)
        case ast.BinOp(left=left, right=right):
            return _text(left, known) + _text(right, known)
    return "…"
