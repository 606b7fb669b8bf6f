"""Verilog and FuseSoC output of an accelerator. Imports no torch."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from amaranth.back import verilog
from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from vitreous.hw.accelerator import Accelerator, top_members
from vitreous.hw.matrix.dsp48e2 import UltraScalePlus
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.errors import VitreousError
from vitreous.spec.folders import caches_of_tools

TOP = "accelerator"
"""Name of the Verilog module; the modules inside it are called ``accelerator.part``."""
LINT_WAIVERS = Path(__file__).absolute().parent / "lint.vlt"
"""Verilator's control file for ``verilator --lint-only -Wall``, each waiver with its reason."""

_EMPTY = re.compile(r"^  wire \[-1:0\] [^;]*;\n", re.MULTILINE)
_INITIAL = re.compile(r"^  initial begin\n((?:    [^\n]*;\n)+)  end\n", re.MULTILINE)
_ZERO_WORD = re.compile(r"    (\S+)\[(\d+)\] = (\d+)'h0+;")


class VerilogError(VitreousError, ValueError):
    """Verilog that cannot be written; the sentence says what and where."""


# The last text is kept: a run writes it to a folder and then builds from it, and making it takes many seconds.
@lru_cache(maxsize=1)
def emit(config: AcceleratorConfig, platform: UltraScalePlus | None = None) -> str:
    """The Verilog text of ``Accelerator(config)``: the same text for the same configuration, without paths of
    this machine. For ``UltraScalePlus()`` the DSP blocks of the array are primitives, which simulates nowhere here.

    For edge256 13 s of CPU: Amaranth 10 s, half of it for the zeros of the memories, and Yosys 3 s. A ``yosys`` of
    version 0.40 or newer on PATH is taken before the one in WebAssembly.
    """
    with caches_of_tools():
        text = verilog.convert(
            Accelerator(config), platform=platform, name=TOP, strip_internal_attrs=True, emit_src=False
        )
    text = _INITIAL.sub(_fold, text)
    # A signal of width 0 (an index below depth 1) is declared, as two bits, and used nowhere.
    text = _EMPTY.sub("", text)
    if "[-1:0]" in text:
        raise VerilogError(f"A signal of width 0 is in use; {config.name} cannot be written as Verilog")
    return f"// Vitreous accelerator, configuration {config.digest}\n{text}"


def _fold(match: re.Match[str]) -> str:
    """The initial zeros of a memory, one statement for each word, as a loop: half of the text otherwise."""
    words = [_ZERO_WORD.fullmatch(line) for line in match[1].splitlines()]
    first = words[0]
    if first is None or [word and word.groups() for word in words] != [
        (first[1], str(index), first[3]) for index in range(len(words))
    ]:
        return match[0]  # a table with contents, or a register
    loop = f"for (cleared = 0; cleared < {len(words)}; cleared = cleared + 1) {first[1]}[cleared] = {first[3]}'h0;"
    return f"  initial begin : clear_{first[1]}\n    integer cleared;\n    {loop}\n  end\n"


def ports(config: AcceleratorConfig) -> dict[str, dict[str, int | str]]:
    """Direction and width in bits of every port, ``clk`` and ``rst`` included."""
    found: dict[str, dict[str, int | str]] = {
        name: {"direction": "input", "width": 1} for name in ("clk", "rst")
    }
    for name, member in top_members(config).items():
        direction = "input" if member.flow is In else "output"
        found[name] = {"direction": direction, "width": Shape.cast(member.shape).width}
    return found


def write_core(
    config: AcceleratorConfig,
    folder: str | Path,
    platform: UltraScalePlus | None = None,
    *,
    verilog: str | None = None,
) -> list[Path]:
    """Write ``accelerator.v``, ``accelerator.core`` (FuseSoC), ``accelerator.json`` (ports, configuration) and
    ``lint.vlt``; ``platform`` as for ``emit``, and ``verilog`` is what it returned where that is known already.

    Returns the paths. Raises VerilogError when the folder cannot be written.
    """
    folder = Path(folder)
    description = {"top": TOP, "digest": config.digest, "config": config.as_dict(), "ports": ports(config)}
    files = {
        f"{TOP}.v": verilog or emit(config, platform),
        f"{TOP}.core": _core(config),
        f"{TOP}.json": json.dumps(description, indent=1) + "\n",
        LINT_WAIVERS.name: LINT_WAIVERS.read_text(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    except OSError as error:
        raise VerilogError(f"Cannot write {error.filename}: {error.strerror}") from None
    return [folder / name for name in files]


def _core(config: AcceleratorConfig) -> str:
    """A FuseSoC core file, CAPI 2: the design, and a lint target for Verilator."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", config.name)
    return f"""CAPI=2:

name: vitreous:accelerator:{name}:0-{config.digest}
description: {config.array.macs_per_cycle} MAC a cycle, {config.bus.data_bits}-bit AXI4, configuration {config.digest}

filesets:
  rtl:
    files:
      - {TOP}.v
    file_type: verilogSource-2005
  waivers:
    files:
      - {LINT_WAIVERS.name}: {{file_type: vlt}}

targets:
  default: &default
    filesets: [rtl]
    toplevel: {TOP}
  lint:
    <<: *default
    filesets: [waivers, rtl]
    default_tool: verilator
    tools:
      verilator:
        mode: lint-only
        verilator_options: [-Wall]
"""
