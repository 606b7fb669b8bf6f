"""What a block design is told about the ports: attributes of AMD's IP packager, comments for all other tools.

Without them Vivado takes a reset as active low, and clock and buses as unrelated (AMD UG1118, UG994). The names of
interfaces and parameters are those of the packager's own bus definitions.
"""

from __future__ import annotations

import re

from vitreous.hw.axi.axi import ADDRESS_BITS, ID_BITS
from vitreous.hw.control.registers import BUS_ADDRESS_BITS
from vitreous.spec.config import AcceleratorConfig

BUSES = ("m_axi", "s_axil")
"""What the names of the ports of a bus begin with."""


def describe_interfaces(text: str, top: str, config: AcceleratorConfig) -> str:
    """``text`` with ``X_INTERFACE_INFO`` and ``X_INTERFACE_PARAMETER`` at the ports of module ``top``."""
    found = re.search(rf"^module {top}\(.*?^endmodule", text, re.MULTILINE | re.DOTALL)
    assert found is not None, "the text has its top"
    described: set[str] = set()

    def declare(match: re.Match[str]) -> str:
        name = match["name"]
        first = next((bus for bus in BUSES if name.startswith(f"{bus}_")), name)
        attributes = _info(name), "" if first in described else _parameter(first, config)
        described.add(first)
        return "".join(f"  {line}\n" for line in attributes if line) + match[0]

    declaration = re.compile(r"^  (?:input|output) (?:\[\d+:0\] )?(?P<name>\w+);", re.MULTILINE)
    module = declaration.sub(declare, found[0])
    return text[: found.start()] + module + text[found.end() :]


def _info(name: str) -> str:
    """Which signal of which interface a port is; nothing for the trace."""
    match name:
        case "clk":
            signal = "xilinx.com:signal:clock:1.0 clk CLK"
        case "rst":
            signal = "xilinx.com:signal:reset:1.0 rst RST"
        case "irq":
            signal = "xilinx.com:signal:interrupt:1.0 irq INTERRUPT"
        case _ if name.startswith(BUSES):
            bus, _, role = name.rpartition("_")
            signal = f"xilinx.com:interface:aximm:1.0 {bus} {role.upper()}"
        case _:
            return ""
    return f'(* X_INTERFACE_INFO = "{signal}" *)'


def _parameter(interface: str, config: AcceleratorConfig) -> str:
    """The properties of an interface, at the first of its ports."""
    bus = config.bus
    match interface:
        case "clk":
            properties = f"ASSOCIATED_BUSIF {':'.join(BUSES)}, ASSOCIATED_RESET rst"
        case "rst":
            properties = "POLARITY ACTIVE_HIGH"
        case "irq":
            properties = "SENSITIVITY LEVEL_HIGH"
        case "m_axi":
            properties = (
                f"PROTOCOL AXI4, DATA_WIDTH {bus.data_bits}, ADDR_WIDTH {ADDRESS_BITS}, ID_WIDTH {ID_BITS}, "
                f"MAX_BURST_LENGTH {bus.burst_beats}, NUM_READ_OUTSTANDING {bus.outstanding_reads}, "
                "SUPPORTS_NARROW_BURST 0"
            )
        case "s_axil":
            properties = f"PROTOCOL AXI4LITE, DATA_WIDTH 32, ADDR_WIDTH {BUS_ADDRESS_BITS}"
        case _:
            return ""
    return f'(* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME {interface}, {properties}" *)'
