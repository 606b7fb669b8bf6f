"""Cycles of a model by the cycle model, of many layers that are alike from two and three of them."""

from __future__ import annotations

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.graph import Graph

WHOLE = 3
"""Up to so many layers that are alike the whole program is predicted."""


def exact_cycles(graph: Graph, config: AcceleratorConfig) -> int:
    """Of one image, from the whole program. Raises CompileError."""
    from vitreous.compiler import compile as compile_graph
    from vitreous.sim.cycles import predict
    from vitreous.sim.dram import MemoryTiming

    return predict(compile_graph(graph, config), config, MemoryTiming()).cycles


def cycles(graph: Graph, config: AcceleratorConfig) -> int:
    """The same for a search: what a third layer takes more than two, every further one takes too. A few hundredths of a
    per cent off, in a fraction of the time. Raises CompileError.
    """
    from vitreous.compiler.pipeline import shortened
    from vitreous.compiler.planning import task
    from vitreous.sim.cycles import predict
    from vitreous.sim.dram import MemoryTiming

    times = task(graph, config).repeat.times
    if times <= WHOLE:
        return exact_cycles(graph, config)
    two, three = (predict(shortened(graph, config, n), config, MemoryTiming()).cycles for n in (2, 3))
    return two + (times - 2) * (three - two)
