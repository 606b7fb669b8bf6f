"""A loaded model as the graph of its shapes, and the refusal of one that is too large before anything is quantized."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitreous.flow.steps import one_thread
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.graph import Graph

if TYPE_CHECKING:
    from vitreous.models import LoadedModel


def shapes(model: LoadedModel, config: AcceleratorConfig) -> Graph:
    """``quant.structure`` of the model with the number formats of ``config``. Raises QuantError."""
    from vitreous.quant import structure

    with one_thread():
        return structure(
            model.module if model.exported is None else model.exported,
            model.input_shape,
            name=model.name,
            softmax=config.softmax,
            activation=config.activation,
            norm=config.norm,
        )


def refuse_too_large(model: LoadedModel, config: AcceleratorConfig) -> None:
    """Raises DoesNotFitError, with everything that is too small, where ``config`` cannot hold the model."""
    from vitreous.compiler.pipeline import planned

    planned(shapes(model, config), config)
