"""The RTLIL of a whole accelerator, cut into the texts of its pieces (``reports.area.pieces``).

A piece's text holds its own modules; a module of another piece inside it becomes a black box with the same ports. So
each piece is mapped exactly as it stands in the machine, with its clock enables and its reset, and the logic between
the pieces is a piece as well: nothing is left out and nothing counts twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from vitreous.errors import RunError
from vitreous.reports.area.pieces import PIECES, Piece
from vitreous.reports.synthesis.synthesis import MODULE, Part
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.digest import source_digest
from vitreous.spec.storage import write_text
from vitreous.spec.variants import MULTIPLIERS

TOP = "accelerator"
BOX = "box."
"""Begins the names of the black boxes in a piece's text."""
_NAME = re.compile(r"^(module|  cell) \\(\S+)", re.MULTILINE)
_PORT = re.compile(r"^  wire .*\b(?:input|output|inout) \d+ .*$", re.MULTILINE)
_NUMBER = re.compile(r"\$(\d+)")
_FAMILIES = {("xcup", True): "ultrascale-plus", ("ecp5", False): "ecp5"}
"""By Yosys' family and whether sums stay in DSP blocks: the target whose primitives the array names."""


def whole(config: AcceleratorConfig, cache: str | Path | None = None, *, target: str = "") -> str:
    """The RTLIL of the accelerator; takes some seconds, or none where ``cache`` has it of the same sources.

    The array names the primitives of a family that has some for its multiplier, as `vitreous rtl --target` does: Yosys
    infers a block's multiplier and leaves its registers and adders to logic.
    """
    from vitreous.characterize.cost import rtlil
    from vitreous.hw.accelerator import Accelerator
    from vitreous.hw.platforms import TARGETS

    named = _FAMILIES.get((target, MULTIPLIERS[config.array.multiplier].in_blocks), "generic")
    platform = TARGETS[named]
    if cache is None:
        return rtlil(Accelerator(config), TOP, platform)
    path = Path(cache) / f"{TOP}-{config.digest}-{named}-{_sources()}.il"
    if not path.is_file():
        write_text(path, rtlil(Accelerator(config), TOP, platform))
    return path.read_text(encoding="utf-8")


def _sources() -> str:
    """What the RTL is made from: our sources and the version of Amaranth."""
    facts = version("amaranth") + source_digest("hw", "spec")
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def cut(text: str, names: Sequence[str] | None = None) -> dict[str, Part]:
    """The pieces ``names`` (all) of a whole accelerator's RTLIL; one that it does without is an empty module.

    Raises RunError where the RTL has no module of a piece that every accelerator has.

    The numbers that Amaranth gives to its names depend on what else is in the machine: they are counted again, so that
    the same circuit has the same text.
    """
    modules = {found["name"]: found[0] for found in MODULE.finditer(text)}
    owners = {_module(path): piece for piece in PIECES for path in (piece.path, *piece.copies)}
    missing = sorted(name for name, piece in owners.items() if name not in modules and not piece.optional)
    if missing:
        raise RunError(
            f"The RTL has no module {', '.join(missing)}: reports/area/pieces.py names other parts"
        )
    own: dict[str, list[str]] = {}
    for module in modules:
        own.setdefault(_owner(module, owners), []).append(module)
    chosen = [piece for piece in PIECES if names is None or piece.name in names]
    return {piece.name: _cut(piece, own.get(_module(piece.path), []), modules, owners) for piece in chosen}


def _module(path: str) -> str:
    return f"{TOP}.{path}" if path else TOP


def _owner(module: str, owners: dict[str, Piece]) -> str:
    """The nearest module above (or this one) that is a piece."""
    while module not in owners:
        module = module.rpartition(".")[0]
    return module


def _cut(piece: Piece, own: list[str], modules: dict[str, str], owners: dict[str, Piece]) -> Part:
    if not own:
        return Part(piece.name, f"module \\{piece.name}\nend\n")
    root = _module(piece.path)
    inside = {name: piece.name + name[len(root) :] for name in own}
    boxes: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        kind, name = found[1], found[2]
        if name in inside:
            return f"{kind} \\{inside[name]}"
        if name in modules:
            boxes[name] = BOX + owners[name].name
            return f"{kind} \\{boxes[name]}"
        return found[0]  # a cell of RTLIL's own, as $add

    texts = [_NAME.sub(renamed, modules[name]) for name in own]
    stubs = {new: "\n".join(_PORT.findall(modules[old])) for old, new in boxes.items()}
    texts += [f"attribute \\blackbox 1\nmodule \\{new}\n{ports}\nend" for new, ports in stubs.items()]
    seen: dict[str, str] = {}
    text = _NUMBER.sub(lambda found: "$" + seen.setdefault(found[1], str(len(seen) + 1)), "\n\n".join(texts))
    return Part(piece.name, text + "\n")
