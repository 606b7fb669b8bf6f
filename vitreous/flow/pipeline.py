"""The stages of a whole run: model to integer graph, programs, simulated RTL and report, in one folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from vitreous import reports
from vitreous.fitting.shapes import refuse_too_large
from vitreous.flow import comparison, recording, steps
from vitreous.flow.display import Display
from vitreous.flow.display import Stage as Shown
from vitreous.flow.lines import accuracy_line, checks_line
from vitreous.flow.options import Options
from vitreous.flow.stage import Stage, carry_out
from vitreous.flow.workspace import Workspace
from vitreous.reports.json_file import structured
from vitreous.reports.record import record as records
from vitreous.reports.record.record import AccuracyRecord, Check
from vitreous.reports.report import Report
from vitreous.spec import graph as graphs
from vitreous.spec import program as programs
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.digest import file_digest
from vitreous.spec.graph import Graph
from vitreous.spec.program import Program
from vitreous.spec.storage import write_text

if TYPE_CHECKING:
    from vitreous.models import LoadedModel
    from vitreous.sim.dram import MemoryTiming
    from vitreous.sim.run.build import Build
    from vitreous.sim.run.runtime import SimulationRun

OBSERVED_LIMIT = 16 << 20
"""Bytes of stored intermediates over all images up to which every image is also run with the observed program;
beyond it only the first one is.
"""
GRAPH = ("graph.safetensors", "graph.json")
PROGRAM = ("program.safetensors", "program.json", "program.lst")
OBSERVED = ("observed.safetensors", "observed.json", "observed.lst")
CHECKS, ACCURACY = "checks.json", "accuracy.json"


class Run:
    """What a run is of, and what its stages have found so far; each finds what those before it in the table left."""

    graph: Graph
    program: Program
    observed: Program
    build: Build
    inputs: np.ndarray
    production: SimulationRun
    checking: SimulationRun
    checks: tuple[Check, ...]
    accuracy: AccuracyRecord
    report: Report

    def __init__(
        self,
        model: LoadedModel,
        config: AcceleratorConfig,
        work: Workspace,
        options: Options,
        display: Display,
    ) -> None:
        self.model, self.config, self.work, self.options, self.display = model, config, work, options, display
        self.model_digest = steps.model_digest(model)

    def carry_out(self, stage: Stage[Run]) -> None:
        carry_out(stage, self, self.work, self.display)

    def timing(self) -> MemoryTiming:
        from vitreous.sim.dram import MemoryTiming

        return MemoryTiming(latency=self.options.memory_latency, throughput=self.options.memory_throughput)

    def settings(self) -> str:
        """Everything that the integer graph depends on beside the model."""
        config, options = self.config, self.options
        formats = (options.probability_bits, config.softmax, config.activation, config.norm)
        return f"{options.observer} {options.calibration_images} {formats}"

    def accelerator(self) -> str:
        """accelerator.json has the schedule too, though the Verilog is the same with any."""
        return f"{self.config.name} {self.config.digest} {self.config.schedule}"

    def digest(self, *names: str) -> str:
        """Of files in the folder."""
        return "".join(file_digest(self.work / name) for name in names)

    def window_digests(self) -> str:
        found = [run.folder.glob("window-*.npy") for run in (self.production, self.checking)]
        return " ".join(file_digest(path) for windows in found for path in sorted(windows))


def _quantize(run: Run, shown: Shown) -> str:
    path = run.work / GRAPH[0]
    refuse_too_large(run.model, run.config)
    run.graph = steps.quantize(
        run.model,
        run.config,
        observer=run.options.observer,
        calibration_images=run.options.calibration_images,
        probability_bits=run.options.probability_bits,
        progress=shown.part,
    )
    graphs.save(run.graph, path)
    made = f"{len(run.graph.nodes)} operations, {run.graph.macs:,} MAC -> {path.name}"
    return "\n  ".join([made, *steps.graph_lines(run.graph)])


def _load_graph(run: Run) -> str:
    run.graph = graphs.load(run.work / GRAPH[0])
    return GRAPH[0]


def _keep_program(run: Run, program: Program) -> None:
    run.program = program


def _keep_observed(run: Run, program: Program) -> None:
    run.observed = program


def _build(run: Run, shown: Shown) -> str:
    run.build = steps.build_simulator(run.config, run.options.build_root, run.program)
    if run.build.cached:
        shown.unchanged()
        return str(run.build.folder)
    return f"-> {run.build.folder}"


def _write_rtl(run: Run, _: Shown) -> str:
    files = steps.write_rtl(run.config, run.work / "rtl", build=run.build)
    return f"-> {', '.join(f'rtl/{path.name}' for path in files)}"


def _simulated(
    run: Run, shown: Shown, program: Program, inputs: np.ndarray, folder: str
) -> tuple[SimulationRun, str]:
    from vitreous.sim.run.runtime import simulate

    done = simulate(
        program,
        list(inputs),
        run.config,
        folder=run.work / folder,
        timing=run.timing(),
        build_root=run.options.build_root,
        trace=not program.observed,
        progress=shown.update,
    )
    if done.seconds == 0:
        shown.unchanged()
    cycles = done.images[0].counters["cycles"]
    count = f"{len(inputs)} image{'s' if len(inputs) != 1 else ''}"
    speed = f"{done.cycles_per_second / 1e6:.2f} million cycles a second"
    return done, f"{count}, {cycles:,} cycles for the first, {speed}"


def _simulate(run: Run, shown: Shown) -> str:
    run.inputs = steps.test_inputs(run.model, run.graph, run.options.images)
    run.production, text = _simulated(run, shown, run.program, run.inputs, "simulate")
    return text


def _simulate_observed(run: Run, shown: Shown) -> str:
    fits = run.observed.write_size * len(run.inputs) <= OBSERVED_LIMIT
    inputs = run.inputs if fits else run.inputs[:1]
    run.checking, text = _simulated(run, shown, run.observed, inputs, "simulate-observed")
    return text


def _compare(run: Run, shown: Shown) -> str:
    stored = [(run.program, run.production.windows), (run.observed, run.checking.windows)]
    run.checks = comparison.compare(run.graph, run.config, list(run.inputs), stored, progress=shown.update)
    write_text(run.work / CHECKS, json.dumps([dataclasses.asdict(check) for check in run.checks], indent=1))
    return checks_line(run.checks)


def _load_checks(run: Run) -> str:
    run.checks = structured(tuple[Check, ...], run.work.read_json(CHECKS), CHECKS)
    return checks_line(run.checks)


def _measure_accuracy(run: Run, shown: Shown) -> str:
    labels = run.model.test_labels
    images = steps.inputs_of(run.graph, run.model.test_images.numpy())
    run.accuracy = comparison.accuracy(
        steps.float_logits(run.model, lambda *done: shown.part("float", *done)),
        steps.integer_logits(run.graph, images, lambda *done: shown.part("integer", *done)),
        None if labels is None else labels.numpy(),
        run.model,
    )
    write_text(run.work / ACCURACY, json.dumps(dataclasses.asdict(run.accuracy)))
    return accuracy_line(run.accuracy)


def _load_accuracy(run: Run) -> str:
    run.accuracy = structured(AccuracyRecord, run.work.read_json(ACCURACY), ACCURACY)
    return accuracy_line(run.accuracy)


def _report(run: Run, _: Shown) -> str:
    record = recording.assemble(
        run.program,
        run.config,
        run.production,
        build=run.build,
        timing=run.timing(),
        source=run.model.source,
        checks=run.checks,
        accuracy=run.accuracy,
        choices=recording.choices(run.options.clock_mhz, run.options.energy),
    )
    records.save(record, run.work.folder)
    run.report = reports.summarize(record)
    page, _data = reports.write(run.report, run.work.folder)
    return f"-> {page.name}, report.json"


def _compiling(
    name: str,
    files: tuple[str, ...],
    stamp: str,
    keep: Callable[[Run, Program], None],
    *,
    observe: bool,
) -> Stage[Run]:
    """The stage that makes the program, or the one that stores what is compared with golden."""

    def make(run: Run, _: Shown) -> str:
        from vitreous.compiler import compile as compile_graph

        path = run.work / files[0]
        program = compile_graph(run.graph, run.config, observe=observe)
        programs.save(program, path)
        listing = steps.write_listing(program, path.with_suffix(".lst"))
        keep(run, program)
        return f"{len(program.instructions)} instructions -> {path.name}, {listing.name}"

    def load(run: Run) -> str:
        keep(run, programs.load(run.work / files[0]))
        return files[0]

    return Stage(
        name=name,
        inputs={"graph": lambda run: run.digest(*GRAPH), "config": Run.accelerator},
        sources=("compiler", "spec"),
        make=make,
        load=load,
        files=files,
        stamp=stamp,
    )


QUANTIZE: Stage[Run] = Stage(
    name="quantize",
    inputs={"model": lambda run: run.model_digest, "settings": Run.settings},
    sources=("quant", "golden", "spec"),
    make=_quantize,
    load=_load_graph,
    files=GRAPH,
    stamp="quantize",
)
STAGES: tuple[Stage[Run], ...] = (
    QUANTIZE,
    _compiling("compile", PROGRAM, "program", _keep_program, observe=False),
    _compiling("compile, observed", OBSERVED, "observed", _keep_observed, observe=True),
    Stage(name="build simulator", make=_build),
    Stage(
        name="rtl",
        inputs={"config": Run.accelerator},
        sources=("hw", "spec"),
        make=_write_rtl,
        load=lambda run: "rtl/",
        files=("rtl/*",),
        stamp="rtl",
    ),
    Stage(name="simulate", make=_simulate),
    Stage(name="simulate, observed", make=_simulate_observed),
    Stage(
        name="compare with golden",
        inputs={
            "graph": lambda run: run.digest(*GRAPH),
            "programs": lambda run: run.digest(PROGRAM[0], OBSERVED[0]),
            "windows": Run.window_digests,
        },
        sources=("golden", "spec"),
        make=_compare,
        load=_load_checks,
        files=(CHECKS,),
        stamp="checks",
    ),
    Stage(
        name="accuracy",
        inputs={"model": lambda run: run.model_digest, "graph": lambda run: run.digest(*GRAPH)},
        sources=("golden", "spec"),
        make=_measure_accuracy,
        load=_load_accuracy,
        files=(ACCURACY,),
        stamp="accuracy",
    ),
    Stage(name="report", make=_report),
)
"""A run, in order. A stage's digests count files of the stages before it, so what is made again and comes out equal
does not make the next one stale.
"""
