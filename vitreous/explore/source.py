"""A model with its data, as any process can load them again, and what they held when the exploration began."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vitreous import models
from vitreous.errors import RunError
from vitreous.explore.options import Options
from vitreous.flow import steps

if TYPE_CHECKING:
    from vitreous.models import LoadedModel


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a model and its images come from.

    digest : of everything that a graph and its accuracy follow from; part of every key under which they are kept.
    held : of weights and images alone, which another machine must find equal: its float logits may differ in a bit.
    """

    name: str
    checkpoint: str | None
    calibration: str | None
    test: str | None
    digest: str = ""
    held: str = ""

    def load(self) -> LoadedModel:
        return models.load(
            self.name, checkpoint=self.checkpoint, calibration=self.calibration, test=self.test
        )


def source_of(name: str, options: Options) -> tuple[Source, LoadedModel]:
    """The model ``name`` with the data of ``options``, loaded and checked. Raises ModelError."""
    where = Source(
        name=name,
        checkpoint=_place(options.checkpoint),
        calibration=_place(options.calibration),
        test=_place(options.test),
    )
    model = where.load()
    known = replace(where, digest=steps.model_digest(model), held=steps.held_digest(model))
    return known, model


@lru_cache(maxsize=2)
def loaded(source: Source) -> LoadedModel:
    """The model in this process. Raises RunError where its weights or images are not those of the beginning."""
    model = source.load()
    if steps.held_digest(model) != source.held:
        raise RunError(
            f"{source.name} or its images are not what they were when the exploration began; a file was changed, or "
            "this worker has another one"
        )
    return model


def _place(text: str | Path | None) -> str | None:
    """Files by their whole path, for processes that run elsewhere; ``package.module:name`` as it is."""
    if text is None:
        return None
    path = Path(text)
    return str(path.absolute()) if path.exists() or ":" not in str(text) else str(text)
