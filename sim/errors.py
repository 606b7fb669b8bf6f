"""What goes wrong in a simulation; apart, because the cycle model raises it and needs no simulator."""

from __future__ import annotations

from vitreous.spec.errors import VitreousError


class SimulationError(VitreousError, RuntimeError):
    """A simulation that could not be built or that did not end as a program should."""
