"""One unit measured: its netlist, its simulation, and the toggles of each group of nets on each kind of data."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous import models
from vitreous.characterize.activity.operands import Product, products, random_like, zero_like
from vitreous.characterize.activity.stimulus import Stimulus
from vitreous.characterize.activity.units import Unit
from vitreous.characterize.cost import rtlil
from vitreous.compiler import compile
from vitreous.errors import RunError
from vitreous.flow import steps
from vitreous.reports.synthesis.nets import Design, design
from vitreous.sim.activity import ActivityBench, Wire
from vitreous.spec import graph as graphs
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.digest import code_digest
from vitreous.spec.storage import write_text

MODEL = "fashion-vit"
SEED = 20261122
TOP = "unit"
_CLOCKS = ("clk", "rst")


class Network:
    """The shipped model on test images: every product of its program, by accelerator. What takes long is kept."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self._made: dict[tuple[str, int], list[list[Product]]] = {}

    @cached_property
    def _model(self) -> Any:
        return models.load(MODEL)

    def products(self, config: AcceleratorConfig, images: int) -> list[list[Product]]:
        """Of each of the first ``images`` test images."""
        key = (config.name, images)
        if key not in self._made:
            graph = self._graph(config)
            program = compile(graph, config)
            inputs = steps.test_inputs(self._model, graph, images)
            with steps.one_thread():
                self._made[key] = [list(products(program, config, image)) for image in inputs]
        return self._made[key]

    def _graph(self, config: AcceleratorConfig) -> graphs.Graph:
        digest = hashlib.sha256(
            f"{config.digest} {code_digest('golden', 'quant', 'spec', 'models')}".encode()
        )
        path = self.cache / f"{MODEL}-{digest.hexdigest()[:16]}"
        kept = path.with_suffix(".safetensors")
        if kept.exists():
            return graphs.load(kept)
        return graphs.load(graphs.save(steps.quantize(self._model, config), kept))


@dataclass(frozen=True)
class Bench:
    """A unit's netlist and simulation; ``rtl``: SHA-256 of its RTLIL."""

    unit: Unit
    rtl: str
    design: Design
    simulation: ActivityBench

    def toggles(self, stimulus: Stimulus) -> dict[str, int]:
        """By group of nets. Raises RunError where an output is wrong or a net was not traced."""
        run = self.simulation.run(stimulus.inputs)
        wrong = stimulus.wrong(run.output(self.simulation.wires, stimulus.output))
        if wrong:
            raise RunError(f"{self.unit.name}: {wrong} values of {stimulus.output} are not those of golden")
        counts = Counter({self.unit.group(net): 0 for net in self.design.nets})
        for net in self.design.nets:
            if net.bit not in run.toggles:
                raise RunError(f"{self.unit.name}: Verilator did not trace {net.bit}")
            counts[self.unit.group(net)] += run.toggles[net.bit]
        return dict(sorted(counts.items()))

    def nets(self) -> dict[str, int]:
        """Number of nets by group."""
        return dict(sorted(Counter(self.unit.group(net) for net in self.design.nets).items()))


def bench(unit: Unit, cache: Path) -> Bench:
    """Elaborates the unit and reads its netlist; the simulation is compiled when it first runs."""
    text = rtlil(unit.component(unit.config), TOP)
    found = design(text, top=TOP, script=unit.script)
    wires = [Wire(name, bits, output) for name, (bits, output) in found.ports.items() if name not in _CLOCKS]
    simulation = ActivityBench(found.verilog, wires, name=unit.name, root=cache)
    return Bench(unit, hashlib.sha256(text.encode()).hexdigest(), found, simulation)


def _sets(unit: Unit, network: Network) -> Iterator[tuple[str, str, list[Product]]]:
    """(part, data, products): real data of all images, random data and zeros in the products of the first one."""
    config = unit.config
    images = network.products(config, unit.images)
    parts = list(dict.fromkeys(p.part for p in images[0])) if unit.layers else [""]
    for part in parts:
        mine = [[p for p in image if not part or p.part == part][:: unit.every] for image in images]
        source = np.random.default_rng((SEED, *part.encode()))
        yield part, "real", [p for image in mine for p in image]
        yield part, "random", [random_like(p, source, config) for p in mine[0]]
        yield part, "zero", [zero_like(p, config) for p in mine[0]]


def measure(
    unit: Unit, network: Network, cache: Path, progress: Callable[[str], None]
) -> tuple[Bench, list[dict[str, Any]]]:
    """Every part on every kind of data: events, cycles and toggles by group; runs that were made before are read."""
    made = bench(unit, cache)
    rows = []
    for part, data, found in _sets(unit, network):
        progress(f"{unit.name}, {part or 'all'}, {data}")
        stimulus = unit.stimulus(found, unit.config)
        cycles = len(next(iter(stimulus.inputs.values())))
        toggles = _kept(made, stimulus.inputs, cache, partial(made.toggles, stimulus))
        rows.append(
            {"part": part, "data": data, "events": stimulus.events, "cycles": cycles, "toggles": toggles}
        )
    return made, rows


def _kept(
    made: Bench, inputs: Mapping[str, NDArray[np.uint8]], cache: Path, make: Callable[[], dict[str, int]]
) -> dict[str, int]:
    state = hashlib.sha256(
        f"{made.simulation.digest} {made.unit.groups} {code_digest('sim/activity')}".encode()
    )
    for name, words in sorted(inputs.items()):
        state.update(name.encode() + np.ascontiguousarray(words).tobytes())
    path = cache / f"toggles-{made.unit.name}-{state.hexdigest()[:24]}.json"
    try:
        data: dict[str, int] = json.loads(path.read_text())
    except (OSError, ValueError):
        data = make()
        write_text(path, json.dumps(data))
    return data
