"""``run``: from a model to a report, in one folder from which it can resume; and ``quantize``, its first step."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitreous import models
from vitreous.errors import RunError
from vitreous.fitting.fit import AUTO, chosen
from vitreous.fitting.shapes import size_lines
from vitreous.flow import steps
from vitreous.flow.accelerator import Given, load_accelerator
from vitreous.flow.display import Display, somebody_watches
from vitreous.flow.lines import data_lines, summary
from vitreous.flow.options import Options
from vitreous.flow.pipeline import QUANTIZE, STAGES, Run
from vitreous.flow.stage import is_done
from vitreous.flow.workspace import Workspace
from vitreous.reports.report import Report
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.graph import Graph

if TYPE_CHECKING:
    from vitreous.models import LoadedModel

FORMATS = "edge256"
"""Whose number formats a graph has where no accelerator was named."""


def run(
    model: Any,
    accelerator: Given = "edge256",
    *,
    calibration: Any = None,
    test: Any = None,
    out: str | Path | None = None,
    images: int = 1,
    options: Options | None = None,
    quiet: bool | None = None,
) -> Report:
    """Quantize, compile, simulate in RTL, compare with golden and report, all in one folder.

    model : a name of ``vitreous list``, ``package.module:factory``, a ``.pt2`` file, a module, ``(module, images)``, an
        exported program, a function that makes one of these, or a loaded model.
    accelerator : a name of ``vitreous list``, a ``.toml`` file, a dictionary of its structure, a configuration, or
        ``auto`` for what ``fit`` finds.
    calibration, test : images, with labels or without, in any form of ``vitreous.models.dataset.read``; without them
        the model's own, and the report says whose these are.
    out : the folder; ``build/`` and the names of model and accelerator where None.
    images : how many of the test images the RTL runs; ``options`` has the rest.
    quiet : say nothing while it runs; None for: unless there is a terminal or a notebook.

    Repeated, it does only what is missing or changed. The report says whether anything differed (``equal``).
    Raises a VitreousError, a sentence each.
    """
    display = Display(quiet=_quiet(quiet))
    chosen = dataclasses.replace(options or Options(), images=images)
    data = Data(calibration=calibration, test=test)
    return prepare(model, accelerator, data=data, out=out, options=chosen, display=display).carry_out()


def quantize(
    model: Any,
    accelerator: Given | None = None,
    *,
    calibration: Any = None,
    options: Options | None = None,
    quiet: bool | None = None,
) -> Graph:
    """The integer graph of ``model`` with the number formats of ``accelerator``: what ``run`` begins with.

    Arguments and errors as of ``run``; of ``options`` those count that quantize. accelerator : None for the formats of
    ``edge256``, and a line that says which of the named accelerators hold the model; else a line where it does not.
    """
    display, chosen = Display(quiet=_quiet(quiet)), options or Options()
    config = load_accelerator(FORMATS if accelerator is None else accelerator)
    loaded = load(model, Data(calibration=calibration), chosen, display)
    return quantized_aloud(loaded, config, chosen, display, named=accelerator is not None)[0]


def quantized_aloud(
    model: LoadedModel, config: AcceleratorConfig, options: Options, display: Display, *, named: bool
) -> tuple[Graph, list[str]]:
    """The integer graph, with what is to be said of it: before, whether the accelerator, if one was ``named``, holds it
    (these lines are returned too), and after."""
    with display.stage("sizes"):
        said = size_lines(model, config, named=named)
    for line in said:
        display.line(line)
    with display.stage("quantize") as stage:
        graph = quantized(model, config, options, stage.part)
        stage.note(f"{len(graph.nodes)} operations, {graph.macs:,} MAC")
    for line in steps.graph_lines(graph):
        display.line(f"  {line}")
    return graph, [line.strip() for line in said]


def quantized(
    model: LoadedModel, config: AcceleratorConfig, options: Options, progress: steps.PartProgress
) -> Graph:
    """The integer graph of a loaded model, as ``options`` say."""
    return steps.quantize(
        model,
        config,
        observer=options.observer,
        calibration_images=options.calibration_images,
        probability_bits=options.probability_bits,
        progress=progress,
    )


@dataclass(frozen=True, kw_only=True)
class Data:
    """The user's own images, in any form of ``models.dataset.read``; None: the model's."""

    calibration: Any = None
    test: Any = None


def load(model: Any, data: Data, options: Options, display: Display) -> LoadedModel:
    """The model with its data, all of it checked; its lines say whose data they are."""
    with display.stage("load model") as stage:
        loaded = models.load(
            model,
            checkpoint=options.checkpoint,
            calibration=data.calibration,
            test=data.test,
            calibration_images=options.calibration_images,
            test_images=options.test_images,
        )
        stage.note(f"{loaded.name}: {loaded.source}")
    for line in data_lines(loaded):
        display.line(line)
    return loaded


def prepare(
    model: Any,
    accelerator: Given,
    *,
    data: Data,
    out: str | Path | None,
    options: Options,
    display: Display,
) -> Prepared:
    """Everything that can be refused before any work: tools, accelerator, model, data, folder. Nothing is written."""
    config = None if accelerator == AUTO else load_accelerator(accelerator)
    steps.require_toolchain(options.build_root)
    if out is not None and Path(out).exists() and not Path(out).is_dir():
        raise RunError(f"{out} is a file; --out must name a folder")
    loaded = load(model, data, options, display)
    if not 1 <= options.images <= len(loaded.test_images):
        raise RunError(
            f"{loaded.name} has {len(loaded.test_images)} test images; {options.images} were asked for"
        )
    if config is None:
        with display.stage("fit") as stage:
            config = chosen(AUTO, loaded)
            stage.note(f"{config.memory}")
    folder = Path("build") / f"{_plain(loaded.name)}-{_plain(config.name)}" if out is None else Path(out)
    return Prepared(model=loaded, config=config, folder=folder, options=options, display=display)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A run whose model, data and accelerator are known to be good, and of which nothing was done yet."""

    model: LoadedModel
    config: AcceleratorConfig
    folder: Path
    options: Options
    display: Display

    def carry_out(self) -> Report:
        """Every stage that is not done yet."""
        work = Workspace(self.folder)
        with work.locked():
            whole = Run(self.model, self.config, work, self.options, self.display)
            for each in STAGES:
                whole.carry_out(each)
            self.display.line(summary(whole.report, work.folder))
            return whole.report

    def plan(self) -> list[tuple[str, str]]:
        """Each stage with ``unchanged``, ``to do``, or ``asked`` where only the stage itself can tell; nothing is done.

        What reads the graph is to do where the graph is made again.
        """
        states: list[tuple[str, str]] = []
        run = None
        if self.folder.is_dir():
            run = Run(self.model, self.config, Workspace(self.folder), self.options, self.display)
        graph = True
        for each in STAGES:
            state = "asked" if each.load is None else "to do"
            if each.load is not None and run is not None and (graph or "graph" not in each.inputs):
                state = "unchanged" if is_done(each, run, run.work) else "to do"
            if each is QUANTIZE:
                graph = state == "unchanged"
            states.append((each.name, state))
        return states


def _plain(label: str) -> str:
    """A label as a part of a folder's name: a label may be a path or have blanks."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", label).strip("-.") or "model"


def _quiet(quiet: bool | None) -> bool:
    return not somebody_watches() if quiet is None else quiet
