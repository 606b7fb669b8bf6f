"""The two tasks that cost time, as functions that any process can run: quantize a model, and predict its cycles.

What a model computes depends on few fields (``Numerics``), so a graph and its accuracy serve every array, memory and
bus. An infeasible design is an answer (``Refused``), not an error.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from vitreous.errors import RunError
from vitreous.explore.fields import AUTO, NUMERIC_PARTS, Design, Value
from vitreous.explore.source import Source, loaded
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.digest import code_digest
from vitreous.spec.graph import Graph

if TYPE_CHECKING:
    from vitreous.quant.calibrate.calibration import Calibrated
    from vitreous.quant.scheme import QuantScheme

ROOMS = ("quant", "golden", "spec", "compiler", "sim", "models")
PERFECT_DB = 200.0
"""Stands for a fidelity without any error."""
_ONE_AT_A_TIME = threading.Lock()
"""torch.export and its captured output belong to the process, a cluster's worker may have several threads."""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Why a design is infeasible."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Over ``images``: correct classes of the integer graph and of the float model (None without labels), equal
    classes of both, and ``10 log10`` of the power of the float logits over that of their error.
    """

    images: int
    correct: int | None
    correct_float: int | None
    agree: int
    fidelity_db: float


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """An integer graph and what was measured on it."""

    graph: Graph
    accuracy: Accuracy


@dataclass(frozen=True, kw_only=True)
class Cycles:
    """Of the cycle model: cycles, counters by name, instructions of the program."""

    cycles: int
    counters: dict[str, int]
    instructions: int


@dataclass(frozen=True, kw_only=True)
class Numerics:
    """Everything that a quantized model depends on. config : only its ``NUMERIC_PARTS`` count."""

    source: Source
    quantization: Mapping[str, Value]
    config: AcceleratorConfig
    accuracy_images: int | None

    @property
    def key(self) -> str:
        parts = {part: dataclasses.asdict(getattr(self.config, part)) for part in NUMERIC_PARTS}
        named = [self.source.digest, self.accuracy_images, dict(self.quantization), parts]
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]


def numerics(design: Design, source: Source, accuracy_images: int | None = None) -> Numerics:
    """The part of a design that changes what the model of ``source`` computes."""
    plain = AcceleratorConfig()
    parts = {part: getattr(design.config, part) for part in NUMERIC_PARTS}
    return Numerics(
        source=source,
        quantization=dict(sorted(design.quantization.items())),
        config=dataclasses.replace(plain, **parts),
        accuracy_images=accuracy_images,
    )


def scheme_of(settings: Mapping[str, Value]) -> QuantScheme:
    """The scheme of a design's quantization, by field; ``calibration_images`` is not of it. Raises QuantError."""
    from vitreous.quant.scheme import QuantScheme

    fields: dict[str, Any] = {k: v for k, v in settings.items() if k != "calibration_images"}
    if fields.get("probability_bits") == AUTO:
        fields["probability_bits"] = None
    return QuantScheme(**fields)


@lru_cache(maxsize=4)
def _calibrated(source: Source, scheme: QuantScheme, count: int) -> Calibrated:
    from vitreous.quant.pipeline import observe

    model = loaded(source)
    return observe(model.quantizable, model.calibration[:count], scheme)


@lru_cache(maxsize=2)
def _float_logits(source: Source, count: int) -> np.ndarray:
    from vitreous.flow import steps

    model = loaded(source)
    return steps.float_logits(dataclasses.replace(model, test_images=model.test_images[:count]))


def require_same(sources: str) -> None:
    """Raises RunError when this process runs another Vitreous than the one that asked."""
    if sources != code_digest(*ROOMS):
        raise RunError("A worker runs another version of Vitreous; install the same one on the whole cluster")


def quantized(what: Numerics, sources: str) -> Quantized | Refused:
    """Quantize and measure. Raises RunError and ModelError for what no design could change."""
    from vitreous.flow import steps
    from vitreous.quant.errors import QuantError

    require_same(sources)
    with _ONE_AT_A_TIME, steps.one_thread():
        try:
            graph = _graph(what)
        except QuantError as error:
            return Refused(reason=str(error))
        return Quantized(graph=graph, accuracy=_accuracy(what, graph))


def _graph(what: Numerics) -> Graph:
    from vitreous.quant.pipeline import quantize

    model, scheme = loaded(what.source), scheme_of(what.quantization)
    available = len(model.calibration)
    count = what.quantization.get("calibration_images", available)
    if not isinstance(count, int) or not 1 <= count <= available:
        raise RunError(f"{model.name} has {available} calibration images; {count} were asked for")
    observed = dataclasses.replace(scheme, probability_bits=None)
    graph = quantize(
        _calibrated(what.source, observed, count),
        model.calibration[:count],
        name=model.name,
        scheme=scheme,
        softmax=what.config.softmax,
        activation=what.config.activation,
        norm=what.config.norm,
        preprocessing={"mean": list(model.mean), "std": list(model.std)},
    )
    return dataclasses.replace(graph, notes={**graph.notes, "source": model.source})


def _accuracy(what: Numerics, graph: Graph) -> Accuracy:
    from vitreous.flow import comparison, steps

    model = loaded(what.source)
    count = min(what.accuracy_images or len(model.test_images), len(model.test_images))
    images, labels = model.test_images[:count], model.test_labels
    exact = _float_logits(what.source, count)
    integer = steps.integer_logits(graph, steps.inputs_of(graph, images.numpy()))
    record = comparison.accuracy(exact, integer, None if labels is None else labels[:count].numpy(), model)
    error = graph.output.scale * (integer - graph.output.zero_point) - exact
    noise, signal = float(np.square(error).sum()), float(np.square(exact).sum())
    return Accuracy(
        images=count,
        correct=record.correct_int,
        correct_float=record.correct_float,
        agree=record.agree or 0,
        fidelity_db=min(10 * math.log10(signal / noise), PERFECT_DB) if noise else PERFECT_DB,
    )


def predicted(
    model: Quantized | Refused, config: AcceleratorConfig, latency: int, throughput: int, sources: str
) -> Cycles | Refused:
    """Compile and predict; a model that does not fit is Refused."""
    from vitreous.compiler import compile as compile_graph
    from vitreous.compiler.errors import CompileError
    from vitreous.sim.cycles import predict
    from vitreous.sim.dram import MemoryTiming

    require_same(sources)
    if isinstance(model, Refused):
        return model
    try:
        program = compile_graph(model.graph, config)
    except CompileError as error:
        return Refused(reason=str(error))
    found = predict(program, config, MemoryTiming(latency=latency, throughput=throughput))
    return Cycles(cycles=found.cycles, counters=found.counters, instructions=len(program.instructions))


def unchanged(model: Quantized) -> Quantized:
    """The task that hands out what was quantized earlier."""
    return model
