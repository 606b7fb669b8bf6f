"""Timing of Xilinx DSP blocks and block memories: their arcs are hard, and depend on which registers are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vitreous.reports.timing.delays import Block
from vitreous.reports.timing.graph import Graph, Pins, Wire
from vitreous.reports.timing.slices import Model

_CONTROL = ("ALUMODE", "OPMODE", "CARRYIN", "CARRYINSEL", "INMODE")


def dsp48(graph: Graph, pins: Pins) -> None:
    """DSP48E1 and DSP48E2: operand registers, pre-adder, product with M, adder with C and cascade, P."""
    delays = graph.delays.dsp
    operands = {port: _operand(graph, pins, port) for port in "ABD"}
    if "AD" in (pins.text("AMULTSEL"), pins.text("BMULTSEL")) or pins.text("USE_DPORT") == "TRUE":
        sums = graph.node()
        for port in "AD":
            graph.arc(operands[port], sums, hard=delays.pre_adder, wire=Wire.NONE, level=False)
        operands["A"] = _registered(graph, sums, "operand", "AD") if pins.number("ADREG") else sums
    adder = graph.node()
    if pins.text("USE_MULT") != "NONE":
        product = graph.node()
        for port in "AB":
            graph.arc(operands[port], product, hard=delays.operand_to_m, wire=Wire.NONE)
        product = _registered(graph, product, "M", "M") if pins.number("MREG") else product
        graph.arc(product, adder, hard=delays.m_to_alu, wire=Wire.NONE, level=bool(pins.number("MREG")))
    else:
        for port in "AB":
            graph.arc(operands[port], adder, hard=delays.ab_to_alu, wire=Wire.NONE)
    for source in pins.bits("C"):
        if pins.number("CREG"):
            graph.end(source, "C", hard=delays.setup["C"], wire=Wire.BLOCK)
        else:
            graph.arc(source, adder, hard=delays.c_to_alu, wire=Wire.BLOCK)
    if pins.number("CREG") and any(pins.bits("C")):
        held = graph.node()
        graph.start(held, hard=delays.clock_to_q["C"])
        graph.arc(held, adder, hard=delays.c_to_alu, wire=Wire.NONE)
    for source in pins.bits("PCIN"):
        graph.arc(source, adder, hard=delays.cascade + delays.pcin_to_alu, wire=Wire.NONE)
    _results(graph, pins, adder)
    for port in pins.ports():
        if port in _CONTROL:
            for source in pins.bits(port):
                if pins.number(f"{port}REG"):
                    graph.end(source, port, hard=delays.setup["C"], wire=Wire.BLOCK)
                else:
                    graph.arc(source, adder, hard=delays.c_to_alu, wire=Wire.BLOCK)
        if port.startswith(("CE", "RST")):
            for source in pins.bits(port):
                graph.end(source, port, hard=delays.setup["enable"], wire=Wire.BLOCK)


def _operand(graph: Graph, pins: Pins, port: str) -> int:
    """The node behind the register of A, B or D, or behind the pin where it has none."""
    delays, operand = graph.delays.dsp, graph.node()
    registered = bool(pins.number(f"{port}REG"))
    for name, wire in ((port, Wire.BLOCK), (f"{port}CIN", Wire.NONE)):
        for source in pins.bits(name):
            if registered:
                graph.end(source, name, hard=delays.setup["operand"], wire=wire)
            else:
                graph.arc(source, operand, hard=delays.operand, wire=wire, level=False)
    if registered and any(pins.bits(port, f"{port}CIN")):
        graph.start(operand, hard=delays.clock_to_q["operand"])
    for output in pins.bits(f"{port}COUT"):
        graph.arc(operand, output, wire=Wire.NONE, level=False)
    return operand


def _registered(graph: Graph, node: int, register: str, name: str) -> int:
    """Ends at a register inside of the block, and the node behind it."""
    delays, behind = graph.delays.dsp, graph.node()
    graph.end(node, name, hard=delays.setup[register], wire=Wire.NONE)
    graph.start(behind, hard=delays.clock_to_q[register])
    return behind


def _results(graph: Graph, pins: Pins, adder: int) -> None:
    delays = graph.delays.dsp
    if pins.number("PREG"):
        graph.end(adder, "P", hard=delays.setup["P"], wire=Wire.NONE)
    for port, delay in (("P", delays.alu_to_p), ("PCOUT", delays.alu_to_pcout)):
        for output in pins.bits(port):
            if pins.number("PREG"):
                graph.start(output, hard=delays.clock_to_q["P"])
            else:
                graph.arc(adder, output, hard=delay, wire=Wire.NONE, level=False)


def memory(
    graph: Graph,
    pins: Pins,
    delays: Block,
    *,
    registered: Callable[[str], bool | None],
    kind_of: Callable[[str], str],
) -> None:
    """A block memory: ``registered(port)`` is None for no output, else whether it has the output register;
    ``kind_of(port)`` the kind of an input's setup, empty for what no edge reads."""
    for port in pins.ports():
        late = registered(port)
        if late is not None:
            for output in pins.bits(port):
                graph.start(output, hard=delays.clock_to_q_registered if late else delays.clock_to_q)
            continue
        kind = kind_of(port)
        for source in pins.bits(port) if kind else ():
            graph.end(source, port, hard=delays.setup[kind], wire=Wire.BLOCK)


def beginning(kinds: Mapping[str, str]) -> Callable[[str], str]:
    """The kind of an input by what its name begins with, the first that fits."""
    return lambda port: next((kind for name, kind in kinds.items() if port.startswith(name)), "")


def block_ram(graph: Graph, pins: Pins) -> None:
    """RAMB18 and RAMB36 of both generations; an output is late unless its port uses the output register."""

    def registered(port: str) -> bool | None:
        if not port.startswith("DO") or port.startswith("DOPT"):
            return None
        side = "A" if port.endswith(("ADOUT", "ADOUTP", "ADO", "ADOP")) else "B"
        return bool(pins.number(f"DO{side}_REG"))

    memory(graph, pins, graph.delays.block, registered=registered, kind_of=_block_input)


def _block_input(port: str) -> str:
    """The kind of an input of a block memory; empty for a clock."""
    if port.startswith(("ADDR", "ADDRA", "ADDRB")) and not port.startswith("ADDREN"):
        return "address"
    if port.startswith("DI"):
        return "data"
    if port.startswith("WE"):
        return "write"
    if port.startswith(("EN", "ADDREN")):
        return "enable"
    return "register" if port.startswith(("REGCE", "RST")) else ""


def ultra_ram(graph: Graph, pins: Pins) -> None:
    """URAM288, with OREG_A and OREG_B as output registers."""
    delays: Block | None = graph.delays.ultra
    assert delays is not None, "only UltraScale+ has this cell, and its table has its delays"
    kinds = {
        "ADDR": "address",
        "DIN": "data",
        "BWE": "write",
        "EN": "enable",
        "RDB": "enable",
        "OREG": "register",
    }

    def registered(port: str) -> bool | None:
        return pins.text(f"OREG_{port[-1]}") == "TRUE" if port.startswith("DOUT") else None

    memory(graph, pins, delays, registered=registered, kind_of=beginning(kinds))


BLOCKS: Mapping[str, Model] = {
    "DSP48E1": dsp48,
    "DSP48E2": dsp48,
    **{f"RAMB{n}E{g}": block_ram for n in (18, 36) for g in (1, 2)},
    "URAM288": ultra_ram,
}
