"""Files that are whole or not there: one of them, or the pair of a graph or a program, with arrays in a safetensors
file and everything else in a JSON file beside it. No pickle.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import safer
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from vitreous.spec.errors import VitreousError


class StorageError(VitreousError, ValueError):
    """A file that is missing, truncated or of another kind."""


def _whole(path: Path) -> safer.SafeIO[bytes]:
    """A file that takes the name ``path`` when its block ends well, and is gone otherwise.

    Until then it has a name of its own, so that two processes that write the same path do not share it; one that
    ``safer`` chooses would be readable by its owner only.
    """
    part = path.with_name(f"{path.name}.{uuid4().hex}.partial")
    return safer.open(path, "wb", temp_file=part, make_parents=True)


def write_bytes(path: Path, data: bytes) -> Path:
    """Write ``path`` whole or not at all, with its folder where that is missing. Raises OSError."""
    with _whole(path) as file:
        file.write(data)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write ``path`` in UTF-8, whole or not at all, with its folder where that is missing. Raises OSError."""
    return write_bytes(path, text.encode())


def write_pair(path: str | Path, arrays: Mapping[str, np.ndarray], text: Mapping[str, Any]) -> Path:
    """Write both files, each whole or not at all. Raises StorageError where they cannot be written."""
    path = Path(path)
    side = path.with_suffix(".json")
    # Written as bytes of ours: safetensors' own file would be readable by its owner only.
    contents = {
        side: json.dumps(text, indent=1).encode(),
        path: save({key: np.ascontiguousarray(array) for key, array in arrays.items()}),
    }
    try:
        with ExitStack() as files:  # both are written before either takes its name
            for name, data in contents.items():
                file = files.enter_context(_whole(name))
                file.write(data)
                file.flush()
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from None
    return path


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The table of a TOML file. Raises StorageError that says what cannot be read and why; ``what``: in its words."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"Cannot read the {what} {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StorageError(f"{path} is not valid TOML: {error}") from None


def read_pair(path: str | Path, *formats: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and text of files of one of ``formats``. Raises StorageError that says which file is wrong and how."""
    path = Path(path)
    side = path.with_suffix(".json")
    for file in (path, side):
        if not file.is_file():
            raise StorageError(f"{file} does not exist")
    try:
        text = json.loads(side.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StorageError(f"{side} is truncated or not JSON: {error}") from None
    found = text.get("format") if isinstance(text, dict) else None
    if found not in formats:
        raise StorageError(f"{side} has format {found!r}; expected {' or '.join(map(repr, formats))}")
    try:
        return load_file(path), text
    except (SafetensorError, OSError) as error:
        raise StorageError(f"{path} is truncated or not a safetensors file: {error}") from None
