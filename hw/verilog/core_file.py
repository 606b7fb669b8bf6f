"""The FuseSoC core of an accelerator (CAPI 2): its files, what can be done with them, and the files beside the Verilog.

Targets use the flows of Edalize, with which FuseSoC runs the tools: ``default`` (for a design that depends on the
core), ``lint`` and ``sim`` (Verilator), ``sim_icarus``, ``synth`` (Vivado, synthesis only).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from vitreous.hw.verilog.sample import Sample
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig

LINT_WAIVERS = Path(__file__).absolute().parent / "lint.vlt"
"""Verilator's control file for ``verilator --lint-only -Wall``, each waiver with its reason."""
PART = "xck26-sfvc784-2LV-c"
"""The part of target ``synth``, that of a Kria K26; another one with ``--part``."""
_BENCH = Path(__file__).absolute().parent / "bench.sv"
_LIMIT = 20_000
"""Cycles after which the bench gives up; its program takes a few hundred."""

_FILESETS = """filesets:
  rtl:
    files: [@TOP@.v]
    file_type: verilogSource-2005
  memories: # @TOP@.json lists them; a design with macros takes another file of the same modules
    files: [@TOP@_memories.v]
    file_type: verilogSource-2005
  waivers:
    files:
      - @WAIVERS@: {file_type: vlt}
  bench:
    files:
      - @TOP@_bench.sv: {file_type: systemVerilogSource}
      - @TOP@_image.hex: {file_type: user, copyto: @TOP@_image.hex}
      - @TOP@_expected.hex: {file_type: user, copyto: @TOP@_expected.hex}
  constraints:
    files:
      - @TOP@.xdc: {file_type: xdc}
"""
_TARGETS = """targets:
  default: &default
    filesets: [rtl, memories]
    toplevel: @TOP@

  lint:
    <<: *default
    description: Verilator, all warnings
    filesets: [waivers, rtl, memories]
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]

  sim:
    description: a small program in Verilator, which must be 5.036 or newer; fails where a byte differs
    filesets: [waivers, rtl, memories, bench]
    toplevel: @TOP@_bench
    flow: sim
    flow_options:
      tool: verilator
      mode: binary
      verilator_options: [--timing]

  sim_icarus:
    description: the same in Icarus Verilog
    filesets: [rtl, memories, bench]
    toplevel: @TOP@_bench
    flow: sim
    flow_options:
      tool: icarus
      iverilog_options: [-g2012]

  synth:
    <<: *default
    description: synthesis in Vivado with the clock of @TOP@.xdc; name another part with --part
    filesets: [rtl, memories, constraints]
    flow: vivado
    flow_options:
      part: @PART@
      pnr: none
"""

Ports = Mapping[str, Mapping[str, int | str]]


def core_file(config: AcceleratorConfig, top: str, version: str) -> str:
    """The text of ``TOP.core``. ``version``: dotted numbers, the only kind that FuseSoC orders."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", config.name)
    array, bus = config.array, config.bus
    described = f"{array.macs_per_cycle} MAC a cycle, {bus.data_bits}-bit AXI4, configuration {config.digest}"
    head = f"CAPI=2:\n\nname: vitreous:accelerator:{name}:{version}\ndescription: {described}\n\n"
    return head + _filled(
        f"{_FILESETS}\n{_TARGETS}", {"@TOP@": top, "@WAIVERS@": LINT_WAIVERS.name, "@PART@": PART}
    )


def _filled(text: str, parts: Mapping[str, str]) -> str:
    """``text`` with the part of each mark in its place."""
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


def constraints(clock_mhz: float) -> str:
    """The clock as Vivado reads it, an XDC file."""
    return f"# {clock_mhz:g} MHz\ncreate_clock -period {1000 / clock_mhz:.3f} -name clk [get_ports clk]\n"


def bench(config: AcceleratorConfig, top: str, ports: Ports, program: Sample) -> str:
    """The bench of ``bench.sv`` for one accelerator and its program."""
    parameters = {
        "DATA_BITS": str(config.bus.data_bits),
        "IMAGE": f'"{top}_image.hex"',
        "EXPECTED": f'"{top}_expected.hex"',
        "IMAGE_BYTES": str(len(program.image)),
        "EXPECTED_BYTES": str(len(program.expected)),
        "READ_FROM": str(program.read_from),
        "INSTRUCTIONS": str(program.instructions),
        "MAGIC_VALUE": f"32'h{isa.MAGIC_VALUE:08x}",
        "CONFIG_VALUE": f"32'h{config.digest32:08x}",
        "DONE_VALUE": f"32'h{isa.STATUS_DONE:08x}",
        "LIMIT": str(_LIMIT),
    }
    kinds = {"input": "reg", "output": "wire"}
    signals = (
        f"  {kinds[str(port['direction'])]} [{int(port['width']) - 1}:0] {name};"
        for name, port in ports.items()
    )
    parts = {
        "@BENCH@": f"{top}_bench",
        "@TOP@": top,
        "@PARAMETERS@": "\n".join(f"  localparam {name} = {value};" for name, value in parameters.items()),
        "@SIGNALS@": "\n".join(signals),
        "@CONNECTIONS@": ",\n".join(f"      .{name}({name})" for name in ports),
    }
    return _filled(_BENCH.read_text(), parts)


def hex_bytes(data: bytes) -> str:
    """For ``$readmemh``, one byte a line."""
    return "".join(f"{byte:02x}\n" for byte in data)
