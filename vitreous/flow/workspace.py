"""The folder of a run: a lock against a second run, and stamps that say which files are up to date.

A stage's stamp holds the digests of everything that went in and of every file that came out. The stage is done
again when any of them differs, so a changed input, a changed source of Vitreous and a damaged file all count.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vitreous.errors import RunError
from vitreous.spec.digest import file_digest
from vitreous.spec.storage import write_text


class Workspace:
    """A run's folder, made when it is missing. Raises RunError when it is a file."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        if self.folder.exists() and not self.folder.is_dir():
            raise RunError(f"{folder} is a file; --out must name a folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._stamps = self.folder / ".stamps"

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process. Raises RunError when another one holds it."""
        with (self.folder / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(f"Another run is working in {self.folder}") from None
            yield

    def fresh(self, stage: str, inputs: Mapping[str, str]) -> bool:
        """Whether ``stage`` was done with these inputs and its files are as it left them."""
        try:
            stamp = json.loads((self._stamps / f"{stage}.json").read_text())
        except (OSError, json.JSONDecodeError, UnicodeDecodeError):
            return False
        return bool(
            stamp.get("inputs") == dict(inputs)
            and all(file_digest(self / name) == digest for name, digest in stamp.get("outputs", {}).items())
        )

    def stamp(self, stage: str, inputs: Mapping[str, str], outputs: Sequence[Path]) -> None:
        """Say that ``stage`` is done; ``outputs`` lie in this folder."""
        made = {str(path.absolute().relative_to(self.folder)): file_digest(path) for path in outputs}
        write_text(
            self._stamps / f"{stage}.json", json.dumps({"inputs": dict(inputs), "outputs": made}, indent=1)
        )

    def read_json(self, name: str) -> Any:
        return json.loads((self / name).read_text())
