"""A stage of a run, as an entry of a table: what goes into it, what makes it, and which files it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from vitreous.flow.display import Display
from vitreous.flow.display import Stage as Shown
from vitreous.flow.workspace import Workspace
from vitreous.spec.digest import source_digest

R = TypeVar("R")
"""What a run is of, and what its stages have found so far."""


@dataclass(frozen=True, kw_only=True)
class Stage(Generic[R]):
    """One line of a run.

    name : as it is shown.
    inputs : a digest of each thing that goes in. sources : the rooms whose code takes part.
    make : does the work, puts what it found into the run and returns what the line says.
    load : puts what the files hold into the run and returns what the line says.
    files : patterns of what it leaves in the run's folder, with ``stamp``, the name of the note that says what they
    were made from. A stage without files keeps its results elsewhere: it is always asked, and says itself when it had
    nothing to do.
    """

    name: str
    make: Callable[[R, Shown], str]
    load: Callable[[R], str] | None = None
    files: tuple[str, ...] = ()
    stamp: str = ""
    inputs: Mapping[str, Callable[[R], str]] = field(default_factory=dict)
    sources: tuple[str, ...] = ()


def digests(stage: Stage[R], run: R) -> dict[str, str]:
    """Of everything that goes into ``stage``."""
    inputs = {name: digest(run) for name, digest in stage.inputs.items()}
    if stage.sources:
        inputs["sources"] = source_digest(*stage.sources)
    return inputs


def is_done(stage: Stage[R], run: R, work: Workspace) -> bool:
    """Whether ``carry_out`` would load what the stage left. False where an earlier stage must tell its inputs first."""
    try:
        return stage.load is not None and work.fresh(stage.stamp, digests(stage, run))
    except (AttributeError, OSError):  # what an earlier stage puts into the run, or a file of its
        return False


def carry_out(stage: Stage[R], run: R, work: Workspace, display: Display) -> None:
    """Load what ``stage`` left when it is fresh; else make it, and stamp its files."""
    with display.stage(stage.name) as shown:
        inputs = digests(stage, run)
        if stage.load is not None and work.fresh(stage.stamp, inputs):
            shown.unchanged(stage.load(run))
            return
        shown.note(stage.make(run, shown))
        if stage.files:
            made = [path for pattern in stage.files for path in sorted(work.folder.glob(pattern))]
            work.stamp(stage.stamp, inputs, [path for path in made if path.is_file()])
