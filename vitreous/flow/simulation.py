"""`vitreous simulate`: one compiled program on the simulated RTL, outside of a whole run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitreous.errors import RunError
from vitreous.flow import comparison, recording, steps
from vitreous.flow.display import Display
from vitreous.flow.workspace import Workspace
from vitreous.reports.record import record as records
from vitreous.reports.record.record import AccuracyRecord
from vitreous.spec import graph as graphs
from vitreous.spec import program as programs
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.graph import Graph
from vitreous.spec.limits import MEMORY_LATENCY
from vitreous.spec.program import Program

NOT_ASKED = "accuracy is measured by `vitreous run`"


@dataclass(frozen=True, kw_only=True)
class SimulateOptions:
    """Where the images come from (a .npy file or a model's test images), and the simulated memory."""

    images: Path | None = None
    model: str | None = None
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


def _images(options: SimulateOptions) -> np.ndarray:
    if (options.images is None) == (options.model is None):
        raise RunError("Give the images either with --images FILE or with --model MODEL")
    if options.model is not None:
        tests = steps.load_model(options.model).test_images
        if options.count > len(tests):
            raise RunError(f"{options.model} has {len(tests)} test images; {options.count} were asked for")
        return np.asarray(tests[: options.count].numpy())
    assert options.images is not None
    try:
        array = np.load(options.images, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RunError(f"Cannot read images from {options.images}: {error}") from None
    batch = array[None] if array.ndim == 3 else array
    if options.count > len(batch):
        raise RunError(f"{options.images} holds {len(batch)} images; {options.count} were asked for")
    return np.asarray(batch[: options.count])


def _inputs(program: Program, graph: Graph | None, images: np.ndarray) -> np.ndarray:
    if graph is not None:
        if graph.name != program.graph_name:
            raise RunError(f"The program is of {program.graph_name}, the graph of {graph.name}")
        return steps.inputs_of(graph, images)
    if images.dtype != np.int8:
        raise RunError(f"Images of type {images.dtype} need the integer graph: give --graph FILE")
    return images


def simulate_program(path: Path, folder: Path, options: SimulateOptions) -> bool:
    """Simulate, compare, record in ``folder``. True when nothing differs, or when only waves were asked for."""
    from vitreous.sim.dram import MemoryTiming
    from vitreous.sim.run.runtime import simulate

    steps.require_toolchain()
    program = programs.load(path)
    config = AcceleratorConfig.from_dict(program.config)
    graph = _graph(path, options)
    timing = MemoryTiming(latency=options.memory_latency, throughput=options.memory_throughput)
    inputs = _inputs(program, graph, _images(options))
    display, work = Display(), Workspace(folder)
    with work.locked():
        with display.stage("build simulator") as stage:
            build = steps.build_simulator(
                config, options.build_root, program, waves=options.waves is not None
            )
            stage.unchanged(str(build.folder)) if build.cached else stage.note(f"-> {build.folder}")
        with display.stage("simulate") as stage:
            result = simulate(
                program,
                list(inputs),
                config,
                folder=work / ("simulate" if options.waves is None else "waves"),
                timing=timing,
                build_root=options.build_root,
                waves=options.waves,
                progress=stage.update,
            )
            if options.waves is not None:
                stage.note(f"waves -> {', '.join(str(p) for p in sorted(result.folder.glob('*.vcd')))}")
                return True
            stage.note(f"{len(inputs)} images, {result.cycles_per_second / 1e6:.2f} million cycles a second")
        with display.stage("compare with golden") as stage:
            checks = comparison.compare(
                graph, config, list(inputs), [(program, result.windows)], progress=stage.update
            )
            stage.note(
                "; ".join(f"{c.name}: {c.compared:,} {c.unit}s, {c.different:,} differ" for c in checks)
            )
        lanes, depth = config.array.lanes, config.array.depth
        outputs = [
            program.tensors(image.window, lanes, depth)[program.output_tensor] for image in result.images
        ]
        np.save(work / "outputs.npy", np.stack(outputs))
        record = recording.assemble(
            program,
            config,
            result,
            build=build,
            timing=timing,
            source=str(graph.notes.get("source", "")) if graph is not None else "",
            checks=checks,
            accuracy=AccuracyRecord.missing(NOT_ASKED),
            choices=recording.choices(None, None),
        )
        display.line(f"-> {records.save(record, work.folder)}")
    return not comparison.differing(checks)
