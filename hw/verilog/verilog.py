"""Verilog and FuseSoC output of an accelerator. Imports no torch."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from functools import lru_cache
from pathlib import Path

from amaranth.back import verilog
from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from vitreous.hw.accelerator import Accelerator, top_members
from vitreous.hw.platforms import Platform
from vitreous.hw.verilog.core_file import LINT_WAIVERS, bench, constraints, core_file, hex_bytes
from vitreous.hw.verilog.interfaces import describe_interfaces
from vitreous.hw.verilog.sample import sample
from vitreous.hw.verilog.text import VerilogError, leaf_memories, rewrite, split_memories
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.folders import caches_of_tools

TOP = "accelerator"
"""Default name of the Verilog module; the modules inside it are called ``accelerator.part``."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VERSION = re.compile(r"\d+(\.\d+)*")


# The last text is kept: a run writes it to a folder and then builds from it, and making it takes many seconds.
@lru_cache(maxsize=1)
def emit(config: AcceleratorConfig, platform: Platform | None = None, *, top: str = TOP) -> str:
    """The Verilog text of ``Accelerator(config)``: the same text for the same configuration, without paths of
    this machine. For ``UltraScalePlus()`` the DSP blocks of the array are primitives, which simulates nowhere here.

    top : the name of its module, with which the names of all others begin: ``top.part``, and ``top_ram_1r1w_...`` for a
    memory. Raises VerilogError where it is no plain name.

    For edge256 13 s of CPU: Amaranth 10 s, half of it for the zeros of the memories, and Yosys 3 s. A ``yosys`` of
    version 0.40 or newer on PATH is taken before the one in WebAssembly.
    """
    if not _NAME.fullmatch(top):
        raise VerilogError(
            f"The name of the Verilog module must be letters, digits and _, a letter first, not {top!r}"
        )
    with caches_of_tools():
        written = verilog.convert(
            Accelerator(config), platform=platform, name=top, strip_internal_attrs=True, emit_src=False
        )
    if f"module \\{top} " in written:
        raise VerilogError(f"{top} is a word of Verilog and cannot be the name of a module")
    text = rewrite(written, top)
    text = describe_interfaces(text, top, config)
    return f"// Vitreous accelerator, configuration {config.digest}\n{text}"


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
    platform: Platform | None = None,
    *,
    version: str,
    clock_mhz: float,
    top: str = TOP,
    verilog: str | None = None,
) -> list[Path]:
    """Write a FuseSoC core and all its files: ``TOP.core``, ``TOP.v`` and ``TOP_memories.v``, ``TOP.json`` (ports,
    memories, configuration), ``TOP.xdc`` with a clock of ``clock_mhz``, ``lint.vlt``, and the bench ``TOP_bench.sv``
    with its memory before and after.

    version : of the core, dotted numbers. platform, top : as for ``emit``. verilog : what ``emit`` returned, where that
    is known already.
    Returns the paths. Raises VerilogError when the folder cannot be written, and for a name, version or clock that
    cannot be.
    """
    if not _VERSION.fullmatch(version):
        raise VerilogError(f"The version of a core must be numbers with dots between them, not {version!r}")
    if not 0 < clock_mhz < math.inf:
        raise VerilogError(f"The clock must be a positive number of MHz, not {clock_mhz!r}")
    text = verilog or emit(config, platform, top=top)
    logic, memories = split_memories(text, top)
    program = sample(config)
    description = {
        "top": top,
        "digest": config.digest,
        "config": config.as_dict(),
        "ports": ports(config),
        "memories": [dataclasses.asdict(memory) for memory in leaf_memories(text, top)],
    }
    return _write(
        Path(folder),
        {
            f"{top}.v": logic,
            f"{top}_memories.v": memories,
            f"{top}.core": core_file(config, top, version),
            f"{top}.json": json.dumps(description, indent=1) + "\n",
            f"{top}.xdc": constraints(clock_mhz),
            f"{top}_bench.sv": bench(config, top, ports(config), program),
            f"{top}_image.hex": hex_bytes(program.image),
            f"{top}_expected.hex": hex_bytes(program.expected),
            LINT_WAIVERS.name: LINT_WAIVERS.read_text(),
        },
    )


def _write(folder: Path, files: dict[str, str]) -> list[Path]:
    """Raises VerilogError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    except OSError as error:
        raise VerilogError(f"Cannot write {error.filename}: {error.strerror}") from None
    return [folder / name for name in files]
