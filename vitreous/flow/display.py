"""What a person sees while stages run: a moving bar on a terminal's stderr, one line for each stage on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)


class Stage:
    """One stage in progress: ``update`` moves its bar, ``note`` becomes part of its line."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=None)
        self._name = name
        self.text = ""
        self.reused = False

    def update(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)

    def part(self, what: str, done: int, total: int) -> None:
        """Progress of a part of the stage that has a name of its own."""
        self._progress.update(
            self._task, description=f"{self._name}: {what}", completed=done, total=total or None
        )

    def note(self, text: str) -> None:
        self.text = text

    def unchanged(self, text: str = "") -> None:
        """Nothing had to be done."""
        self.reused = True
        self.text = text


class Display:
    """Stages one after another. ``quiet`` shows nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, quiet=quiet)

    def line(self, text: str) -> None:
        if not self._quiet:
            print(text, flush=True)

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """A stage: its bar while the block runs, its line after it. An exception leaves no line."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        started = time.monotonic()
        with Progress(
            *columns, console=self._console, transient=True, disable=not self._moving()
        ) as progress:
            stage = Stage(progress, name)
            yield stage
        took = "unchanged" if stage.reused else f"{time.monotonic() - started:.1f} s"
        self.line(f"{name:<22}{took:>10}  {stage.text}".rstrip())

    def _moving(self) -> bool:
        return not self._quiet and sys.stderr.isatty()
