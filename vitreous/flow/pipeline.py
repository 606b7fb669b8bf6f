"""A whole run: model to integer graph to programs to simulated RTL to report, in one folder that it can go on from."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitreous.errors import RunError
from vitreous.flow import comparison, recording, steps
from vitreous.flow.display import Display
from vitreous.flow.workspace import Workspace, write_text
from vitreous.reports import report as reports
from vitreous.reports.record import record as records
from vitreous.reports.record.record import AccuracyRecord, Check
from vitreous.reports.report import Report
from vitreous.spec import graph as graphs
from vitreous.spec import program as programs
from vitreous.spec.config import AcceleratorConfig, load_accelerator
from vitreous.spec.digest import file_digest, source_digest
from vitreous.spec.graph import Graph
from vitreous.spec.limits import MEMORY_LATENCY
from vitreous.spec.program import Program

if TYPE_CHECKING:
    from vitreous.models import LoadedModel
    from vitreous.reports import EnergyChoice
    from vitreous.sim.run.build import Build
    from vitreous.sim.run.runtime import MemoryTiming, SimulationRun

OBSERVED_LIMIT = 16 << 20
"""Bytes of stored intermediates over all images up to which every image is also run with the observed program;
beyond it only the first one is.
"""
NO_LABELS = "the model's test images have no labels"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is done, beside model, accelerator and folder.

    clock_mhz None: the report assumes one. probability_bits None: each attention gets what it needs. energy None: the
    report takes its default technology and DRAM.
    """

    images: int = 1
    observer: str = "mse"
    calibration_images: int | None = None
    probability_bits: int | None = None
    checkpoint: Path | None = None
    memory_latency: int = MEMORY_LATENCY
    memory_throughput: int = 100
    clock_mhz: float | None = None
    energy: EnergyChoice | None = None
    build_root: Path = Path("build/sim")


