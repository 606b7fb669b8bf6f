"""What is written of an accelerator for other tools: Verilog, its FuseSoC core and a bench. Imports no torch."""

from vitreous.hw.verilog.core_file import LINT_WAIVERS
from vitreous.hw.verilog.text import VerilogError
from vitreous.hw.verilog.verilog import TOP, emit, ports, write_core

__all__ = ["LINT_WAIVERS", "TOP", "VerilogError", "emit", "ports", "write_core"]
