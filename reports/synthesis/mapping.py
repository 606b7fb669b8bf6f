"""A mapped netlist whose registers keep the names of the design, for an analysis of its timing; kept in a cache.

``reports.synthesis.synthesis`` counts what a unit takes and hides all names; here they stay. What Amaranth calls
``x[0]`` would stop ABC9, which takes it for bit 0 of ``x``: in the netlist it is ``x{0}``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis import cells
from vitreous.reports.synthesis.cells import Library
from vitreous.reports.synthesis.synthesis import TIMEOUT_SECONDS, run_script, tool, workplace
from vitreous.spec.storage import write_bytes

REGISTER = "register"
"""Attribute of the wires that are registers of the design."""
READ = (
    "read_rtlil design.il; hierarchy -top {top}; proc; select -set registers t:$*dff* %co1:+[Q] w:* %i; "
    f"setattr -set {REGISTER} 1 @registers; select -clear; "
)
_MAP: Mapping[str, str] = {
    "xcup": "synth_xilinx -family xcup -flatten -noiopad -noclkbuf -top {top}; ",
    "xc7": "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top {top}; ",
    "ecp5": "synth_ecp5 -top {top}; ",
}
_WRITE = "cd {top}; write_json -selected mapped.json"
_ELEMENT = re.compile(r"(\\[^\s\[\]]+)((?:\[\d+\])+)(?=\s)")


def script(top: str, family: str) -> str:
    """What Yosys does."""
    return (READ + _MAP[family] + _WRITE).format(top=top)


def mapped(
    text: str, *, top: str, family: str, cache: str | Path, timeout: float = TIMEOUT_SECONDS
) -> Mapping[str, Any]:
    """Module ``top`` of an RTLIL text, flattened and mapped to ``family`` of Yosys, as ``write_json`` says it.

    Raises ReportError when Yosys is missing, refuses the text or takes longer than ``timeout`` seconds.
    """
    path = _kept_path(Path(cache), text, top, family, script(top, family))
    kept = _read(path)
    if kept is not None:
        return kept
    with workplace() as folder:
        (folder / "design.il").write_text(_plain(text), encoding="utf-8")
        run_script(script(top, family), folder, timeout)
        result = (folder / "mapped.json").read_bytes()
    module = _module(json.loads(result), top)
    _keep(path, module)
    return module


def mapped_cells(
    text: str, *, top: str, library: Library, cache: str | Path, timeout: float = TIMEOUT_SECONDS
) -> Mapping[str, Any]:
    """The same in the standard cells of a library, as ``reports.synthesis.cells`` maps them. Raises ReportError."""
    commands = cells.script(top, library, READ)
    facts = "\0".join((commands, library.digest, library.constraints()))
    path = _kept_path(Path(cache), text, top, library.name, facts)
    kept = _read(path)
    if kept is not None:
        return kept
    module = _module(cells.map_cells(_plain(text), commands, library, timeout)[0], top)
    _keep(path, module)
    return module


def _plain(text: str) -> str:
    return _ELEMENT.sub(lambda found: found[1] + found[2].replace("[", "{").replace("]", "}"), text)


def _module(netlist: Mapping[str, Any], top: str) -> Mapping[str, Any]:
    try:
        module: Mapping[str, Any] = netlist["modules"][top]
    except (KeyError, TypeError):
        raise ReportError(f"The netlist of the synthesis has no module {top}") from None
    return module


def _kept_path(cache: Path, text: str, top: str, family: str, commands: str) -> Path:
    key = hashlib.sha256("\0".join((tool(), commands, text)).encode()).hexdigest()
    return cache / f"{top}-{family}-{key[:24]}.netlist.json.gz"


def _read(path: Path) -> Mapping[str, Any] | None:
    """A kept netlist; None where there is none or it is damaged."""
    try:
        found: Mapping[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
        return found
    except (OSError, EOFError, ValueError):
        return None


def _keep(path: Path, module: Mapping[str, Any]) -> None:
    try:
        write_bytes(path, gzip.compress(json.dumps(module).encode(), 5))
    except OSError as error:
        raise ReportError(
            f"The folder of kept results {path.parent} cannot be written ({error.strerror}); name another with --cache"
        ) from None
