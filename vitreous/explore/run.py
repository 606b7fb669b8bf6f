"""``explore``: every search of a space, its Pareto front, and that front in RTL, in one folder where it can resume."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from vitreous.errors import RunError
from vitreous.explore import evaluation, results, search
from vitreous.explore.confirm import confirm
from vitreous.explore.evaluation import numerics
from vitreous.explore.fields import CALIBRATION, Design, design
from vitreous.explore.graphs import Graphs
from vitreous.explore.objectives import area_figures
from vitreous.explore.options import Options
from vitreous.explore.source import Source, source_of
from vitreous.explore.space import Space
from vitreous.explore.stopwatch import Stopwatch
from vitreous.explore.study import STORE, Job, open_study
from vitreous.explore.workers import Alone, Workers, workers
from vitreous.flow import steps
from vitreous.flow.display import Display, somebody_watches
from vitreous.flow.workspace import Workspace
from vitreous.reports.errors import ReportError
from vitreous.reports.exploration.exploration import Exploration
from vitreous.spec.config import ConfigError
from vitreous.spec.digest import code_digest
from vitreous.spec.extras import absent, sentence


def explore(
    space: Space, out: str | Path, options: Options | None = None, *, display: Display | None = None
) -> Exploration:
    """Search ``space`` and write ``exploration.json``, ``points.csv`` and pictures of the fronts to ``out``.

    Repeated with the same space and seed it resumes where it stopped, and adds points when more are asked for.
    Raises RunError for settings that contradict the folder, missing packages and lost clusters, and the rooms' errors.
    """
    options = options or Options()
    models = checked(space, options)
    display, work = display or Display(quiet=not somebody_watches()), Workspace(out)
    with work.locked():
        sources = code_digest(*evaluation.ROOMS)
        jobs = _jobs(space, work, options, models)
        clock = Stopwatch(work / "seconds.json")
        # The workers' seconds count when they have ended, so the clock stops after them.
        with clock, workers(options.workers, options.scheduler) as pool:
            store = Graphs(work / "graphs", pool, sources)
            for job in jobs:
                _search(job, space, models[job.model], options, pool, store, display)
        found = results.collect(space, options.seed, jobs, clock)
        results.write(found, work.folder, options.words)
        if options.confirm:
            store = Graphs(work / "graphs", Alone(), sources)
            found = confirm(found, space, models, store, options, work.folder, display)
            results.write(found, work.folder, options.words)
        for line in results.summary(found, work.folder):
            display.line(line)
    return found


def _jobs(space: Space, work: Workspace, options: Options, models: Mapping[str, Source]) -> list[Job]:
    """Every model with every target, each with its study in the folder's store."""
    tables = tables_digest()
    # Not repr(space): what a person reads of an accelerator is not all of it.
    whole = json.dumps(dataclasses.asdict(space), sort_keys=True, default=str)
    held = [models[name].digest for name in space.models]
    digest = hashlib.sha256(f"{whole} {held}".encode()).hexdigest()[:16]
    settings = {"seed": options.seed, "points": options.points}
    return [
        Job(
            model=model,
            target=target,
            study=open_study(work / STORE, space, model, target, **settings, digest=digest, sources=tables),
        )
        for model in space.models
        for target in space.targets
    ]


def _search(
    job: Job,
    space: Space,
    source: Source,
    options: Options,
    pool: Workers,
    store: Graphs,
    display: Display,
) -> None:
    with display.stage(f"search {job.model}") as stage:
        started = search.Search(
            job.study,
            space,
            job.target,
            seed=options.seed,
            evaluate=evaluator(job, space, source, pool, store),
            width=max(search.UNDER_WAY, 2 * pool.count),
        )
        begun = time.monotonic()

        def moved(tally: search.Tally) -> None:
            stage.part(f"{tally.refused} infeasible", tally.points, options.points)

        tally = started.run(options.points, moved)
        wanted = (
            ""
            if tally.points >= options.points
            else f" ({options.points} were asked for; no more were found)"
        )
        stage.note(
            f"{tally.points} points{wanted}, {tally.feasible} within the limits, {tally.refused} infeasible "
            f"combinations, {time.monotonic() - begun:.0f} s, {job.target.label}"
        )


def evaluator(
    job: Job, space: Space, source: Source, pool: Workers, store: Graphs
) -> Callable[[Design], search.Evaluation]:
    """What starts the tasks of one design."""
    sources, target = code_digest(*evaluation.ROOMS), job.target

    def evaluate(made: Design) -> search.Evaluation:
        what = numerics(made, source, space.accuracy_images)
        timing = (target.memory_latency, target.memory_throughput)
        name = hashlib.sha256(f"{what.key} {made.key} {timing} {sources}".encode()).hexdigest()[:24]
        task = pool.submit(
            evaluation.predicted, store.get(what), made.config, *timing, sources, key=f"predict-{name}"
        )
        return search.Evaluation(quantized=lambda: store.result(what), cycles=task.result)

    return evaluate


def tables_digest() -> str:
    """Of everything that figures of points come from: sources, and the tables of energy and area."""
    return code_digest(*evaluation.ROOMS, "reports", "explore")[:16]


def checked(space: Space, options: Options) -> dict[str, Source]:
    """Everything that can be refused before any work: packages, models with their data, areas. Nothing is written."""
    _require_packages(options)
    models = _sources(space, options)
    _check_areas(space)
    return models


def _sources(space: Space, options: Options) -> dict[str, Source]:
    """Every model with its data, before anything is written. Raises ModelError, and RunError where a model has too few
    calibration images.
    """
    wanted = max((v for d in space.dimensions if d.name == CALIBRATION for v in d.values), default=1)
    found = {}
    for name in space.models:
        found[name], model = source_of(name, options)
        available = len(model.calibration)
        if int(wanted) > available:
            raise RunError(f"{CALIBRATION} {wanted} is more than the {available} images of {name}")
    return found


def _check_areas(space: Space) -> None:
    """Raises RunError for a value whose circuit was not measured: no design that has it could be costed."""
    family = space.targets[0].area
    for dimension in space.dimensions:
        for value in dimension.values[:64]:
            try:
                area_figures(design(space.base, {**space.fixed, dimension.name: value}).config, family)
            except ConfigError:
                continue  # not with this base; with other values perhaps
            except ReportError as error:
                raise RunError(f"{dimension.name} = {value}: {error}") from None


def _require_packages(options: Options) -> None:
    """Everything that would only be missed after long work."""
    lacking = absent("explore")
    if "optuna" in lacking:
        raise RunError(sentence("vitreous explore", "the package optuna", "explore"))
    if "distributed" in lacking and (options.workers > 1 or options.scheduler is not None):
        raise RunError(sentence("More than one worker", "the package distributed", "explore"))
    if options.confirm:
        steps.require_toolchain(options.build_root)
