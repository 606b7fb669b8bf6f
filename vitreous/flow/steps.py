"""The single steps from a model to files, each as the command line and a whole run use it. Heavy imports are late."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitreous.errors import RunError
from vitreous.hw.platforms import TARGETS
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.errors import near
from vitreous.spec.graph import Graph
from vitreous.spec.images import quantize_images
from vitreous.spec.program import Program
from vitreous.spec.storage import write_text
from vitreous.version import VERSION

if TYPE_CHECKING:
    from vitreous.models import LoadedModel
    from vitreous.sim.run.build import Build

Progress = Callable[[int, int], None]
PartProgress = Callable[[str, int, int], None]

TOP = "accelerator"
"""Name of the Verilog module where no other is asked for, that of ``hw.verilog``, which takes long to import."""
FLOAT_BATCH = 64
"""Images at once through the float model: bounds memory, does not change a figure."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread, and put the number back afterwards.

    The order of float sums, and with it the graph, then does not depend on the machine's cores; and these small
    tensors gain nothing from a second thread, which loses much where another process wants the core.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def require_toolchain(builds: Path | None = None) -> None:
    """Raises ToolchainError when a program that simulation needs is missing, and SimulationError when the folder
    ``builds`` of compiled simulators cannot be written: before anything else is done.
    """
    from vitreous.sim.run import toolchain
    from vitreous.sim.run.build import require_folder

    for program in ("g++", "make", "perl"):
        toolchain.require(program)
    toolchain.verilator()
    toolchain.libpython()
    if builds is not None:
        require_folder(builds)


def held_digest(model: LoadedModel) -> str:
    """SHA-256 of parameters, structure and data."""
    images = (model.calibration_source, model.test_source, model.calibration_origin, model.test_origin)
    named = f"{model.name} {model.source} {images} {model.module!r} {model.mean} {model.std}"
    state = hashlib.sha256(named.encode())
    for name, tensor in sorted(model.module.state_dict().items()):
        state.update(name.encode())
        state.update(tensor.detach().contiguous().numpy().tobytes())
    for array in (model.calibration, model.test_images):
        state.update(array.contiguous().numpy().tobytes())
    if model.test_labels is not None:
        state.update(model.test_labels.contiguous().numpy().tobytes())
    return state.hexdigest()


def model_digest(model: LoadedModel) -> str:
    """SHA-256 of parameters, structure, data and the logits of one image: what a changed model changes."""
    import torch

    with one_thread(), torch.no_grad():
        logits = model.module(model.test_images[:1])
    return hashlib.sha256(held_digest(model).encode() + logits.contiguous().numpy().tobytes()).hexdigest()


def quantize(
    model: LoadedModel,
    accelerator: AcceleratorConfig,
    *,
    observer: str = "output",
    calibration_images: int | None = None,
    probability_bits: int | None = None,
    progress: PartProgress | None = None,
) -> Graph:
    """The integer graph of ``model`` with the number formats of ``accelerator``. Raises QuantError and RunError.

    probability_bits : of every attention, 8 or 16; None for 8, and 16 where the output gains from them.
    """
    from vitreous.models.endings import left_out as left_out_sentence
    from vitreous.quant import QuantScheme
    from vitreous.quant import quantize as quantize_module

    available = len(model.calibration)
    count = available if calibration_images is None else calibration_images
    if not 1 <= count <= available:
        raise RunError(f"{model.name} has {available} calibration images; {count} were asked for")
    with one_thread():
        graph = quantize_module(
            model.quantizable,
            model.calibration[:count],
            name=model.name,
            scheme=QuantScheme(observer=observer, probability_bits=probability_bits),
            softmax=accelerator.softmax,
            activation=accelerator.activation,
            norm=accelerator.norm,
            preprocessing={"mean": list(model.mean), "std": list(model.std)},
            progress=progress,
        )
    left_out = [*map(left_out_sentence, model.left_out), *graph.notes["left_out"]]
    return dataclasses.replace(graph, notes={**graph.notes, "left_out": left_out, "source": model.source})


def graph_lines(graph: Graph) -> list[str]:
    """What its making says of a graph: widths of the probabilities, and what of the model it does not compute."""
    left_out = [f"left out: {sentence}" for sentence in graph.notes.get("left_out", ())]
    return [*width_lines(graph), *quality_lines(graph), *left_out]


def quality_lines(graph: Graph) -> list[str]:
    """How far the output is from the float network's, what loses most, and what saturates; empty where not measured."""
    notes = graph.notes
    if "output_error" not in notes:
        return []
    worst = ", ".join(f"{entry['operation']} ({entry['error']:.2g})" for entry in notes["losses"][:3])
    line = (
        f"output error: {notes['output_error']:.2g} of the float network's output ({notes['compared_images']} "
        f"calibration images); what loses most: {worst}"
    )
    fixed = [entry for entry in notes["saturation"] if entry["what"] != "int8 values"]
    return [
        line,
        *(f"{e['name']}: {e['share']:.2%} of the {e['what']} saturate; {e['remedy']}" for e in fixed),
    ]


