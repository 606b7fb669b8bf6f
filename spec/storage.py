"""Pairs of files for graphs and programs: arrays in a safetensors file, everything else in a JSON file beside
it. No pickle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save


class StorageError(ValueError):
    """A file that is missing, truncated or of another kind."""


def write_pair(path: str | Path, arrays: Mapping[str, np.ndarray], text: Mapping[str, Any]) -> Path:
    """Write both files through temporary names, so that an interruption never leaves half a file behind.

    Raises StorageError where they cannot be written.
    """
    path = Path(path)
    side = path.with_suffix(".json")
    # Written as bytes of ours: safetensors' own file would be readable by its owner only.
    contents = {
        path: save({key: np.ascontiguousarray(array) for key, array in arrays.items()}),
        side: json.dumps(text, indent=1).encode(),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, data in contents.items():
            _temporary(file).write_bytes(data)
        for file in contents:
            os.replace(_temporary(file), file)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from None
    return path


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


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
