"""One colour for each unit of the machine in every picture: classes of ``templates/figures.css``."""

from __future__ import annotations

QUEUES = {"load": "u-load", "matrix": "u-array", "vector": "u-vector", "store": "u-store"}
STALLS = {
    "array_busy": "u-array",
    "matrix_wait_load": "u-load",
    "matrix_wait_matrix": "u-x",
    "matrix_wait_vector": "u-vector",
    "matrix_wait_store": "u-store",
    "matrix_stall_readout": "u-fusion",
    "matrix_stall_parameters": "u-p",
    "matrix_empty": "u-control",
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
_MEMORIES = ("x", "w", "r", "s", "p")
# The first word that a unit's name holds decides; k1, k3 and k4 are activation, scores and context in the schedule.
_UNITS = (
    ("dram", "u-dram"),
    ("static", "u-static"),
    ("array", "u-array"),
    ("activation", "k1"),
    ("statistics", "k3"),
    ("softmax", "k4"),
    ("epilogue", "u-fusion"),
    ("vector", "u-vector"),
    ("axi", "u-load"),
    ("load", "u-load"),
    ("store", "u-store"),
)


def port(name: str) -> str:
    """The colour of a port in the table of bytes: that of its memory; one for all of DRAM."""
    memory = name.partition(" ")[0].lower()
    return f"u-{memory}" if memory in _MEMORIES else "u-dram"


def unit(name: str) -> str:
    """The colour of a unit of the tables of energy and area, by its name."""
    words = name.lower().split()
    if "memory" in words:
        return next((f"u-{word}" for word in words if word in _MEMORIES), "u-control")
    return next((colour for word, colour in _UNITS if word in words), "u-control")
