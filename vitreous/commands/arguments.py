"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitreous.errors import RunError

if TYPE_CHECKING:
    from vitreous.reports import EnergyChoice


def _models(incomplete: str) -> list[str]:
    """For the shell's completion."""
    from vitreous.models.names import NAMES

    return [name for name in NAMES if name.startswith(incomplete)]


def _accelerators(incomplete: str) -> list[str]:
    from vitreous.spec.config import named_accelerators

    return [name for name in named_accelerators() if name.startswith(incomplete)]


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A name of `vitreous list`, package.module:factory, or a .pt2 file.",
        autocompletion=_models,
    ),
]
Accelerator = Annotated[
    str,
    typer.Option(
        "--accelerator",
        "-a",
        metavar="NAME|FILE",
        help="A name of `vitreous list` or a .toml file.",
        autocompletion=_accelerators,
    ),
]
FormatsOf = Annotated[
    str | None,
    typer.Option(
        "--accelerator",
        "-a",
        metavar="NAME|FILE",
        help="A name of `vitreous list` or a .toml file (default: the number formats of edge256).",
        autocompletion=_accelerators,
    ),
]
Observer = Annotated[
    str, typer.Option(help="How ranges come from calibration: output, minmax, percentile or mse.")
]
Calibration = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Images to find ranges on, in the place of the model's own: an .npz file with images (and labels), a "
        "folder of pictures, or package.module:dataset.",
    ),
]
CalibrationImages = Annotated[
    int | None,
    typer.Option(metavar="N", help="Calibrate with N images (default: all; of --calibration at most 256)."),
]
Test = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Images, with labels for an accuracy, to judge the model on: in the forms of --calibration.",
    ),
]
TestImages = Annotated[
    int | None,
    typer.Option(metavar="N", help="Judge the model on N test images, evenly spread (default: all)."),
]
ProbabilityBits = Annotated[
    str,
    typer.Option(
        metavar="auto|8|16",
        help="Precision of attention's probabilities: 8 or 16 bits everywhere, or selected by calibration.",
    ),
]
Checkpoint = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Safetensors file that replaces the model's weights.")
]
BuildDir = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder of compiled simulators, shared by all runs.")
]
Latency = Annotated[
    int, typer.Option(help="Simulated memory: cycles from an accepted read address to its first beat.")
]
Throughput = Annotated[int, typer.Option(help="Simulated memory: beats for every 100 cycles.")]
Clock = Annotated[
    float | None, typer.Option(metavar="MHZ", help="Clock for latency in the report (default: assume 200).")
]
Technology = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Energies of events: a name of `vitreous list`, which has the default, or a .toml file.",
    ),
]
Dram = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="Type of DRAM: a name of `vitreous list` or a .toml file."),
]


def safetensors_path(path: Path) -> Path:
    """``path``, which must end in .safetensors. Raises RunError."""
    if path.suffix != ".safetensors":
        raise RunError(f"--out must end in .safetensors, not {path.name!r}")
    return path


def width_of(text: str) -> int | None:
    """Probability bits of ``auto``, ``8`` or ``16``; None for auto. Raises RunError."""
    if text not in ("auto", "8", "16"):
        raise RunError(f"--probability-bits must be auto, 8 or 16, not {text!r}")
    return None if text == "auto" else int(text)


def energy_choice(technology: str | None, dram: str | None) -> EnergyChoice:
    """Both, or their defaults, looked up before anything long begins. Raises ReportError."""
    from vitreous.reports import EnergyChoice
    from vitreous.reports.energy.technology import load_dram, load_technology

    given = {"technology": technology, "dram": dram}
    choice = EnergyChoice(**{name: value for name, value in given.items() if value is not None})
    load_technology(choice.technology)
    load_dram(choice.dram)
    return choice


def folder_path(path: Path) -> Path:
    """``path``, which must not be a file. Raises RunError."""
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file; --out must name a folder")
    return path


def cycle_window(text: str) -> tuple[int, int]:
    """``FIRST:LAST`` in cycles. Raises RunError."""
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise RunError(f"--waves must be FIRST:LAST in cycles with FIRST below LAST, not {text!r}")
    return int(first), int(last)