class Run:
    """The stages of one run, in order; each leaves its files in the folder and is skipped when they are fresh."""

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

    def timing(self) -> MemoryTiming:
        from vitreous.sim.run.runtime import MemoryTiming

        return MemoryTiming(latency=self.options.memory_latency, throughput=self.options.memory_throughput)

    def quantized(self) -> Graph:
        path = self.work / "graph.safetensors"
        formats = (
            self.options.probability_bits,
            self.config.softmax,
            self.config.activation,
            self.config.norm,
        )
        inputs = {
            "model": self.model_digest,
            "settings": f"{self.options.observer} {self.options.calibration_images} {formats}",
            "sources": source_digest("quant", "golden", "spec"),
        }
        with self.display.stage("quantize") as stage:
            if self.work.fresh("quantize", inputs):
                stage.unchanged(path.name)
                return graphs.load(path)
            graph = steps.quantize(
                self.model,
                self.config,
                observer=self.options.observer,
                calibration_images=self.options.calibration_images,
                probability_bits=self.options.probability_bits,
                progress=stage.part,
            )
            graphs.save(graph, path)
            self.work.stamp("quantize", inputs, [path, path.with_suffix(".json")])
            stage.note(f"{len(graph.nodes)} operations, {graph.macs:,} MAC -> {path.name}")
        self.display.line(f"  {steps.widths_line(graph)}")
        return graph

    def compiled(self, graph: Graph, *, observe: bool) -> Program:
        name = "observed" if observe else "program"
        path = self.work / f"{name}.safetensors"
        inputs = {
            "graph": file_digest(self.work / "graph.safetensors") + file_digest(self.work / "graph.json"),
            "config": f"{self.config.name} {self.config.digest} {self.config.schedule}",
            "sources": source_digest("compiler", "spec"),
        }
        with self.display.stage("compile" if not observe else "compile, observed") as stage:
            if self.work.fresh(name, inputs):
                stage.unchanged(path.name)
                return programs.load(path)
            from vitreous.compiler import compile as compile_graph

            program = compile_graph(graph, self.config, observe=observe)
            programs.save(program, path)
            listing = steps.write_listing(program, path.with_suffix(".lst"))
            self.work.stamp(name, inputs, [path, path.with_suffix(".json"), listing])
            stage.note(f"{len(program.instructions)} instructions -> {path.name}, {listing.name}")
            return program

    def rtl(self, build: Build) -> None:
        inputs = {
            # accelerator.json has the schedule too, though the Verilog is the same with any.
            "config": f"{self.config.name} {self.config.digest} {self.config.schedule}",
            "sources": source_digest("hw", "spec"),
        }
        with self.display.stage("rtl") as stage:
            if self.work.fresh("rtl", inputs):
                stage.unchanged("rtl/")
                return
            files = steps.write_rtl(self.config, self.work / "rtl", build=build)
            self.work.stamp("rtl", inputs, files)
            stage.note(f"-> {', '.join(f'rtl/{path.name}' for path in files)}")

    def built(self) -> Build:
        with self.display.stage("build simulator") as stage:
            build = steps.build_simulator(self.config, self.options.build_root)
            if build.cached:
                stage.unchanged(str(build.folder))
            else:
                stage.note(f"-> {build.folder}")
            return build

    def simulated(self, program: Program, inputs: np.ndarray, name: str) -> SimulationRun:
        from vitreous.sim.run.runtime import simulate

        with self.display.stage(name) as stage:
            run = simulate(
                program,
                list(inputs),
                self.config,
                folder=self.work / name.replace(", ", "-"),
                timing=self.timing(),
                build_root=self.options.build_root,
                trace=not program.observed,
                progress=stage.update,
            )
            cycles = run.images[0].counters["cycles"]
            count = f"{len(inputs)} image{'s' if len(inputs) != 1 else ''}"
            speed = f"{run.cycles_per_second / 1e6:.2f} million cycles a second"
            text = f"{count}, {cycles:,} cycles for the first, {speed}"
            stage.unchanged(text) if run.seconds == 0 else stage.note(text)
            return run

    def checked(
        self, graph: Graph, inputs: np.ndarray, pairs: list[tuple[Program, SimulationRun]]
    ) -> tuple[Check, ...]:
        """Compare what the RTL stored with golden; ``pairs`` are the production and the observed program."""
        path = self.work / "checks.json"
        windows = [file_digest(p) for _, run in pairs for p in sorted(run.folder.glob("window-*.npy"))]
        digests = {
            "graph": file_digest(self.work / "graph.safetensors") + file_digest(self.work / "graph.json"),
            "programs": file_digest(self.work / "program.safetensors")
            + file_digest(self.work / "observed.safetensors"),
            "windows": " ".join(windows),
            "sources": source_digest("golden", "spec"),
        }
        with self.display.stage("compare with golden") as stage:
            if self.work.fresh("checks", digests):
                checks = comparison.checks_from(self.work.read_json(path.name))
                stage.unchanged()
            else:
                checks = compare(graph, self.config, inputs, pairs, stage.update)
                write_text(path, json.dumps([dataclasses.asdict(check) for check in checks], indent=1))
                self.work.stamp("checks", digests, [path])
            stage.text = "; ".join(
                f"{c.name}: {c.compared:,} {c.unit}s compared, {c.different:,} differ" for c in checks
            )
        return checks

    def measured_accuracy(self, graph: Graph) -> AccuracyRecord:
        path = self.work / "accuracy.json"
        inputs = {
            "model": self.model_digest,
            "graph": file_digest(self.work / "graph.safetensors") + file_digest(self.work / "graph.json"),
            "sources": source_digest("golden", "spec"),
        }
        with self.display.stage("accuracy") as stage:
            if self.work.fresh("accuracy", inputs):
                result = AccuracyRecord(**self.work.read_json(path.name))
                stage.unchanged()
            else:
                labels = self.model.test_labels
                images = steps.inputs_of(graph, self.model.test_images.numpy())
                result = comparison.accuracy(
                    steps.float_logits(self.model, lambda *done: stage.part("float", *done)),
                    steps.integer_logits(graph, images, lambda *done: stage.part("integer", *done)),
                    None if labels is None else labels.numpy(),
                    NO_LABELS,
                )
                write_text(path, json.dumps(dataclasses.asdict(result)))
                self.work.stamp("accuracy", inputs, [path])
            stage.text = accuracy_line(result)
        return result


def accuracy_line(a: AccuracyRecord) -> str:
    """Both accuracies in a sentence, or why there are none."""
    if a.correct_float is None or a.correct_int is None:
        same = "" if a.agree is None else f"same class as float in {a.agree} of {a.images}; "
        return f"{same}no accuracy: {a.reason}"
    shares = f"float {a.correct_float / a.images:.2%}, integer {a.correct_int / a.images:.2%}"
    return f"{shares} of {a.images} images"


