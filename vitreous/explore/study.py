"""Optuna's side of a search: the study in its SQLite file, and the sampler."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vitreous.errors import RunError
from vitreous.explore.objectives import OBJECTIVES
from vitreous.explore.space import Space, Target

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution


STORE = "study.db"
"""The SQLite file of the studies, in the exploration's folder."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One search: a model and a target, with its study."""

    model: str
    target: Target
    study: Study


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Each searched dimension as Optuna's sampler draws it: one value like another."""
    from optuna.distributions import CategoricalDistribution

    return {d.name: CategoricalDistribution(d.values) for d in space.searched}


def sampler(seed: int, trial: int, population: int) -> Any:
    """NSGA-II with the random numbers of one trial."""
    from optuna.samplers import NSGAIISampler

    digest = hashlib.sha256(f"{seed}/{trial}".encode()).digest()
    return NSGAIISampler(population_size=population, seed=int.from_bytes(digest[:4], "little"))


def population_of(points: int) -> int:
    """Individuals of a generation: enough for a front, few enough that there are several generations."""
    return max(8, min(48, points // 6))


def _storage(path: Any) -> Any:
    """The SQLite file ``path``, with a write-ahead log: a commit costs no wait for the disk, a killed process loses
    nothing, and a machine that loses power at most the last points.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy import event

    storage = RDBStorage(f"sqlite:///{path}")

    def prepare(connection: Any, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL").close()
        connection.execute("PRAGMA synchronous=NORMAL").close()

    event.listen(storage.engine, "connect", prepare)
    storage.engine.dispose()  # the connection that made the tables
    return storage


def open_study(
    path: Any, space: Space, model: str, target: Target, *, seed: int, points: int, digest: str, sources: str
) -> Study:
    """The study of one search in the SQLite file ``path``, made when it is missing.

    Raises RunError when the file has one of another space or seed, or of other sources: figures of two do not compare.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name=f"{model} · {target.label}",
        storage=_storage(path),
        load_if_exists=True,
        directions=["maximize" if OBJECTIVES[o].maximize else "minimize" for o in space.objectives],
    )
    made = study.user_attrs.get("search")
    if made is None:
        made = {"space": digest, "sources": sources, "seed": seed, "population": population_of(points)}
        study.set_user_attr("search", made)
    if made["space"] != digest:
        raise RunError(f"{path} holds an exploration of another space; give another --out")
    if made["sources"] != sources:
        raise RunError(f"{path} was made by another version of Vitreous; give another --out")
    if made["seed"] != seed:
        raise RunError(f"{path} was begun with --seed {made['seed']}; give that, or another --out")
    return study
