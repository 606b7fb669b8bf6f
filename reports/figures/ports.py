"""The ports through which words and beats move, each with the counter of what moves."""

from __future__ import annotations

from collections.abc import Mapping

from vitreous.spec.counters import HardwareCounter
from vitreous.spec.isa import Memory

DRAM_PORTS: Mapping[str, HardwareCounter] = {
    "AXI read, data": HardwareCounter.LOAD_BEATS,
    "AXI read, instructions": HardwareCounter.FETCH_BEATS,
    "AXI write": HardwareCounter.STORE_BEATS,
}
"""Beats between chip and DRAM, by port."""
ACCESSES: Mapping[Memory, Mapping[str, HardwareCounter]] = {
    Memory.X: {"read": HardwareCounter.X_READS, "write": HardwareCounter.X_WRITES},
    Memory.W: {"read": HardwareCounter.W_READS, "write": HardwareCounter.W_WRITES},
    Memory.R: {"read": HardwareCounter.R_READS, "write": HardwareCounter.R_WRITES},
    Memory.S: {"read": HardwareCounter.S_READS, "write": HardwareCounter.S_WRITES},
    Memory.P: {
        "read": HardwareCounter.P_READS
    },  # its writes have no counter: the beats of its loads say them
}
"""Words of the on-chip memories, in the order in which a page shows them."""
