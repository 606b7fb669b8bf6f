"""``estimate``: latency, energy and area of a model on an accelerator without RTL: the compiler, the cycle model and
the tables of ``reports``. Half a second to two for DeiT-Tiny, whatever the accelerator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.graph import Graph
from vitreous.spec.program import Program

if TYPE_CHECKING:
    from vitreous.reports.area.area import Area
    from vitreous.reports.energy.energy import Energy
    from vitreous.sim.cycles import Prediction
    from vitreous.sim.dram import MemoryTiming

DEFAULT_TARGET = "xcup"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What one image costs on one accelerator; all of it ``modelled``.

    cycles, counters : of the cycle model (docs/cycle-model.md), within 1 % of the RTL; counters by name of
    ``isa.COUNTERS``.
    latency_ms : ``cycles / clock``. energy : in joules, a range (docs/energy.md). area : composed from measured blocks
    (docs/area.md). prediction : the cycle model's whole answer, with the time of every instruction.
    """

    cycles: int
    counters: dict[str, int]
    latency_ms: float
    energy: Energy
    area: Area
    prediction: Prediction


def latency_ms(cycles: int, clock_mhz: float) -> float:
    """``cycles / clock_mhz / 1000``, in milliseconds."""
    return cycles / clock_mhz / 1000


def estimate(
    graph_or_program: Graph | Program,
    config: AcceleratorConfig,
    *,
    technology: str,
    dram: str,
    clock_mhz: float,
    timing: MemoryTiming | None = None,
    target: str = DEFAULT_TARGET,
) -> Estimate:
    """Compile unless that is done, predict cycles and counters, and derive energy and area.

    technology, dram : energies of events, names of ``reports.energy.technology`` or a file. target : what
    ``reports.area.area``
    knows. timing : the memory behind the bus; ``MemoryTiming()`` when None.
    Raises CompileError where the model does not fit, SimulationError for a program of another accelerator, and
    ReportError for an unknown name.
    """
    from vitreous.compiler import compile as compile_graph
    from vitreous.reports.area.area import area
    from vitreous.reports.energy.energy import energy
    from vitreous.reports.energy.technology import load_technology
    from vitreous.sim.cycles import predict
    from vitreous.sim.dram import MemoryTiming

    tables = load_technology(technology)
    program = (
        graph_or_program if isinstance(graph_or_program, Program) else compile_graph(graph_or_program, config)
    )
    prediction = predict(program, config, MemoryTiming() if timing is None else timing)
    return Estimate(
        cycles=prediction.cycles,
        counters=prediction.counters,
        latency_ms=latency_ms(prediction.cycles, clock_mhz),
        energy=energy(prediction.counters, config, tables, dram=dram, clock_mhz=clock_mhz),
        area=area(config, target),
        prediction=prediction,
    )
