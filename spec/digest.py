"""Digests of sources and files: what a kept result depends on, so that a result of older code is never believed.

Places are named by their path below the package: a room (``hw``), a folder of one (``sim/cycles``) or a single file
(``sim/run/build.py``). Folders are read to any depth.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def source_files(*places: str) -> Iterator[tuple[str, Path]]:
    """(path below the package, file) of everything in ``places``, in order; only what Python caches is left out.

    Raises FileNotFoundError for a place that is not there: a digest of nothing never changes.
    """
    package = Path(__file__).absolute().parent.parent
    for place in places:
        root = package / place
        found = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
        files = [path for path in found if "__pycache__" not in path.parts]
        if not files:
            raise FileNotFoundError(f"{root} holds no source")
        for path in files:
            yield path.relative_to(package).as_posix(), path


@cache
def source_digest(*places: str) -> str:
    """SHA-256 of the names and bytes of all files of these places: Python, Verilog, tables, templates."""
    state = hashlib.sha256()
    for name, path in source_files(*places):
        _add(state, name, path.read_bytes())
    return state.hexdigest()


@cache
def code_digest(*places: str) -> str:
    """As ``source_digest``, but of Python only what it does: comments, docstrings and format do not count."""
    state = hashlib.sha256()
    for name, path in source_files(*places):
        _add(state, name, _code(path.read_bytes()) if path.suffix == ".py" else path.read_bytes())
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes; empty when it cannot be read."""
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError:
        return ""


def _add(state: hashlib._Hash, name: str, contents: bytes) -> None:
    # With its length, so that no text can pass for the end of one file and the start of the next.
    state.update(f"{name} {len(contents)}\n".encode())
    state.update(contents)


def _code(source: bytes) -> bytes:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_text(part)]  # type: ignore[attr-defined]
    return ast.dump(tree).encode()


def _is_text(node: ast.AST) -> bool:
    """A string that stands alone: a docstring, or the comment on a constant."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
