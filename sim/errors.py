"""What goes wrong in a simulation; apart, because the cycle model raises it and needs no simulator."""


class SimulationError(RuntimeError):
    """A simulation that could not be built or that did not end as a program should."""
