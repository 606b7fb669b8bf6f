"""A loaded model as the graph of its shapes: what is too large is refused, or said, before anything is quantized."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitreous.flow.steps import one_thread
from vitreous.spec.config import AcceleratorConfig, load_accelerator, named_accelerators
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


def size_lines(model: LoadedModel, config: AcceleratorConfig, *, named: bool) -> list[str]:
    """What a reader of a graph should know of its size: nothing where the accelerator that was ``named`` holds the
    model, else what is too small; where none was named, which of ours hold it. Raises QuantError as ``quantize`` does.
    """
    from vitreous.compiler import CompileError
    from vitreous.compiler.pipeline import planned

    graph = shapes(model, config)
    if named:
        try:
            planned(graph, config)
        except CompileError as error:
            return [f"  ! {error}"]
        return []
    holders = [name for name in named_accelerators() if _holds(load_accelerator(name), graph)]
    if not holders:
        fit = f"`vitreous fit {model.name} --out mine.toml` writes an accelerator that holds it"
        return [f"  ! none of the named accelerators holds {model.name}: {fit}"]
    return [f"  held by {', '.join(holders)} (of the named accelerators)"]


def _holds(config: AcceleratorConfig, graph: Graph) -> bool:
    """Whether a program for ``graph`` exists; planned with two of the layers that are alike."""
    from vitreous.compiler import CompileError
    from vitreous.compiler.accesses import memory_words
    from vitreous.compiler.needs import shortages
    from vitreous.compiler.planning import requirements, task

    try:
        work = task(graph, config)
        return not shortages(requirements(work)) and work.fits(memory_words(config))
    except CompileError:
        return False
