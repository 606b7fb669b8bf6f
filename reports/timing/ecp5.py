"""Timing of the cells of an ECP5: LUT4, wide multiplexers, carries of two bits, flip-flops, LUT memory, blocks."""

from __future__ import annotations

from collections.abc import Mapping

from vitreous.reports.timing.blocks import beginning, memory
from vitreous.reports.timing.graph import Graph, Pins, Wire
from vitreous.reports.timing.slices import Model

_INPUTS = "ABCD"


def lut4(graph: Graph, pins: Pins) -> None:
    """``Z`` after A, B, C and D."""
    output = pins.bit("Z")
    for name, delay in zip(_INPUTS, graph.delays.lut.pins, strict=True):
        source = pins.bit(name)
        if source is not None and output is not None:
            graph.arc(source, output, soft=delay)


def mux(graph: Graph, pins: Pins) -> None:
    """PFUMX and L6MUX21: two LUTs or two of these, selected by a routed input."""
    for output in pins.bits("Z"):
        for source in pins.bits("ALUT", "BLUT", "D0", "D1"):
            graph.arc(source, output, soft=graph.delays.mux.data, wire=Wire.LOCAL, level=False)
        for source in pins.bits("C0", "SD"):
            graph.arc(source, output, soft=graph.delays.mux.select, level=False)


def carry(graph: Graph, pins: Pins) -> None:
    """CCU2C: two bits, each a LUT in front of its carry."""
    delays = graph.delays.carry
    for bit in (0, 1):
        for name in _INPUTS:
            for source in pins.bits(f"{name}{bit}"):
                for later, delay in enumerate(delays.s_o[bit], bit):
                    for output in pins.bits(f"S{later}"):
                        graph.arc(source, output, soft=delay)
                for output in pins.bits("COUT"):
                    graph.arc(source, output, soft=delays.s_co[bit][-1])
    for source in pins.bits("CIN"):
        for bit in (0, 1):
            for output in pins.bits(f"S{bit}"):
                graph.arc(source, output, soft=delays.ci_o[bit], wire=Wire.NONE, level=False)
        for output in pins.bits("COUT"):
            graph.arc(source, output, soft=delays.chain, wire=Wire.NONE, level=False)


def register(graph: Graph, pins: Pins) -> None:
    """TRELLIS_FF: data, clock enable, local set or reset."""
    delays = graph.delays.register
    graph.start(pins.bit("Q"), soft=delays.clock_to_q)
    for port, kind in (("DI", "D"), ("M", "D"), ("CE", "CE"), ("LSR", "R")):
        for source in pins.bits(port):
            graph.end(source, port, soft=delays.setup[kind])


def distributed(graph: Graph, pins: Pins) -> None:
    """TRELLIS_DPR16X4: read by RAD at once, written by the clock."""
    delays = graph.delays.distributed
    for output in pins.bits("DO"):
        graph.start(output, soft=delays.clock_to_q)
        for source in pins.bits("RAD"):
            graph.arc(source, output, soft=graph.delays.lut.pins[0])
    for port, kind in (("DI", "data"), ("WAD", "address"), ("WRE", "enable")):
        for source in pins.bits(port):
            graph.end(source, port, soft=delays.setup[kind])


def multiplier(graph: Graph, pins: Pins) -> None:
    """MULT18X18D with its registers: of each operand, in the middle, of the result."""
    delays = graph.delays.dsp
    product = graph.node()
    for name in "AB":
        operand = graph.node()
        registered = _used(pins, f"REG_INPUT{name}_CLK")
        sources = [
            bit for port in pins.ports() if port[0] == name and port[1:].isdigit() for bit in pins.bits(port)
        ]
        for source in sources:
            if registered:
                graph.end(source, name, hard=delays.setup["operand"], wire=Wire.BLOCK)
            else:
                graph.arc(source, operand, hard=delays.operand, wire=Wire.BLOCK, level=False)
        if registered and sources:
            graph.start(operand, hard=delays.clock_to_q["operand"])
        graph.arc(operand, product, hard=delays.operand_to_m, wire=Wire.NONE)
    for register, name in (("M", "PIPELINE"), ("P", "OUTPUT")):
        if _used(pins, f"REG_{name}_CLK"):
            graph.end(product, name.lower(), hard=delays.setup[register], wire=Wire.NONE)
            product = graph.node()
            # A result register's delay is to the pin, so the way there is taken off again below.
            late = delays.clock_to_q[register] - (delays.alu_to_p if register == "P" else 0.0)
            graph.start(product, hard=late)
    for port in pins.ports():
        if port[0] == "P" and port[1:].isdigit():
            for output in pins.bits(port):
                graph.arc(
                    product, output, hard=delays.m_to_alu + delays.alu_to_p, wire=Wire.NONE, level=False
                )
        elif port.startswith(("CE", "RST")):
            for source in pins.bits(port):
                graph.end(source, port, hard=delays.setup["enable"], wire=Wire.BLOCK)


def _used(pins: Pins, parameter: str) -> bool:
    return pins.text(parameter) not in ("", "NONE")


def block_ram(graph: Graph, pins: Pins) -> None:
    """DP16KD and PDPW16KD; OUTREG is the output register."""
    kinds = {"AD": "address", "DI": "data", "CE": "enable", "CS": "enable", "WE": "write", "OCE": "register"}
    kinds |= {"BE": "write", "RST": "register"}

    def registered(port: str) -> bool | None:
        if not port.startswith("DO"):
            return None
        mode = pins.text(f"REGMODE_{port[2]}") if port[2] in "AB" else pins.text("REGMODE")
        return mode == "OUTREG"

    memory(graph, pins, graph.delays.block, registered=registered, kind_of=beginning(kinds))


ECP5: Mapping[str, Model] = {
    "LUT4": lut4,
    "PFUMX": mux,
    "L6MUX21": mux,
    "CCU2C": carry,
    "TRELLIS_FF": register,
    "TRELLIS_DPR16X4": distributed,
    "MULT18X18D": multiplier,
    "DP16KD": block_ram,
    "PDPW16KD": block_ram,
}
