"""Where things are kept that can be made again: in the user's cache folder, which every working folder finds.

``~/.cache/vitreous``, or where ``XDG_CACHE_HOME`` says. It may be removed at any time.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

_CACHE = platformdirs.user_cache_path("vitreous", appauthor=False)

SIMULATORS = _CACHE / "sim"
"""Compiled simulators, one folder for each configuration, description and tool."""
SYNTHESIS = _CACHE / "synthesis"
"""Results of Yosys, by the hash of what was synthesized."""
PLACED = _CACHE / "place"
"""Placed and routed designs."""


def can_write(folder: Path) -> bool:
    """Whether files can be made in ``folder``; it is made where it is missing.

    By trying: permission bits do not know read-only file systems, quotas and folders of the kernel.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@contextmanager
def caches_of_tools() -> Iterator[None]:
    """Let the tools of the block keep their caches in a temporary folder where the user's cannot be written.

    A service account or a container may have no home, and the runtime of the Yosys from PyPI stops there. Without its
    cache it only starts later. Touches nothing where the user's cache folder is in order.
    """
    if can_write(_CACHE.parent):
        yield
        return
    before = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory(prefix="vitreous-") as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["XDG_CACHE_HOME"]
            else:
                os.environ["XDG_CACHE_HOME"] = before
