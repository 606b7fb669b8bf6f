"""What a person sees while stages run: a moving bar on a terminal's stderr, one line for each stage.

Where there is no terminal a stage that takes long says so from time to time, so that a log shows that it lives.
"""

from __future__ import annotations

import sys
import threading
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

HEARTBEAT_SECONDS = 30.0
"""How often a long stage says that it goes on, where no bar moves."""


class Stage:
    """One stage in progress: ``update`` moves its bar, ``note`` becomes part of its line."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=None)
        self._name = name
        self._now = name
        self.text = ""
        self.reused = False

    def update(self, done: int, total: int) -> None:
        self._move(self._name, done, total)

    def part(self, what: str, done: int, total: int) -> None:
        """Progress of a part of the stage that has a name of its own."""
        self._move(f"{self._name}: {what}", done, total)

    def _move(self, text: str, done: int, total: int) -> None:
        self._now = f"{text}, {done} of {total}" if total else text
        self._progress.update(self._task, description=text, completed=done, total=total or None)

    def note(self, text: str) -> None:
        self.text = text

    def unchanged(self, text: str = "") -> None:
        """Nothing had to be done."""
        self.reused = True
        self.text = text

    def heartbeat(self, seconds: float) -> str:
        """How far it is, for a log."""
        return f"{self._now}; {seconds:.0f} s"


class Display:
    """Stages one after another. ``quiet`` shows nothing; ``aside`` writes lines to stderr: stdout holds data."""

    def __init__(self, *, quiet: bool = False, aside: bool = False) -> None:
        self._quiet = quiet
        self._aside = aside
        self._console = Console(stderr=True, quiet=quiet)

    def line(self, text: str) -> None:
        if not self._quiet:
            print(text, file=sys.stderr if self._aside else sys.stdout, flush=True)

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
            with self._heartbeat(stage, started):
                yield stage
        took = "unchanged" if stage.reused else f"{time.monotonic() - started:.1f} s"
        self.line(f"{name:<22}{took:>10}  {stage.text}".rstrip())

    @contextmanager
    def _heartbeat(self, stage: Stage, started: float) -> Iterator[None]:
        """A line on stderr every ``HEARTBEAT_SECONDS`` while the block runs, where nothing else moves."""
        if self._quiet or self._moving():
            yield
            return
        # The stream as it is now: torch.export, in the other thread, puts another one in its place for a while.
        stop, stream = threading.Event(), sys.stderr

        def beat() -> None:
            while not stop.wait(HEARTBEAT_SECONDS):
                print(f"... {stage.heartbeat(time.monotonic() - started)}", file=stream, flush=True)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _moving(self) -> bool:
        return not self._quiet and sys.stderr.isatty()


def somebody_watches() -> bool:
    """Whether lines of progress have a reader: a terminal, or a notebook's cell."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return sys.stdout.isatty() or hasattr(shell, "kernel")
