"""Vitreous: co-design of transformer accelerators, from a PyTorch model to simulated RTL.

The names below are loaded when they are first used: ``import vitreous`` brings neither torch nor Amaranth.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vitreous.version import VERSION as __version__

if TYPE_CHECKING:
    from vitreous.compiler import compile
    from vitreous.fitting.fit import Fit, fit
    from vitreous.flow.accelerator import load_accelerator
    from vitreous.flow.options import Options
    from vitreous.flow.run import quantize, run
    from vitreous.models import LoadedModel
    from vitreous.models import load as load_model
    from vitreous.quant import QuantScheme
    from vitreous.reports import Report
    from vitreous.sim.run.runtime import simulate
    from vitreous.spec.config import AcceleratorConfig
    from vitreous.spec.errors import VitreousError
    from vitreous.spec.graph import Graph
    from vitreous.spec.program import Program

__all__ = [
    "AcceleratorConfig",
    "Fit",
    "Graph",
    "LoadedModel",
    "Options",
    "Program",
    "QuantScheme",
    "Report",
    "VitreousError",
    "__version__",
    "compile",
    "fit",
    "load_accelerator",
    "load_model",
    "quantize",
    "run",
    "simulate",
]

_HOMES = {
    "AcceleratorConfig": ("vitreous.spec.config", "AcceleratorConfig"),
    "Fit": ("vitreous.fitting.fit", "Fit"),
    "Graph": ("vitreous.spec.graph", "Graph"),
    "LoadedModel": ("vitreous.models", "LoadedModel"),
    "Options": ("vitreous.flow.options", "Options"),
    "Program": ("vitreous.spec.program", "Program"),
    "QuantScheme": ("vitreous.quant", "QuantScheme"),
    "Report": ("vitreous.reports", "Report"),
    "VitreousError": ("vitreous.spec.errors", "VitreousError"),
    "compile": ("vitreous.compiler", "compile"),
    "fit": ("vitreous.fitting.fit", "fit"),
    "load_accelerator": ("vitreous.flow.accelerator", "load_accelerator"),
    "load_model": ("vitreous.models", "load"),
    "quantize": ("vitreous.flow.run", "quantize"),
    "run": ("vitreous.flow.run", "run"),
    "simulate": ("vitreous.sim.run.runtime", "simulate"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vitreous' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
