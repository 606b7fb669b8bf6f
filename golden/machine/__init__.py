"""The functional machine: executes a compiled program bit for bit, without timing (docs/machine.md)."""

from vitreous.golden.machine.errors import MachineError
from vitreous.golden.machine.machine import Machine, Result
from vitreous.golden.machine.memories import Memories, Slot
from vitreous.golden.machine.queues import ORDERS

__all__ = ["ORDERS", "Machine", "MachineError", "Memories", "Result", "Slot"]
