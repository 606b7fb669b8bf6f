"""Points of a Pareto front in RTL: one image each, stored values against golden, counters against the model."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vitreous.errors import RunError
from vitreous.explore.evaluation import Quantized, numerics
from vitreous.explore.fields import design
from vitreous.explore.graphs import Graphs
from vitreous.explore.options import Options
from vitreous.explore.source import Source, loaded
from vitreous.explore.space import Space
from vitreous.flow import comparison, steps
from vitreous.flow.display import Display
from vitreous.reports.exploration.exploration import Confirmation, Exploration, ExploredPoint, Goal, Searched
from vitreous.reports.json_file import structured
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.digest import code_digest
from vitreous.spec.graph import Graph
from vitreous.spec.storage import write_text

if TYPE_CHECKING:
    from vitreous.sim.dram import MemoryTiming

ROOMS = ("quant", "golden", "spec", "compiler", "hw", "sim", "models")


def chosen(front: Sequence[ExploredPoint], goals: Sequence[Goal], count: int) -> list[ExploredPoint]:
    """At most ``count`` points of a front: the best of each objective, then always the one farthest from those taken,
    each objective scaled to its range on the front (its logarithm where it is positive and spans more than 4).
    """
    if len(front) <= count:
        return list(front)
    axes = [_scaled([goal.loss(point) for point in front]) for goal in goals]
    places = list(zip(*axes, strict=True))
    taken = list(dict.fromkeys(axis.index(min(axis)) for axis in axes))[:count]
    while len(taken) < count:
        rest = [index for index in range(len(front)) if index not in taken]
        taken.append(max(rest, key=lambda i: min(math.dist(places[i], places[j]) for j in taken)))
    return [front[index] for index in sorted(taken)]


def _scaled(losses: list[float]) -> list[float]:
    """To 0..1."""
    low, high = min(losses), max(losses)
    if low > 0 and high > 4 * low:
        losses = [math.log(loss) for loss in losses]
        low, high = min(losses), max(losses)
    return [0.0 if high == low else (loss - low) / (high - low) for loss in losses]


def confirm(
    found: Exploration,
    space: Space,
    sources: Mapping[str, Source],
    store: Graphs,
    options: Options,
    folder: Path,
    display: Display,
) -> Exploration:
    """``found`` with what the RTL says about points of each front. Raises ToolchainError and SimulationError."""
    steps.require_toolchain()
    searches = []
    for searched in found.searches:
        picked = chosen(searched.front, found.goals, options.confirm)
        with display.stage(f"RTL, {searched.model}") as stage:
            seen: dict[int, Confirmation] = {}
            for number, point in enumerate(picked):
                stage.part(f"point {point.number}", number, len(picked))
                seen[point.number] = _confirmed(
                    point, searched, space, sources[searched.model], store, options, folder
                )
            worst = max((abs(c.deviation) for c in seen.values()), default=0.0)
            different = sum(c.different for c in seen.values())
            stage.note(
                f"{len(seen)} of {len(searched.front)} points of the Pareto front; cycles within {worst:.2%} of the "
                f"model, {sum(c.compared for c in seen.values()):,} values compared, {different:,} differ"
            )
        points = tuple(dataclasses.replace(p, confirmation=seen.get(p.number)) for p in searched.points)
        searches.append(dataclasses.replace(searched, points=points))
    return dataclasses.replace(found, searches=tuple(searches))


def _confirmed(
    point: ExploredPoint,
    searched: Searched,
    space: Space,
    source: Source,
    store: Graphs,
    options: Options,
    folder: Path,
) -> Confirmation:
    """From the folder, when it was measured already with these sources."""
    from vitreous.sim.dram import MemoryTiming

    made = design(space.base, {**space.fixed, **point.settings})
    what = numerics(made, source, space.accuracy_images)
    timing = MemoryTiming(latency=searched.memory_latency, throughput=searched.memory_throughput)
    facts = f"{what.key} {made.key} {timing} {code_digest(*ROOMS)}"
    place = folder / "confirmed" / hashlib.sha256(facts.encode()).hexdigest()[:16]
    path = place / "confirmed.json"
    if path.is_file():
        return structured(Confirmation, json.loads(path.read_text()), path.name)
    model = store.result(what)
    if not isinstance(model, Quantized):
        raise RunError(f"Point {point.number} of {searched.model} can no longer be quantized: {model.reason}")
    result = measured(model.graph, made.config, source, timing, place, options.build_root)
    write_text(path, json.dumps(asdict(result)))
    return result


def measured(
    graph: Graph,
    config: AcceleratorConfig,
    source: Source,
    timing: MemoryTiming,
    folder: Path,
    build_root: Path,
) -> Confirmation:
    """Compile, predict, and simulate the model's first test image."""
    from vitreous.compiler import compile as compile_graph
    from vitreous.sim.cycles import predict
    from vitreous.sim.run.runtime import simulate

    started = time.monotonic()
    program = compile_graph(graph, config)
    image = steps.test_inputs(loaded(source), graph, 1)[0]
    run = simulate(
        program, [image], config, folder=folder / "rtl", timing=timing, build_root=build_root, trace=False
    ).images[0]
    predicted = predict(program, config, timing).counters
    (check,) = comparison.compare(graph, config, [image], [(program, [run.window])], machine=False)
    return Confirmation(
        cycles=run.counters["cycles"],
        counters={name: (count, predicted[name]) for name, count in run.counters.items()},
        compared=check.compared,
        different=check.different,
        seconds=time.monotonic() - started,
    )
