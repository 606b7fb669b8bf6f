"""One colour for each unit of the machine in every picture: classes of ``templates/figures.css``."""

from __future__ import annotations

from collections.abc import Mapping

from vitreous.reports.errors import ReportError
from vitreous.reports.figures.ports import ACCESSES, DRAM_PORTS
from vitreous.spec.counters import HardwareCounter
from vitreous.spec.isa import Memory
from vitreous.spec.opcodes.causes import Cause

QUEUES = {"load": "u-load", "matrix": "u-array", "vector": "u-vector", "store": "u-store"}
STALLS: Mapping[str, str] = {
    HardwareCounter.ARRAY_BUSY: "u-array",
    HardwareCounter.MATRIX_WAIT_LOAD: "u-load",
    HardwareCounter.MATRIX_WAIT_MATRIX: "u-x",
    HardwareCounter.MATRIX_WAIT_VECTOR: "u-vector",
    HardwareCounter.MATRIX_WAIT_STORE: "u-store",
    HardwareCounter.MATRIX_STALL_READOUT: "u-fusion",
    HardwareCounter.MATRIX_STALL_PARAMETERS: "u-p",
    HardwareCounter.MATRIX_EMPTY: "u-control",
    "other": "u-static",
}
DRAM_REGIONS = {
    "weights": "u-w",
    "parameters": "u-p",
    "constants": "u-r",
    "input image": "u-x",
    "program": "u-control",
    "results": "u-store",
    "alignment": "u-static",
}
CAUSES: Mapping[Cause, str] = {
    Cause.IMAGE: "u-x",
    Cause.CONSTANTS: "u-r",
    Cause.WEIGHTS: "u-w",
    Cause.WEIGHTS_AGAIN: "u-w pale",
    Cause.PARAMETERS: "u-p",
    Cause.INSTRUCTIONS: "u-control",
    Cause.OUTPUT: "u-store",
    Cause.INTERMEDIATES: "u-fusion",
    Cause.SCORES: "u-s",
}
"""By cause of the bytes between DRAM and the chip."""
MEMORIES: Mapping[Memory, str] = {
    Memory.X: "u-x",
    Memory.W: "u-w",
    Memory.R: "u-r",
    Memory.S: "u-s",
    Memory.P: "u-p",
}
PORTS: Mapping[str, str] = {
    **dict.fromkeys(DRAM_PORTS, "u-dram"),
    **{f"{memory.name} {access}": MEMORIES[memory] for memory in ACCESSES for access in ACCESSES[memory]},
}
"""By port of the table of bytes: that of its memory; one for all of DRAM."""
# k1, k3 and k4 are activation, scores and context in the schedule.
UNITS: Mapping[str, str] = {
    # Of energies of events.
    "array multipliers": "u-array",
    "array accumulators": "u-array",
    "array operands": "u-array",
    "epilogue": "u-fusion",
    "GELU": "k1",
    "softmax statistics": "k3",
    "softmax probabilities": "k4",
    "vector unit": "u-vector",
    **{f"{memory.name} memory": colour for memory, colour in MEMORIES.items()},
    "AXI port": "u-load",
    "dispatch": "u-control",
    "clock": "u-control",
    "DRAM": "u-dram",
    "static": "u-static",
    # Of areas of blocks.
    "array": "u-array",
    "readout and epilogue": "u-fusion",
    "activation": "k1",
    "softmax": "k4",
    "operand and readout control": "u-control",
    "load": "u-load",
    "store": "u-store",
    "fetch and queues": "u-control",
    "control": "u-control",
    **{f"memory {memory.name}": colour for memory, colour in MEMORIES.items()},
}
"""By unit of the tables of energy and area (``energy.event_costs``, ``area.pieces``)."""


def port(name: str) -> str:
    """The colour of a port in the table of bytes. Raises ReportError for an unknown one."""
    if name not in PORTS:
        raise ReportError(f"Port {name!r} has no colour; known are {', '.join(PORTS)}")
    return PORTS[name]


def unit(name: str) -> str:
    """The colour of a unit of the tables of energy and area. Raises ReportError for an unknown one."""
    if name not in UNITS:
        raise ReportError(f"Unit {name!r} has no colour; known are {', '.join(UNITS)}")
    return UNITS[name]
