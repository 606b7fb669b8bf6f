"""`vitreous simulate`: one compiled program on the simulated RTL, outside of a whole run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitreous import models
from vitreous.errors import RunError
from vitreous.flow import comparison, recording, steps
from vitreous.flow.display import Display
from vitreous.flow.lines import checks_line
from vitreous.flow.workspace import Workspace
from vitreous.reports.record import record as records
from vitreous.reports.record.record import AccuracyRecord, Check
from vitreous.spec import graph as graphs
from vitreous.spec import program as programs
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.graph import Graph
from vitreous.spec.limits import MEMORY_LATENCY
from vitreous.spec.program import Program

if TYPE_CHECKING:
    from vitreous.sim.dram import MemoryTiming
    from vitreous.sim.run.build import Build
    from vitreous.sim.run.runtime import SimulationRun

NOT_ASKED = "accuracy is measured by `vitreous run`"


@dataclass(frozen=True, kw_only=True)
class SimulateOptions:
    """Where the images come from (a .npy file, a model's test images, or test data), and the simulated memory."""

    images: Path | None = None
    model: str | None = None
    test: str | None = None
    count: int = 1
    graph: Path | None = None
    waves: tuple[int, int] | None = None
    memory_latency: int = MEMORY_LATENCY
    memory_throughput: int = 100
    build_root: Path = SIMULATORS


def _graph(program_path: Path, options: SimulateOptions) -> Graph | None:
    """The graph that was named, or the one beside the program, or none."""
    if options.graph is not None:
        return graphs.load(options.graph)
    beside = program_path.with_name("graph.safetensors")
    return graphs.load(beside) if beside.is_file() and beside != program_path else None


def _images(options: SimulateOptions, program: Program, graph: Graph | None) -> np.ndarray:
    given = [options.images, options.model, options.test]
    if sum(value is not None for value in given) != 1:
        raise RunError("Give the images with one of --images FILE, --model MODEL and --test DATA")
    if options.test is not None:
        found, name = _test_data(options.test, program, graph), options.test
    elif options.model is not None:
        found, name = models.load(options.model).test_images.numpy(), options.model
    else:
        assert options.images is not None
        found, name = _array(options.images), str(options.images)
    if options.count > len(found):
        raise RunError(f"{name} has {len(found)} images; {options.count} were asked for")
    return np.asarray(found[: options.count])


def _array(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RunError(f"Cannot read images from {path}: {error}") from None
    return np.asarray(array[None] if array.ndim == 3 else array)


def _test_data(data: str, program: Program, graph: Graph | None) -> np.ndarray:
    """Of ``--test``; pixels are normalized as the graph says that its calibration images were."""
    from vitreous.models.dataset.checks import normalized
    from vitreous.models.dataset.read import read

    constants = {} if graph is None else graph.preprocessing
    mean, std = constants.get("mean"), constants.get("std")
    known = None
    if mean and std and (any(mean) or any(value != 1 for value in std)):
        known = (tuple(mean), tuple(std))
    found = read(data, option="--test", shape=program.input_shape)
    return np.asarray(normalized(found.images, "--test: images", found.normalization or known).numpy())


def _inputs(program: Program, graph: Graph | None, images: np.ndarray) -> np.ndarray:
    if graph is not None:
        if graph.name != program.graph_name:
            raise RunError(f"The program is of {program.graph_name}, the graph of {graph.name}")
        return steps.inputs_of(graph, images)
    if images.dtype != np.int8:
        raise RunError(f"Images of type {images.dtype} need the integer graph: give --graph FILE")
    return images


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A simulation of which everything was read and checked, and nothing done yet."""

    program: Program
    config: AcceleratorConfig
    graph: Graph | None
    inputs: np.ndarray
    folder: Path
    options: SimulateOptions
    display: Display

    @property
    def timing(self) -> MemoryTiming:
        from vitreous.sim.dram import MemoryTiming

        return MemoryTiming(latency=self.options.memory_latency, throughput=self.options.memory_throughput)

    def carry_out(self) -> tuple[Check, ...] | None:
        """Simulate, compare, record in the folder: what was compared; None where only waves were asked for."""
        work = Workspace(self.folder)
        with work.locked():
            build, result = self._simulated(work)
            if self.options.waves is not None:
                return None
            with self.display.stage("compare with golden") as stage:
                checks = comparison.compare(
                    self.graph,
                    self.config,
                    list(self.inputs),
                    [(self.program, result.windows)],
                    progress=stage.update,
                )
                stage.note(checks_line(checks))
            self._record(work, build, result, checks)
        return checks

    def _simulated(self, work: Workspace) -> tuple[Build, SimulationRun]:
        from vitreous.sim.run.runtime import simulate

        options, waves = self.options, self.options.waves
        with self.display.stage("build simulator") as stage:
            build = steps.build_simulator(
                self.config, options.build_root, self.program, waves=waves is not None
            )
            stage.unchanged(str(build.folder)) if build.cached else stage.note(f"-> {build.folder}")
        with self.display.stage("simulate") as stage:
            result = simulate(
                self.program,
                list(self.inputs),
                self.config,
                folder=work / ("simulate" if waves is None else "waves"),
                timing=self.timing,
                build_root=options.build_root,
                waves=waves,
                progress=stage.update,
            )
            if waves is not None:
                stage.note(f"waves -> {', '.join(str(p) for p in sorted(result.folder.glob('*.vcd')))}")
            else:
                speed = f"{result.cycles_per_second / 1e6:.2f} million cycles a second"
                stage.note(f"{len(self.inputs)} images, {speed}")
        return build, result

    def _record(
        self, work: Workspace, build: Build, result: SimulationRun, checks: tuple[Check, ...]
    ) -> None:
        program, graph = self.program, self.graph
        lanes, depth = self.config.array.lanes, self.config.array.depth
        outputs = [
            program.tensors(image.window, lanes, depth)[program.output_tensor] for image in result.images
        ]
        np.save(work / "outputs.npy", np.stack(outputs))
        record = recording.assemble(
            program,
            self.config,
            result,
            build=build,
            timing=self.timing,
            source=str(graph.notes.get("source", "")) if graph is not None else "",
            checks=checks,
            accuracy=AccuracyRecord.missing(NOT_ASKED),
            choices=recording.choices(None, None),
        )
        self.display.line(f"-> {records.save(record, work.folder)}")


def prepare(path: Path, folder: Path, options: SimulateOptions, display: Display) -> Prepared:
    """Everything that can be refused before any work; nothing is written."""
    steps.require_toolchain(options.build_root)
    program = programs.load(path)
    graph = _graph(path, options)
    return Prepared(
        program=program,
        config=AcceleratorConfig.from_dict(program.config),
        graph=graph,
        inputs=_inputs(program, graph, _images(options, program, graph)),
        folder=folder,
        options=options,
        display=display,
    )