def compare(
    graph: Graph,
    config: AcceleratorConfig,
    inputs: np.ndarray,
    pairs: list[tuple[Program, SimulationRun]],
    progress: steps.Progress | None = None,
) -> tuple[Check, ...]:
    """Every stored tensor against the interpreter, every byte of the production run against the functional machine.

    inputs : int8 [n, C, H, W]. pairs : programs with their simulations of the first images; an observed program
    may have fewer images than the production one.
    """
    from vitreous.golden import interpreter
    from vitreous.golden.machine import Machine

    names = {False: "outputs", True: "intermediates"}
    tallies = [comparison.Tally(names[p.observed], "golden.interpreter", "value") for p, _ in pairs]
    whole = comparison.Tally("write window", "golden.machine", "byte")
    with steps.one_thread():
        for index, image in enumerate(inputs):
            keep = any(len(run.images) > index and program.observed for program, run in pairs)
            values = interpreter.run(graph, image, keep=keep)
            for (program, run), tally in zip(pairs, tallies, strict=True):
                if index >= len(run.images):
                    continue
                window = run.images[index].window
                comparison.compare_tensors(tally, program, config, window, values)
                if not program.observed:
                    expected = Machine(config).run(program, image).window
                    whole.count(program.output_tensor, "", window, expected)
                    whole.image_done()
            if progress:
                progress(index + 1, len(inputs))
    return (*(tally.check() for tally in tallies), whole.check())


def run(
    model: str | LoadedModel,
    accelerator: str | AcceleratorConfig = "edge256",
    *,
    out: str | Path,
    images: int = 1,
    options: Options | None = None,
    quiet: bool = True,
) -> Report:
    """Quantize, compile, simulate in RTL, compare with golden and report, all in the folder ``out``.

    model : a name of ``vitreous list``, ``package.module:factory``, a ``.pt2`` file, or a loaded model.
    accelerator : a name of ``vitreous list``, a ``.toml`` file, or a configuration.
    images : how many of the model's test images the RTL runs; ``options`` has the rest.
    Repeated, it does only what is missing or changed. The report says whether anything differed (``equal``).
    Raises the rooms' own errors, each a sentence.
    """
    options = dataclasses.replace(options or Options(), images=images)
    config = load_accelerator(accelerator) if isinstance(accelerator, str) else accelerator
    display = Display(quiet=quiet)
    steps.require_toolchain()
    work = Workspace(out)
    with work.locked():
        with display.stage("load model") as stage:
            loaded = steps.load_model(model, options.checkpoint) if isinstance(model, str) else model
            if not 1 <= images <= len(loaded.test_images):
                raise RunError(
                    f"{loaded.name} has {len(loaded.test_images)} test images; {images} were asked for"
                )
            stage.note(f"{loaded.name}: {loaded.source}")
        report = _run(Run(loaded, config, work, options, display))
        display.line(summary(report, work.folder))
        return report


def _run(r: Run) -> Report:
    graph = r.quantized()
    program, observed = r.compiled(graph, observe=False), r.compiled(graph, observe=True)
    build = r.built()
    r.rtl(build)
    inputs = steps.test_inputs(r.model, graph, r.options.images)
    fits = observed.write_size * len(inputs) <= OBSERVED_LIMIT
    production = r.simulated(program, inputs, "simulate")
    checking = r.simulated(observed, inputs if fits else inputs[:1], "simulate, observed")
    checks = r.checked(graph, inputs, [(program, production), (observed, checking)])
    accuracy = r.measured_accuracy(graph)
    with r.display.stage("report") as stage:
        record = recording.assemble(
            program,
            r.config,
            production,
            build=build,
            timing=r.timing(),
            source=r.model.source,
            checks=checks,
            accuracy=accuracy,
        )
        records.save(record, r.work.folder)
        report = reports.summarize(record, clock_mhz=r.options.clock_mhz, energy=r.options.energy)
        page, _ = reports.write(report, r.work.folder)
        stage.note(f"-> {page.name}, report.json")
    return report


def summary(report: Report, folder: Path) -> str:
    """The last lines of a run."""
    differing = comparison.differing(report.checks)
    verdict = "equal to golden" if report.equal else f"DIFFERS from golden: {'; '.join(differing[:5])}"
    return "\n".join(
        [
            "",
            f"{report.model} on {report.accelerator}: {verdict}",
            f"  {report.values_compared:,} values compared, {report.values_different:,} differ; "
            f"{report.bytes_compared:,} bytes compared, {report.bytes_different:,} differ",
            f"  {report.cycles_per_image:,.0f} cycles for one image, utilization {report.utilization:.1%}, "
            f"{report.latency_ms:.3g} ms at {report.clock_mhz:g} MHz ({report.clock_source})",
            f"  simulated at {report.sim_cycles_per_second / 1e6:.2f} million cycles a second",
            f"  {folder / 'index.html'}",
        ]
    )
