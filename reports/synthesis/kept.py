"""Results of tools that are kept in a cache: a dataclass in a JSON file with a format."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

from vitreous.reports.errors import ReportError
from vitreous.reports.json_file import check_format, structured
from vitreous.spec.storage import write_text

_T = TypeVar("_T")


def read_kept(kind: type[_T], path: Path, form: str, **fields: Any) -> _T | None:
    """A kept result of format ``form``, or None where there is none or it is damaged: then it is made again.

    fields : what is not of the file.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        check_format(data, form, f"{path} has")
        return structured(kind, {**data, **fields}, str(path))
    except (OSError, ValueError):
        return None


def write_kept(path: Path, result: Any, form: str) -> None:
    """Write the dataclass ``result`` in format ``form``, whole or not at all. Raises ReportError where it cannot be."""
    try:
        write_text(path, json.dumps({"format": form, **dataclasses.asdict(result)}, indent=1))
    except OSError as error:
        raise ReportError(
            f"The folder of kept results {path.parent} cannot be written ({error.strerror}); name another with --cache"
        ) from None