def width_lines(graph: Graph) -> list[str]:
    """How many attentions have probabilities of 8 and of 16 bits, and why."""
    from vitreous.flow.recording import gain_record, probability_record
    from vitreous.reports.figures.probabilities import Width, sentences

    notes = graph.notes.get("attention", {})
    choice = probability_record(notes)
    if choice is None:
        return ["probabilities: nothing was measured"]
    widths = [
        Width(layer["layer"], layer["probability_bits"], gain_record(layer["gain"]))
        for layer in notes["layers"]
    ]
    first, *others = sentences(choice, widths)
    return [f"probabilities: {first}", *others]


def write_rtl(
    config: AcceleratorConfig,
    folder: Path,
    target: str = "generic",
    *,
    prefix: str = TOP,
    clock_mhz: float | None = None,
    build: Build | None = None,
) -> list[Path]:
    """Verilog and FuseSoC core of ``config`` for one of ``TARGETS``; without torch. Raises RunError on another, and
    VerilogError on a ``prefix`` or a clock that cannot be.

    prefix : name of the Verilog module, with which those of all parts begin. clock_mhz : of the constraints; None is
    the clock that reports assume.
    A ``build`` of the same configuration has the generic Verilog already; generating it takes seconds.
    """
    from vitreous.hw.verilog import write_core
    from vitreous.reports.report import ASSUMED_CLOCK_MHZ

    check_target(target)
    folder.mkdir(parents=True, exist_ok=True)
    platform = TARGETS[target]
    known = platform is None and prefix == TOP
    return write_core(
        config,
        folder,
        platform,
        version=VERSION,
        clock_mhz=ASSUMED_CLOCK_MHZ if clock_mhz is None else clock_mhz,
        top=prefix,
        verilog=(build.folder / "accelerator.v").read_text() if build and known else None,
    )


def check_target(target: str) -> None:
    """Raises RunError where ``target`` is none of ``TARGETS``."""
    if target not in TARGETS:
        raise RunError(f"--target must be one of {', '.join(TARGETS)}, not {target!r}{near(target, TARGETS)}")


def write_listing(program: Program, path: Path) -> Path:
    """The program in readable form, as a text file."""
    from vitreous.compiler.listing import listing

    return write_text(path, listing(program))


def build_simulator(config: AcceleratorConfig, root: Path, *programs: Program, waves: bool = False) -> Build:
    """The compiled simulation of ``config`` with DRAM for ``programs``. Raises ToolchainError and SimulationError."""
    from vitreous.sim.dram import memory_bits
    from vitreous.sim.run.build import build

    return build(config, root=root, waves=waves, memory_bits=memory_bits(*programs))


def inputs_of(graph: Graph, images: np.ndarray) -> np.ndarray:
    """int8 images as they are, normalised float ones in the graph's input format; [n, C, H, W].

    A single image [C, H, W] becomes a batch of one. Raises RunError on another type or shape.
    """
    batch = images[None] if images.ndim == 3 else images
    if batch.ndim != 4 or batch.shape[1:] != graph.input.shape or len(batch) == 0:
        raise RunError(
            f"Images must have the shape [n, {', '.join(map(str, graph.input.shape))}], not {list(images.shape)}"
        )
    if batch.dtype == np.int8:
        return batch
    if not np.issubdtype(batch.dtype, np.floating):
        raise RunError(f"Images must be int8 or normalised floats, not {batch.dtype}")
    if not np.isfinite(batch).all():
        raise RunError("Images must be finite; some of their values are not")
    return quantize_images(graph, batch)


def test_inputs(model: LoadedModel, graph: Graph, count: int) -> np.ndarray:
    """The first ``count`` test images of ``model`` as int8 [count, C, H, W]."""
    available = len(model.test_images)
    if not 1 <= count <= available:
        raise RunError(f"{model.name} has {available} test images; {count} were asked for")
    return inputs_of(graph, model.test_images[:count].numpy())


def float_logits(model: LoadedModel, progress: Progress | None = None) -> np.ndarray:
    """Logits [n, classes] of the float model on all its test images."""
    import torch

    parts = []
    total = len(model.test_images)
    with torch.no_grad(), one_thread():
        for start in range(0, total, FLOAT_BATCH):
            parts.append(model.module(model.test_images[start : start + FLOAT_BATCH]).numpy())
            if progress:
                progress(min(start + FLOAT_BATCH, total), total)
    return np.concatenate(parts)


def integer_logits(graph: Graph, images: np.ndarray, progress: Progress | None = None) -> np.ndarray:
    """Logits [n, classes] of the integer graph on int8 images [n, C, H, W]."""
    from vitreous.golden.interpreter import run_batch

    # A batch keeps one activation of each image alive: 16 images of 224 x 224 stay under 1 GB.
    batch = 64 if images[0].size < 1 << 14 else 4
    with one_thread():
        return run_batch(graph, images, batch=batch, progress=progress).reshape(len(images), -1)
