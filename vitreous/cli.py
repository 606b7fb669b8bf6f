"""The command line. Every command reads and writes files that the next one takes; torch is imported only where
it is used.

An error of ours is one line on stderr and exit status 2; a comparison with golden that fails is exit status 1.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from vitreous.commands.ablate import ablate_command
from vitreous.commands.area import area_command
from vitreous.commands.bitstream import bitstream
from vitreous.commands.explore import explore_command
from vitreous.commands.explore_approx import explore_approx
from vitreous.commands.fit import fit_command
from vitreous.commands.list import list_command
from vitreous.commands.prepare import compile_command, rtl
from vitreous.commands.quantize import quantize
from vitreous.commands.report import report_command
from vitreous.commands.run import run_command
from vitreous.commands.schema import schema
from vitreous.commands.simulate import simulate
from vitreous.commands.timing import timing_command
from vitreous.spec.errors import VitreousError

app = typer.Typer(
    name="vitreous",
    help="Co-design of transformer accelerators: from a PyTorch model to simulated RTL, bit for bit, with a report.",
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

INTERRUPTED = "interrupted; the same command resumes where it stopped"


def _version(show: bool) -> None:
    if show:
        from vitreous import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


for _name, _command in (
    ("list", list_command),
    ("quantize", quantize),
    ("compile", compile_command),
    ("rtl", rtl),
    ("fit", fit_command),
    ("simulate", simulate),
    ("report", report_command),
    ("run", run_command),
    ("explore", explore_command),
    ("explore-approx", explore_approx),
    ("bitstream", bitstream),
    ("area", area_command),
    ("timing", timing_command),
    ("ablate", ablate_command),
    ("schema", schema),
):
    app.command(_name)(_command)


def _stop(sentence: str, status: int = 2) -> NoReturn:
    print(f"vitreous: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(status)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; leaves through ``sys.exit``."""
    try:
        status = app(
            args=None if arguments is None else list(arguments), prog_name="vitreous", standalone_mode=False
        )
    except (KeyboardInterrupt, typer.Abort):
        _stop(INTERRUPTED, 130)
    except Exception as error:
        if isinstance(error, VitreousError):
            _stop(str(error))
        if isinstance(error, OSError) and error.filename is not None:
            _stop(f"{error.strerror}: {error.filename}")
        # A wrong option or argument. By its shape: the class has moved between versions of typer.
        if hasattr(error, "format_message"):
            context = getattr(error, "ctx", None)
            command = context.command_path if context is not None else "vitreous"
            _stop(f"{error.format_message().rstrip('.?')}; see `{command} --help`")
        raise
    if status == 130:  # typer's own answer to an interruption
        _stop(INTERRUPTED, 130)
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
