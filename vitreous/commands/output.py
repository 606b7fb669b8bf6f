"""What a command says: lines for people, or one JSON document for machines; and the options that choose."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class Output:
    """Of one command. ``display`` shows its stages; ``dry_run`` asks for ``planned`` in the place of ``result``."""

    command: str
    quiet: bool
    as_json: bool
    dry_run: bool = False

    @property
    def display(self) -> Display:
        from vitreous.flow.display import Display

        return Display(quiet=self.quiet, aside=self.as_json)

    def text(self, line: str) -> None:
        """A result for people, on stdout."""
        if not self.quiet and not self.as_json:
            print(line, flush=True)

    def result(self, **data: Any) -> None:
        """What was made, as a document: ``command`` and ``data``, where paths are texts."""
        if self.as_json:
            print(json.dumps({"command": self.command, **data}, indent=1, default=str), flush=True)

    def planned(self, steps: Mapping[str, str], **data: Any) -> None:
        """The end of a dry run: each step and its state."""
        for name, state in steps.items():
            self.text(f"{name:<22}{state:>10}")
        self.result(
            dry_run=True, steps=[{"step": name, "state": state} for name, state in steps.items()], **data
        )


def with_output(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Of the command ``name``, a function that takes an ``output``: in its place come --json, --quiet and --dry-run,
    after all other options.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def command(
            as_json: Json = False, quiet: Quiet = False, dry_run: DryRun = False, **given: Any
        ) -> None:
            output = Output(command=name, quiet=quiet, as_json=as_json, dry_run=dry_run)
            function(output=output, **given)

        own = [p for p in _parameters(function) if p.name != "output"]
        added = [p for p in _parameters(command) if p.name != "given"]
        functools.update_wrapper(command, function)
        vars(command)["__signature__"] = inspect.Signature([*own, *added])  # what typer reads
        return command

    return decorate


def _parameters(function: Callable[..., None]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())
