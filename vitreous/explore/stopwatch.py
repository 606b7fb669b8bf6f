"""How long an exploration took, over all the runs that it was made in."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

from vitreous.spec.storage import write_text


class Stopwatch:
    """Wall and processor seconds of a block, this process and its children, added up over all runs in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        before = json.loads(path.read_text()) if path.is_file() else [0.0, 0.0]
        self.wall, self.processor = float(before[0]), float(before[1])

    def __enter__(self) -> Stopwatch:
        self._begun = time.monotonic(), processor_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall += time.monotonic() - self._begun[0]
        self.processor += processor_seconds() - self._begun[1]
        write_text(self._path, json.dumps([self.wall, self.processor]))


def processor_seconds() -> float:
    """Of this process and of all its children that have ended."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
