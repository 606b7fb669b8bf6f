"""Timing of the cells of a Xilinx slice: LUTs, wide multiplexers, carry chains, flip-flops, distributed memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from vitreous.reports.timing.graph import Graph, Pins, Wire

Model = Callable[[Graph, Pins], None]


def lut(graph: Graph, pins: Pins) -> None:
    """``O`` after each input; the last input is the fastest."""
    number = 1 if pins.type == "INV" else int(pins.type[-1])
    delays = graph.delays.lut.pins[-number:]
    output = pins.bit("O")
    if output is None:
        return
    for index, delay in enumerate(delays):
        source = pins.bit("I" if pins.type == "INV" else f"I{index}")
        if source is not None:
            graph.arc(source, output, soft=delay)


def mux(graph: Graph, pins: Pins) -> None:
    """A multiplexer of LUTs of one slice: its data come by a wire of the slice."""
    output = pins.bit("O")
    if output is None:
        return
    for source in pins.bits("I0", "I1"):
        graph.arc(source, output, soft=graph.delays.mux.data, wire=Wire.LOCAL, level=False)
    for source in pins.bits("S"):
        graph.arc(source, output, soft=graph.delays.mux.select, level=False)


def carry4(graph: Graph, pins: Pins) -> None:
    """Four bits of a carry chain. A bit that one LUT alone drives for this chain is in the same slice."""
    delays = graph.delays.carry
    for index in range(4):
        for port, to_o, to_co, first in (
            ("S", delays.s_o, delays.s_co, 0),
            ("DI", delays.d_o, delays.d_co, 1),
        ):
            source = pins.bit(port, index)
            if source is None:
                continue
            wire = Wire.LOCAL if port == "S" and graph.fanout[source] == 1 else Wire.ROUTED
            for offset, delay in enumerate(to_o[index]):
                _carry_arc(graph, pins, source, "O", index + first + offset, delay, wire)
            for offset, delay in enumerate(to_co[index]):
                _carry_arc(graph, pins, source, "CO", index + offset, delay, wire)
    source = pins.bit("CI")
    if source is not None:
        for index, (o, co) in enumerate(zip(delays.ci_o, delays.ci_co, strict=True)):
            _carry_arc(graph, pins, source, "O", index, o, Wire.NONE, level=False)
            through = delays.chain if index == 3 else co
            _carry_arc(graph, pins, source, "CO", index, through, Wire.NONE, level=False)
    source = pins.bit("CYINIT")
    if source is not None:
        for index, (o, co) in enumerate(zip(delays.init_o, delays.init_co, strict=True)):
            _carry_arc(graph, pins, source, "O", index, o, Wire.ROUTED)
            _carry_arc(graph, pins, source, "CO", index, co, Wire.ROUTED)


def _carry_arc(
    graph: Graph, pins: Pins, source: int, port: str, index: int, delay: float, wire: Wire, level: bool = True
) -> None:
    target = pins.bit(port, index)
    if target is not None:
        graph.arc(source, target, soft=delay, wire=wire, level=level)


def register(graph: Graph, pins: Pins) -> None:
    """FDRE and its kin: D, enable and the synchronous set or reset are read by the clock."""
    delays = graph.delays.register
    graph.start(pins.bit("Q"), soft=delays.clock_to_q)
    for port, kind in (("D", "D"), ("CE", "CE"), ("R", "R"), ("S", "S"), ("CLR", "R"), ("PRE", "S")):
        source = pins.bit(port)
        if source is not None:
            graph.end(source, port, soft=delays.setup[kind])


def distributed(read: Sequence[tuple[str, str]], data: Sequence[str], write_address: Sequence[str]) -> Model:
    """A memory of LUTs: ``read`` (address port, output port) combinational, written by the clock."""

    def model(graph: Graph, pins: Pins) -> None:
        delays, setup = graph.delays.lut.pins, graph.delays.distributed.setup
        for address, output in read:
            sources = [bit for port in pins.ports() if _is(port, address) for bit in pins.bits(port)]
            for target in pins.bits(output):
                graph.start(target, soft=graph.delays.distributed.clock_to_q)
                for index, source in enumerate(sources):
                    graph.arc(source, target, soft=delays[min(index, len(delays) - 1)])
        for port in pins.ports():
            if any(_is(port, name) for name in data):
                _ends(graph, pins, port, setup["data"])
            if any(_is(port, name) for name in write_address):
                _ends(graph, pins, port, setup["address"])
            if port in ("WE", "CE"):
                _ends(graph, pins, port, setup["enable"])

    return model


def _is(port: str, name: str) -> bool:
    """``A`` is ``A`` and ``A0``, ``A1``, ..."""
    return port == name or (port.startswith(name) and port[len(name) :].isdigit())


def _ends(graph: Graph, pins: Pins, port: str, setup: float) -> None:
    for source in pins.bits(port):
        graph.end(source, port, soft=setup)


def _several(letters: str) -> Model:
    """RAM32M and its kin: each letter has an address, data in and out; the last address also writes."""
    return distributed(
        [(f"ADDR{x}", f"DO{x}") for x in letters],
        [f"DI{x}" for x in letters],
        [f"ADDR{letters[-1]}"],
    )


_SHIFT = distributed([("A", "Q")], ["D"], [])
_DUAL = distributed([("DPRA", "DPO"), ("A", "SPO")], ["D"], ["A"])
_SINGLE = distributed([("A", "O")], ["D"], ["A"])
SLICES: Mapping[str, Model] = {
    "INV": lut,
    **{f"LUT{n}": lut for n in range(1, 7)},
    **{f"MUXF{n}": mux for n in (7, 8, 9)},
    "CARRY4": carry4,
    **{f"FD{x}E{edge}": register for x in "RSCP" for edge in ("", "_1")},
    "SRL16E": _SHIFT,
    "SRLC32E": _SHIFT,
    **{f"RAM{n}X1D": _DUAL for n in (32, 64, 128, 256)},
    **{f"RAM{n}X1S": _SINGLE for n in (32, 64, 128, 256, 512)},
    "RAM32M": _several("ABCD"),
    "RAM64M": _several("ABCD"),
    "RAM32M16": _several("ABCDEFGH"),
    "RAM64M8": _several("ABCDEFGH"),
}
