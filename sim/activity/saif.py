"""SAIF, the file in which Verilator counts toggles: how often each bit of each signal changed (IEEE 1801)."""

from __future__ import annotations

import re
from pathlib import Path

from vitreous.spec.errors import VitreousError

_INSTANCE = re.compile(r"\(INSTANCE (?P<name>\S+)$")
_NET = re.compile(r"\((?P<name>\S+) \(T0 \d+\).*\(TC (?P<count>\d+)\)\)$")


class SaifError(VitreousError, ValueError):
    """A file that is not SAIF, or not all of it."""


def read_saif(path: str | Path, instance: str) -> dict[str, int]:
    """Toggles of every bit of ``instance`` itself, by name: ``valid``, ``a[3]``.

    ``instance`` is a path with slashes from the outermost one down, as ``bench/dut``. The clock of a simulation that
    takes it up and down in the same step has none.

    Raises SaifError when the file is missing, does not end as it should, or has no such instance.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SaifError(f"Cannot read {path}: {error.strerror}") from None
    found: dict[str, int] = {}
    scope: list[str] = []
    seen, level = False, 0
    for line in lines:
        text = line.strip()
        if text.startswith("//"):
            continue
        level += text.count("(") - text.count(")")
        if entry := _INSTANCE.match(text):
            scope.append(entry["name"])
            seen = seen or "/".join(scope) == instance
        elif entry := _NET.match(text):
            if "/".join(scope) == instance:
                found[entry["name"].replace("\\", "")] = int(entry["count"])
        elif text == ")" and scope and level < len(scope) + 1:
            scope.pop()
    if not lines or "(SAIFILE" not in "".join(lines[:3]) or level != 0:
        raise SaifError(f"{path} is not a whole SAIF file: its parentheses do not close")
    if not seen:
        raise SaifError(f"{path} has no instance {instance}")
    return found
