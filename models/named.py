"""What a user calls ``package.module:name``: a factory of a model, or a data set."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vitreous.models.errors import ModelError
from vitreous.spec.errors import near

_KINDS = {"factory": "function", "dataset": "data set"}


def find(spec: str, form: str) -> Any:
    """The object that ``package.module:name`` names, the current folder searched first.

    form : ``factory`` or ``dataset``, for errors.

    Raises ModelError where the text is of another form or the object cannot be imported.
    """
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise ModelError(f"{spec!r} is not of the form package.module:{form}")
    with current_folder_first():
        try:
            found: Any = importlib.import_module(module_name)
        except Exception as error:
            raise ModelError(
                f"cannot import {module_name} for {spec}: {type(error).__name__}: {error}"
            ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ModelError(f"{module_name} has no {_KINDS[form]} {attribute}{near(part, dir(found))}")
        found = getattr(found, part)
    return found


@contextmanager
def current_folder_first() -> Iterator[None]:
    """Modules that lie in the current folder are found before all others."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
