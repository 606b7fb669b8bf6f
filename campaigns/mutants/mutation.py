"""What a mutation is, and how a tree with one is made."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.tree import ROOT

ROOMS = ("spec", "golden", "quant", "compiler", "sim", "reports", "models", "configs")


@dataclass(frozen=True)
class Mutation:
    """Replace ``old`` by ``new`` once in ``hw/<file>``; ``kind`` says what sort of mistake it is."""

    kind: str
    file: str
    old: str
    new: str

    def apply(self, hw: Path) -> None:
        """Raises ValueError unless ``old`` occurs exactly once, so that a stale entry of the catalogue is
        noticed.
        """
        path = hw / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file}: {self.old!r} occurs {text.count(self.old)} times, not once")
        path.write_text(text.replace(self.old, self.new))


def mutated_tree(mutation: Mutation, folder: Path) -> Path:
    """A tree in ``folder`` that imports as the project does, with its own copy of ``hw`` and links for all else."""
    shutil.rmtree(folder, ignore_errors=True)
    package = folder / "vitreous"
    package.mkdir(parents=True)
    for path in (ROOT / "vitreous").iterdir():
        if not path.is_symlink() and path.name != "__pycache__":
            (package / path.name).symlink_to(path)
    for room in ROOMS:
        (package / room).symlink_to(ROOT / room)
    shutil.copytree(ROOT / "hw", package / "hw", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("campaigns", "tests"):
        (folder / name).symlink_to(ROOT / name)
    mutation.apply(package / "hw")
    return folder
