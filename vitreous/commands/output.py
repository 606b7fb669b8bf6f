"""What a command says: lines for people, or one JSON document for machines; and the options that choose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vitreous.flow.display import Display

Json = Annotated[
    bool, typer.Option("--json", help="One JSON document on stdout and nothing else; progress on stderr.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing but errors and what --json asks for.")
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Check everything that can be checked, say what would be done, do nothing."
    ),
]


class Output:
    """Of one command. ``display`` shows its stages."""

    def __init__(self, command: str, *, quiet: bool, as_json: bool) -> None:
        self._command = command
        self._quiet = quiet
        self._json = as_json

    @property
    def display(self) -> Display:
        from vitreous.flow.display import Display

        return Display(quiet=self._quiet, aside=self._json)

    def text(self, line: str) -> None:
        """A result for people, on stdout."""
        if not self._quiet and not self._json:
            print(line, flush=True)

    def result(self, **data: Any) -> None:
        """What was made, as a document: ``command`` and ``data``, where paths are texts."""
        if self._json:
            print(json.dumps({"command": self._command, **data}, indent=1, default=str), flush=True)

    def planned(self, steps: Mapping[str, str], **data: Any) -> None:
        """The end of a dry run: each step and its state."""
        for name, state in steps.items():
            self.text(f"{name:<22}{state:>10}")
        self.result(
            dry_run=True, steps=[{"step": name, "state": state} for name, state in steps.items()], **data
        )
