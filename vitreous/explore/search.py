"""One search: NSGA-II asked for points and told their figures, with the study in SQLite.

Results are told in the order in which points were asked for, a fixed number is in progress at any time, and the
sampler's random numbers are seeded by trial. So the points do not depend on how many workers there are, nor on whether
the run was interrupted: points that were in progress are computed again and the search continues as if uninterrupted.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vitreous.explore import objectives
from vitreous.explore.evaluation import Cycles, Quantized, Refused
from vitreous.explore.fields import Design, Value, design
from vitreous.explore.limits import AREA
from vitreous.explore.space import Space, Target
from vitreous.explore.study import distributions, sampler
from vitreous.reports.errors import ReportError
from vitreous.spec.config import ConfigError

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

UNDER_WAY = 8
"""Points that are asked for before the first of them is told. More would feed more workers and learn later."""
DUPLICATES = 4
"""After this many repeated points in a row, the next one is drawn from those not seen yet."""
DRAWS = 256
LARGEST_LISTED = 1 << 18
"""Combinations that are gone through one by one when random draws find nothing new."""
ATTEMPTS = 20
"""Infeasible points, for each one that is wanted, before a search ends."""

Evaluate = Callable[[Design], "Evaluation"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A design's graph and cycles, in progress; ``evaluation.quantized`` and ``evaluation.predicted`` give them."""

    quantized: Callable[[], Quantized | Refused]
    cycles: Callable[[], Cycles | Refused]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What a search has: points with figures, of them within the limits, and infeasible combinations."""

    points: int
    feasible: int
    refused: int


class Search:
    """The search of one model for one target."""

    def __init__(
        self,
        study: Study,
        space: Space,
        target: Target,
        *,
        seed: int,
        evaluate: Evaluate,
        width: int = UNDER_WAY,
    ) -> None:
        self._study, self._space, self._target, self._seed = study, space, target, seed
        self._evaluate, self._width = evaluate, width
        self._population = int(study.user_attrs["search"]["population"])
        self._distributions = distributions(space)
        self._under_way: deque[tuple[int, Design, Evaluation]] = deque()
        self._seen: set[str] = set()
        self._trials = self._points = self._feasible = self._refused = self._duplicates = 0
        self._exhausted = False
        self._listed: Iterator[dict[str, Value]] | None = None

    def run(self, points: int, progress: Callable[[Tally], None] | None = None) -> Tally:
        """Continue until there are ``points`` points, or no new ones can be found."""
        self._resume()
        while True:
            while len(self._under_way) < self._width and self._wanted(points):
                self._ask()
            if progress:
                progress(self.tally)
            if not self._under_way:
                return self.tally
            # It leaves the queue only when it is told: what an interruption finds here is RUNNING in the study.
            self._tell(*self._under_way[0])
            self._under_way.popleft()

    @property
    def tally(self) -> Tally:
        return Tally(points=self._points, feasible=self._feasible, refused=self._refused)

    def _wanted(self, points: int) -> bool:
        tried = self._refused < ATTEMPTS * points
        return self._points + len(self._under_way) < points and tried and not self._exhausted

    def _resume(self) -> None:
        """Take over what an earlier process left: told points count, those in progress are computed again."""
        from optuna.trial import TrialState

        for trial in self._study.get_trials(deepcopy=False):
            if trial.state is TrialState.WAITING:
                continue
            self._trials += 1
            if trial.state is TrialState.RUNNING and set(trial.params) != set(self._distributions):
                self._fail(trial.number, "interrupted", "interrupted before it was complete")
            elif trial.state is TrialState.RUNNING:
                self._start(trial.number, trial.params)
            else:
                self._count(trial)

    def _count(self, trial: FrozenTrial) -> None:
        from optuna.trial import TrialState

        if "interrupted" in trial.user_attrs:
            return
        self._duplicates = self._duplicates + 1 if "duplicate" in trial.user_attrs else 0
        if self._duplicates:
            return
        settings = {**self._space.fixed, **trial.params}
        try:
            self._seen.add(design(self._space.base, settings).key)
        except ConfigError:
            self._seen.add(_plain_key(settings))
        if trial.state is TrialState.COMPLETE:
            self._points += 1
            self._feasible += not trial.user_attrs["point"]["refusal"]
        else:
            self._refused += 1

    def _ask(self) -> None:
        if self._duplicates >= DUPLICATES:
            fresh = self._fresh()
            if fresh is None:
                self._exhausted = True
                return
            self._study.enqueue_trial(fresh, skip_if_exists=True)
        self._study.sampler = sampler(self._seed, self._trials, self._population)
        trial = self._study.ask(self._distributions)
        self._trials += 1
        self._start(trial.number, trial.params)

    def _start(self, number: int, params: dict[str, Any]) -> None:
        """Begin a point, unless it is known already or can be refused at once."""
        settings = {**self._space.fixed, **params}
        refusal, made = "", None
        try:
            made = design(self._space.base, settings)
            key = made.key
        except ConfigError as error:
            refusal, key = str(error), _plain_key(settings)
        if key in self._seen:
            self._duplicates += 1
            self._fail(number, "duplicate", "the same as an earlier point")
            return
        self._seen.add(key)
        self._duplicates = 0
        if made is not None and not refusal:
            refusal = self._too_large(made)
        if made is None or refusal:
            self._refuse(number, refusal)
            return
        self._under_way.append((number, made, self._evaluate(made)))

    def _too_large(self, made: Design) -> str:
        """Why a design's area alone rules it out; empty when it does not."""
        try:
            figures = objectives.area_figures(made.config, self._target.area)
        except ReportError as error:
            return str(error)
        return self._space.limits.refusal(figures, AREA)

    def _tell(self, number: int, made: Design, evaluation: Evaluation) -> None:
        model, cycles = evaluation.quantized(), evaluation.cycles()
        if isinstance(model, Refused) or isinstance(cycles, Refused):
            reason = model.reason if isinstance(model, Refused) else cycles.reason  # type: ignore[union-attr]
            self._refuse(number, reason)
            return
        figures = {
            **objectives.cost_figures(made.config, self._target, cycles),
            **objectives.area_figures(made.config, self._target.area),
            **objectives.accuracy_figures(model.accuracy),
        }
        trial = self._trial(number)
        refusal = self._space.limits.refusal(figures)
        excesses = self._space.limits.excesses(figures).values()
        if excesses and not trial.constraints:
            trial.set_constraint("limits", max(excesses))
        trial.set_user_attr(
            "point", {"figures": figures, "refusal": refusal, "accuracy": asdict(model.accuracy)}
        )
        wanted = [objectives.OBJECTIVES[name].figure for name in self._space.objectives]
        self._study.tell(number, [figures[figure] for figure in wanted])
        self._points += 1
        self._feasible += not refusal

    def _refuse(self, number: int, reason: str) -> None:
        self._fail(number, "refused", reason)
        self._refused += 1

    def _fail(self, number: int, kind: str, reason: str) -> None:
        from optuna.trial import TrialState

        self._trial(number).set_user_attr(kind, reason)
        self._study.tell(number, state=TrialState.FAIL)

    def _trial(self, number: int) -> Trial:
        from optuna.trial import Trial

        storage = self._study._storage
        return Trial(
            self._study, storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
        )

    def _fresh(self) -> dict[str, Value] | None:
        """A combination that was never asked for, at random; None when there is none."""
        searched = self._space.searched
        draw = random.Random(f"{self._seed}/{self._trials}")
        for _ in range(DRAWS):
            params = {d.name: draw.choice(d.values) for d in searched}
            if self._is_new(params):
                return params
        if self._space.size > LARGEST_LISTED:
            return None
        if self._listed is None:
            combinations = itertools.product(*(d.values for d in searched))
            self._listed = (dict(zip((d.name for d in searched), c, strict=True)) for c in combinations)
        return next((params for params in self._listed if self._is_new(params)), None)

    def _is_new(self, params: dict[str, Value]) -> bool:
        settings = {**self._space.fixed, **params}
        try:
            return design(self._space.base, settings).key not in self._seen
        except ConfigError:
            return _plain_key(settings) not in self._seen


def _plain_key(settings: dict[str, Any]) -> str:
    """Of a combination that is not a valid configuration."""
    return repr(sorted(settings.items()))
