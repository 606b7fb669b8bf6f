"""Parity on the state that steers the machine: registers, queues, and the alarm that stops it (docs/machine.md)."""
