"""Counting equal and different values: what the simulated machine stored, against golden."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vitreous.errors import RunError
from vitreous.flow.steps import one_thread
from vitreous.reports.record.record import AccuracyRecord, Check, ImagesRecord, TensorCheck
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.graph import Graph
from vitreous.spec.program import Placement, Program

if TYPE_CHECKING:
    from vitreous.models import LoadedModel

NO_LABELS = "the test images have no labels"


class Tally:
    """Counts for one check, tensor by tensor, over any number of images."""

    def __init__(self, name: str, reference: str, unit: str) -> None:
        self._name, self._reference, self._unit = name, reference, unit
        self._images = 0
        self._layers: dict[str, str] = {}
        self._compared: dict[str, int] = {}
        self._different: dict[str, int] = {}

    def count(self, tensor: str, layer: str, found: np.ndarray, expected: np.ndarray) -> None:
        """Add one comparison. Raises RunError when the shapes differ: then nothing can be compared."""
        if found.shape != expected.shape:
            raise RunError(f"{tensor} was stored as {found.shape}, golden computes {expected.shape}")
        self._layers.setdefault(tensor, layer)
        self._compared[tensor] = self._compared.get(tensor, 0) + found.size
        self._different[tensor] = self._different.get(tensor, 0) + int(np.count_nonzero(found != expected))

    def image_done(self) -> None:
        self._images += 1

    def check(self) -> Check:
        return Check(
            name=self._name,
            reference=self._reference,
            unit=self._unit,
            images=self._images,
            tensors=tuple(
                TensorCheck(tensor=t, layer=self._layers[t], compared=n, different=self._different[t])
                for t, n in self._compared.items()
            ),
        )


def expected_part(placement: Placement, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """The part of a graph's tensor that ``placement`` stores, as [rows, columns]."""
    if placement.tensor not in values:
        raise RunError(f"The program stores {placement.tensor!r}, which the graph does not compute")
    whole = values[placement.tensor]
    return whole.reshape(-1, whole.shape[-1])[placement.area]


def compare_tensors(
    tally: Tally,
    program: Program,
    config: AcceleratorConfig,
    window: np.ndarray,
    values: Mapping[str, np.ndarray],
) -> None:
    """Every tensor that ``program`` left in ``window`` (uint8), against the integer graph's ``values``."""
    lanes, depth = config.array.lanes, config.array.depth
    for placement in program.placements:
        found = placement.read(window, lanes, depth)
        tally.count(placement.tensor, placement.layer, found, expected_part(placement, values))
    tally.image_done()


def compare(
    graph: Graph | None,
    config: AcceleratorConfig,
    inputs: Sequence[np.ndarray],
    stored: Sequence[tuple[Program, Sequence[np.ndarray]]],
    *,
    machine: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Check, ...]:
    """What the simulated machine stored, against golden: a check for each program, and one of whole write windows.

    graph : every stored tensor is compared with the interpreter's; None: none is.
    inputs : int8 [n, C, H, W]. stored : programs, each with the uint8 write windows of the first images; one program
    may have fewer than another.
    machine : compare every byte with the functional machine's too; an observed program's only where there is no graph.
    progress : called with (images done, all).
    """
    from vitreous.golden import interpreter
    from vitreous.golden.machine import Machine

    names = {False: "outputs", True: "intermediates"}
    tallies = [Tally(names[program.observed], "golden.interpreter", "value") for program, _ in stored]
    whole = Tally("write window", "golden.machine", "byte")
    with one_thread():
        for index, image in enumerate(inputs):
            present = [
                (program, windows[index], tally)
                for (program, windows), tally in zip(stored, tallies, strict=True)
                if index < len(windows)
            ]
            if graph is not None:
                values = interpreter.run(graph, image, keep=any(p.observed for p, _, _ in present))
                for program, window, tally in present:
                    compare_tensors(tally, program, config, window, values)
            for program, window, _ in present if machine else ():
                if graph is None or not program.observed:
                    expected = Machine(config).run(program, image).window
                    whole.count(program.output_tensor, "", window, expected)
                    whole.image_done()
            if progress:
                progress(index + 1, len(inputs))
    checks = [*(tallies if graph is not None else ()), *([whole] if machine else ())]
    return tuple(tally.check() for tally in checks)


def accuracy(
    float_logits: np.ndarray, integer_logits: np.ndarray, labels: np.ndarray | None, model: LoadedModel
) -> AccuracyRecord:
    """Counts from logits [n, classes]; ``labels`` [n] or None. ``model`` says whose images these are."""
    by_float, by_integer = float_logits.argmax(1), integer_logits.argmax(1)
    return AccuracyRecord(
        images=len(by_float),
        correct_float=None if labels is None else int((by_float == labels).sum()),
        correct_int=None if labels is None else int((by_integer == labels).sum()),
        agree=int((by_float == by_integer).sum()),
        reason="" if labels is not None else NO_LABELS,
        test=ImagesRecord(origin=model.test_origin, source=model.test_source),
        calibration=ImagesRecord(origin=model.calibration_origin, source=model.calibration_source),
    )


def differing(checks: Sequence[Check]) -> list[str]:
    """For each tensor that differs anywhere, a part of a sentence; empty when all are equal."""
    return [
        f"{t.tensor} ({t.different} of {t.compared} {check.unit}s, {check.name})"
        for check in checks
        for t in check.tensors
        if t.different
    ]
