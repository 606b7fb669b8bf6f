"""Combinational paths through a component, bit by bit, in Amaranth's own netlist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Fragment
from amaranth.hdl._ir import build_netlist
from amaranth.hdl._nir import Net, Netlist


def paths(component: Any) -> Iterator[tuple[str, str, list[str]]]:
    """(input, output, signals on the way) for every pair of ports of ``component`` with a path between them, the
    shortest way that a walk from the output finds first. Flip-flops and memories read with a clock end a path."""
    members = {name: getattr(component, name) for name in component.signature.members}
    netlist = build_netlist(Fragment.get(component, None), ports=list(members.values()))
    names = _names(netlist)
    inputs = _ports(netlist.top.ports_i)
    del inputs[
        Net.from_cell(0, netlist.top.ports_i["clk"][0])
    ]  # where every walk ends that meets a flip-flop
    for name, value in netlist.top.ports_o.items():
        seen: set[str] = set()
        for source, way in _walk(netlist, list(value), inputs, names):
            if source not in seen:
                seen.add(source)
                yield source, name, way


def _ports(ports: dict[str, tuple[int, int]]) -> dict[Net, str]:
    return {
        Net.from_cell(0, bit): name
        for name, (start, width) in ports.items()
        for bit in range(start, start + width)
    }


def _names(netlist: Netlist) -> dict[Net, str]:
    return {
        net: f"{signal.name}[{bit}]"
        for signal, value in netlist.signals.items()
        for bit, net in enumerate(value)
    }


def _walk(
    netlist: Netlist, starts: list[Net], inputs: dict[Net, str], names: dict[Net, str]
) -> Iterator[tuple[str, list[str]]]:
    """Breadth first against the direction of the signals, over all bits of one output together."""
    came: dict[Net, Net | None] = dict.fromkeys(starts)
    queue = list(came)
    for net in queue:
        if net in inputs:
            yield inputs[net], _way(net, came, names)
            continue
        for source in _sources(netlist, net):
            if source not in came:
                came[source] = net
                queue.append(source)


def _sources(netlist: Netlist, net: Net) -> list[Net]:
    if net.is_const or net.cell == 0:
        return []
    if net.is_late:
        return [netlist.connections[net]]
    return [source for source, _ in netlist.cells[net.cell].comb_edges_to(net.bit)]


def _way(net: Net | None, came: dict[Net, Net | None], names: dict[Net, str]) -> list[str]:
    found = []
    while net is not None:
        if net in names:
            found.append(names[net])
        net = came[net]
    return found
