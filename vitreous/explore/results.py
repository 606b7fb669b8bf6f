"""From the studies to data, tables, pictures and a few lines."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitreous.explore import points
from vitreous.explore.fields import design
from vitreous.explore.objectives import OBJECTIVES, area_unit
from vitreous.explore.space import Space
from vitreous.explore.stopwatch import Stopwatch
from vitreous.explore.study import STORE, Job
from vitreous.flow import recording
from vitreous.reports.exploration import exploration, pareto_picture, web
from vitreous.reports.exploration.exploration import Exploration, ExploredPoint, Goal, Searched, nondominated
from vitreous.reports.exploration.page import page
from vitreous.spec.storage import write_text

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def collect(space: Space, seed: int, jobs: Sequence[Job], clock: Stopwatch) -> Exploration:
    """Everything that the studies of ``jobs`` hold, with the Pareto fronts."""
    goals = tuple(
        Goal(
            name=name,
            figure=OBJECTIVES[name].figure,
            unit=area_unit(space.targets[0].area) if name == "area" else OBJECTIVES[name].unit,
            maximize=OBJECTIVES[name].maximize,
            how=OBJECTIVES[name].how,
            meaning=OBJECTIVES[name].meaning,
        )
        for name in space.objectives
    )
    return Exploration(
        name=space.name,
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        combinations=space.size,
        dimensions={d.name: list(d.values) for d in space.searched},
        fixed=space.fixed,
        accelerator=space.base.name,
        limits={**space.limits.most, **space.limits.least},
        goals=goals,
        seed=seed,
        seconds=round(clock.wall, 1),
        cpu_seconds=round(clock.processor, 1),
        versions=_versions(),
        searches=tuple(_searched(space, goals, job) for job in jobs),
    )


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = recording.versions()
    for name in ("optuna", "distributed"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _searched(space: Space, goals: Sequence[Goal], job: Job) -> Searched:
    trials = [t for t in job.study.get_trials(deepcopy=False) if t.state.is_finished()]
    kept = [t for t in trials if t.state.name == "COMPLETE" or "refused" in t.user_attrs]
    made_points = [_point(trial) for trial in kept]
    feasible = [index for index, point in enumerate(made_points) if point.feasible]
    front = nondominated([[goal.loss(made_points[i]) for goal in goals] for i in feasible])
    for index, best in zip(feasible, front, strict=True):
        if best:
            made = design(space.base, {**space.fixed, **made_points[index].settings})
            made_points[index] = dataclasses.replace(
                made_points[index], front=True, config=made.config.as_dict()
            )
    known = _accuracy(kept)
    return Searched(
        model=job.model,
        **dataclasses.asdict(job.target),
        measured_on=_measured_on(known),
        images=0 if known is None else known["images"],
        points=tuple(made_points),
    )


def _point(trial: FrozenTrial) -> ExploredPoint:
    known = trial.user_attrs.get("point", {"figures": {}, "refusal": trial.user_attrs.get("refused", "")})
    return ExploredPoint(
        number=trial.number,
        settings=dict(trial.params),
        figures=known["figures"],
        refusal=known["refusal"],
    )


def _accuracy(trials: Sequence[FrozenTrial]) -> dict[str, Any] | None:
    """Counts of the first point that has any: all points are judged on the same images."""
    known = (trial.user_attrs["point"]["accuracy"] for trial in trials if "point" in trial.user_attrs)
    return next(known, None)


def _measured_on(found: dict[str, Any] | None) -> str:
    if found is None:
        return "nothing"
    if found["correct"] is None:
        return f"agreement with the float model on {found['images']} test images without labels"
    share = found["correct_float"] / found["images"]
    return (
        f"{found['images']} labelled test images, of which the float model classifies {share:.2%} correctly"
    )


def write(found: Exploration, folder: Path, given: Sequence[str] = ()) -> None:
    """``exploration.html``, ``.json``, ``.md``, ``points.csv``, an accelerator file for every point of the front, and
    ``front.svg`` and ``.png`` (numbered where there are several).
    """
    exploration.save(found, folder)
    web.write(found, folder, points.write(found, folder, given), dashboard(folder))
    write_text(folder / "exploration.md", page(found))
    for number, searched in enumerate(found.searches):
        stem = "front" if len(found.searches) == 1 else f"front-{number}"
        for suffix in (".svg", ".png"):
            pareto_picture.draw(found, searched, folder / f"{stem}{suffix}")


def dashboard(folder: Path) -> str:
    """The command that shows the study in Optuna's own dashboard."""
    return f"optuna-dashboard sqlite:///{folder / STORE}"


def summary(found: Exploration, folder: Path) -> list[str]:
    """One line for each search, with the best of every objective, and where everything is."""
    lines = []
    for searched in found.searches:
        best = []
        for goal in found.goals:
            values = [point.figures[goal.figure] for point in searched.front]
            if values:
                value = max(values) if goal.maximize else min(values)
                best.append(f"{goal.name} {value:,.4g} {goal.unit}".rstrip())
        text = f"best: {', '.join(best)}" if best else "no point keeps the limits"
        lines.append(
            f"{searched.label}: {searched.estimated} points, {len(searched.front)} on the Pareto front; {text}"
        )
    lines.append(
        f"-> {folder / web.PAGE_NAME}; exploration.md, exploration.json, points.csv, front*.svg, front*.png, and an "
        f"accelerator file for every point of the front in {folder / points.FOLDER}"
    )
    lines.append(f"The study in the Optuna dashboard (pip install optuna-dashboard): {dashboard(folder)}")
    return lines
