"""Files and modules of the project that its texts name, and whether they are there."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.tree import ROOMS, ROOT, SOURCE_FOLDERS, all_modules, documents, python_files

FOLDERS = (*SOURCE_FOLDERS, "configs", "docs", ".ci")
# A path begins with one of our folders and not inside a longer path or name.
PATH = re.compile(rf"(?<![\w./<>{{}}*-])(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./*<>{{}}$-]*")
# A module begins with the package or with a folder of modules; what follows it may be a name in it.
MODULE = re.compile(rf"(?<![\w./-])(?:vitreous|{'|'.join(SOURCE_FOLDERS)})(?:\.\w+)+(?![\w/])")
# What stands for any name: a word in capitals (docs/TARGET.md), brackets, braces, a shell variable, an ellipsis.
PLACEHOLDER = re.compile(r"(?:^|[/.-])[A-Z][A-Z_]+(?:$|[/.-])|[<>{}$]|\.\.\.")
# machine.md is a file and no module.
FILE = re.compile(r"\.(?:md|py|json|toml|sv?|v|html|csv|svg|txt)$")
# The target of a link in Markdown, without its anchor.
LINK = re.compile(r"\]\(([^)#\s]+)")
# Words that are in capitals without standing for another.
CAPITALS = ("README", "LICENSE", "SOURCES")


def texts() -> Iterator[tuple[Path, int, str]]:
    """(file, line, text) of everything that the rule reads.

    Of Python the prose alone, docstrings and comments: a path in code that leads nowhere fails by itself.
    """
    whole = [*documents(), ROOT / "Makefile", ROOT / "pyproject.toml", *sorted((ROOT / ".ci").iterdir())]
    for path in whole:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield path, number, line
    for folder in SOURCE_FOLDERS:
        for path in python_files(folder):
            for number, text in prose(path.read_text()):
                yield path, number, text


def prose(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of the docstrings and comments of Python ``source``."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and ast.get_docstring(node):
                own = lines[first.lineno - 1 : first.end_lineno]
                yield from enumerate(map(str.strip, own), first.lineno)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def paths(text: str) -> list[str]:
    """The repository paths that ``text`` names, placeholders left out."""
    found = (match.group() for match in PATH.finditer(text))
    return [path.rstrip(".-") for path in found if not _stands_for_another(path)]


def modules(text: str) -> list[str]:
    """The dotted names of ours in ``text``: modules, or names in them."""
    found = (match.group() for match in MODULE.finditer(text))
    return [name for name in found if not FILE.search(name) and not _stands_for_another(name)]


def links(text: str) -> list[str]:
    """The files that Markdown ``text`` links to, from where it lies."""
    return [target for target in LINK.findall(text) if ":" not in target]


def _stands_for_another(name: str) -> bool:
    for word in CAPITALS:
        name = name.replace(word, "")
    return bool(PLACEHOLDER.search(name))


def path_exists(path: str) -> bool:
    """Whether ``path``, or a pattern of paths, is there; a module may be named without its suffix."""
    if "*" in path:
        return any(ROOT.glob(path.rstrip("/")))
    return (ROOT / path).exists() or (ROOT / f"{path}.py").is_file()


def link_exists(page: Path, target: str) -> bool:
    return (page.parent / target).exists()


def module_exists(name: str) -> bool:
    """Whether ``name`` is a module of ours, or begins with one in which the words that follow stand."""
    parts = name.split(".")
    if parts[0] in ROOMS:
        parts.insert(0, "vitreous")
    known = _modules()
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        if module in known:
            return all(re.search(rf"\b{word}\b", _text(known[module])) for word in parts[length:])
    return False


@cache
def _modules() -> dict[str, Path]:
    return all_modules()


@cache
def _text(path: Path) -> str:
    return path.read_text()
