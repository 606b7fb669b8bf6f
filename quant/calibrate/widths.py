"""8 or 16 bits for each attention's probabilities, by what 16 bits gain for the network's output.

8 bits are one pass over the values, 16 bits are two, so 16 are the exception. The integer graph runs on a few
calibration images with 8 bits in every attention, and with 16 in every one; their outputs are compared with the float
network's. A *gain* (``Gain``) is the part of an image's squared error that a change takes away, the geometric mean over
the images: a few images make most of the error, and a mean of errors would listen to them alone. It counts from
``search.GAIN`` on, what every choice of a range must gain, and only if its 95 % interval over the images lies above 0:
the squared error of an output changes with any rounding, by half of itself and for no reason
(docs/decisions/004-width-of-probabilities.md). Both runs are all where 16 bits everywhere gain too little. Else

1. each attention is tried alone with 16 bits, and all are ranked by the lower ends of their intervals;
2. in this order they get 16 bits, as long as the next one's gain over those before it counts, and that of 16 bits
   everywhere too. A gain to which no attention contributes enough gives none 16 bits.

Runs of ``n`` attentions: two, or ``2 n`` at most, one image at a time. A run takes fewer images where a network is
large (``_RUN``), and where so many runs would still be too long (``_SEARCH``) attentions that follow each other are
tried together.
What single probabilities lose (``precision``) decides nothing and is measured beside the first run, on fewer images yet
where rows are long (``_COMPARED``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import torch
from torch import Tensor

from vitreous.golden.interpreter import run_batch
from vitreous.quant.calibrate.forward import Forward
from vitreous.quant.calibrate.precision import measure
from vitreous.quant.calibrate.search import GAIN
from vitreous.quant.importer import float_ir as ir
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.graph import Graph, Op
from vitreous.spec.graph.widths import WidthReason
from vitreous.spec.images import quantize_images, real_values

IMAGES = 8
"""Calibration images that are looked at, at most, spread over all of them."""
_LEAST_IMAGES = 4
"""Of a run: an interval over fewer says nothing."""
_RUN = 1e11
"""Multiply-accumulates of one run over all images: some ten seconds on a core."""
_SEARCH = 1e12
"""Multiply-accumulates of all runs for single attentions: two minutes on a core, and twice that where rows are long."""

_COMPARED = 5e7
"""Probabilities of all images whose local errors are measured, at most but for one image: half a minute on a core."""

_STUDENT = (math.inf, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365)
"""Standard errors on each side in a 95 % interval of Student's distribution, by the number of images, from 1."""

_NOTHING, _LEAST = 2.0**-50, 1e-30
"""What every squared error is above 0, of the mean squared output and in itself: an exact output has a logarithm."""
_LARGEST = 20.0
"""Logarithm of a factor between two errors; an interval that begins beyond it says nothing anyway."""

Make = Callable[[Mapping[str, int]], Graph]
"""The integer graph with probability bits by the name of the attention."""
Report = Callable[[int, int], None]


def chosen_images(count: int, macs: int) -> list[int]:
    """Which of ``count`` calibration images to look at, evenly spread: at most ``IMAGES``, fewer where one image takes
    so many multiply-accumulates that a run would be long."""
    most = max(_LEAST_IMAGES, min(IMAGES, int(_RUN / max(macs, 1))))
    return sorted({index * count // most for index in range(most)})


def compared_images(graph: Graph) -> int:
    """On how many images every probability is compared: fewer where rows are so long that this would take long."""
    outputs = (node.outputs[0] for node in graph if node.op is Op.SOFTMAX)
    return max(1, int(_COMPARED / max(1, sum(math.prod(graph.tensors[name].shape) for name in outputs))))


@dataclass(frozen=True, kw_only=True)
class Gain:
    """The part of the squared error of an output that a change takes away: geometric mean over images, and its 95 %
    interval; None for a single image."""

    part: float
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, before: Tensor, after: Tensor) -> Gain:
        """``before`` and ``after``: squared errors of the images, ``[n]``, all positive."""
        logarithms = (after / before).log()
        count, mean = len(logarithms), float(logarithms.mean())
        if count == 1:
            return cls(part=-math.expm1(mean), interval=None)
        reach = _STUDENT[count - 1] * float(logarithms.std()) / math.sqrt(count)
        return cls(part=-math.expm1(mean), interval=(-_growth(mean + reach), -_growth(mean - reach)))

    @property
    def low(self) -> float:
        """Where the interval begins."""
        return -math.inf if self.interval is None else self.interval[0]

    @property
    def counts(self) -> bool:
        """Whether it is large enough, and no accident."""
        return self.part >= GAIN and self.low > 0

    def as_dict(self) -> dict[str, Any]:
        """For a graph's notes."""
        ends = None if self.interval is None else [_digits(end) for end in self.interval]
        return {"part": _digits(self.part), "interval": ends}


def _growth(logarithm: float) -> float:
    """The change that a logarithm of a factor stands for; at most that of ``_LARGEST``."""
    return math.expm1(min(logarithm, _LARGEST))


class Trials:
    """Errors of the output with 16 bits in some attentions of ``names`` and 8 in the others; each is run once.

    make : gives the graphs. images : ``[n, C, H, W]``. network : the float network's outputs for them, ``[n, values]``.
    """

    def __init__(self, make: Make, names: Sequence[str], images: Tensor, network: Tensor) -> None:
        self.names = tuple(names)
        self._make, self._images, self._network = make, images, network
        self._known: dict[frozenset[str], Tensor] = {}

    def know(self, wide: Collection[str], outputs: Tensor) -> None:
        """``outputs [k, values]``, real numbers, are what a graph with ``wide`` gives for the first images; the others
        are run."""
        if left := self.count - len(outputs):
            outputs = torch.cat([outputs, self._run(wide, self._images[-left:])])
        squares = (outputs - self._network).square().sum(1)
        self._known[frozenset(wide)] = squares + _NOTHING * self._network.square().sum(1).mean() + _LEAST

    def widths(self, wide: Collection[str]) -> dict[str, int]:
        """Bits of every attention."""
        return {name: 16 if name in wide else 8 for name in self.names}

    @property
    def count(self) -> int:
        """Images."""
        return len(self._images)

    def known_error(self, wide: Collection[str]) -> float | None:
        """Relative error of the output over all images, to four digits; None where ``wide`` was not run."""
        squares, size = self._known.get(frozenset(wide)), float(self._network.square().sum())
        return None if squares is None else _digits(math.sqrt(float(squares.sum()) / max(size, _LEAST)))

    def gain(self, wide: Collection[str], wider: Collection[str]) -> Gain:
        """What ``wider`` takes away from the squared error of ``wide``."""
        return Gain.of(self._squares(wide), self._squares(wider))

    def together(self, macs: int) -> list[tuple[str, ...]]:
        """What is tried as one: each attention alone, or some that follow each other where ``macs`` of an image are so
        many that this would be too long."""
        affordable = max(1, int(_SEARCH / (2 * self.count * max(macs, 1))))
        size = math.ceil(len(self.names) / affordable)
        return [self.names[start : start + size] for start in range(0, len(self.names), size)]

    def _squares(self, wide: Collection[str]) -> Tensor:
        """Squared error of every image's output, ``[n]``, each a little above 0."""
        if (key := frozenset(wide)) not in self._known:
            self.know(wide, self._network[:0])
        return self._known[key]

    def _run(self, wide: Collection[str], images: Tensor) -> Tensor:
        """Outputs of the integer graph, real numbers ``[n, values]``."""
        graph = self._make(self.widths(wide))
        outputs = run_batch(graph, quantize_images(graph, images.numpy()), batch=1)
        return torch.from_numpy(real_values(graph.output, outputs.reshape(len(outputs), -1)))


def wide(
    trials: Trials, macs: int, report: Report | None = None
) -> tuple[list[str], dict[tuple[str, ...], Gain]]:
    """The attentions that get 16 bits, and what each of those that were tried together gain over 8 bits everywhere.

    macs : multiply-accumulates of one image. report : gets how many of the attentions were tried.
    """
    names = trials.names
    if not trials.gain((), names).counts:
        return [], {}
    alone: dict[tuple[str, ...], Gain] = {}
    for some in (parts := trials.together(macs)):
        alone[some] = trials.gain((), some)
        if report is not None:
            report(len(alone), len(parts))
    taken: list[str] = []
    for some in sorted(parts, key=lambda some: -alone[some].low):
        if not (trials.gain(taken, names).counts and trials.gain(taken, [*taken, *some]).counts):
            break
        taken += some
    return taken, alone


def choose(
    make: Make,
    exact: ir.Encoder,
    calibration: Tensor,
    softmax: SoftmaxConfig,
    given: int | None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Graph, dict[str, Any]]:
    """The graph with the widths that were chosen, and what a graph's notes say of them.

    exact : the float network. calibration : images ``[n, C, H, W]``. given : bits that the user wants in every
    attention, None for those that the output needs.
    """

    def of(stage: str) -> Report:
        return lambda done, total: None if progress is None else progress(stage, done, total)

    names = [exact.name(part) for part in exact.each(ir.Attention)]
    graph = make(dict.fromkeys(names, given or 8))
    reason = _reason(given, softmax)
    images = calibration[chosen_images(len(calibration), graph.macs)].detach()
    compared = images[: compared_images(graph)]
    local = measure(graph, softmax, exact, compared, of("attention"))
    judged = images if reason is WidthReason.MEASURED else compared
    forward = Forward(exact)
    others = [forward(image).double() for image in judged[len(compared) :].split(1)]
    trials = Trials(make, names, judged, torch.cat([local.network, *others]))
    trials.know(names if given == 16 else (), local.graph)
    match reason:
        case WidthReason.MEASURED:
            taken, alone = wide(trials, graph.macs, of("attention by attention"))
            graph = make(trials.widths(taken)) if taken else graph
        case WidthReason.GIVEN | WidthReason.ONLY:
            taken, alone = names if given == 16 else [], {}
        case _:
            assert_never(reason)
    gains = {name: (some, gain) for some, gain in alone.items() for name in some}
    layers = []
    for part in local.attentions:
        some, gain = gains.get(part.name, ((), None))
        noted = None if gain is None else {**gain.as_dict(), "attentions": list(some)}
        layers.append({**part.as_dict(), "probability_bits": trials.widths(taken)[part.name], "gain": noted})
    return graph, {"reason": str(reason), "margin": GAIN, **_notes(trials, taken), "layers": layers}


def _notes(trials: Trials, taken: Collection[str]) -> dict[str, Any]:
    """How far the output is from the float network's, and what 16 bits everywhere gain; None where that was not run."""
    everywhere = {"8": trials.known_error(()), "16": trials.known_error(trials.names)}
    gain = trials.gain((), trials.names) if None not in everywhere.values() else None
    return {
        "images": trials.count,
        "errors": {**everywhere, "chosen": trials.known_error(taken)},
        "gain": None if gain is None else {**gain.as_dict(), "attentions": list(trials.names)},
    }


def _reason(given: int | None, softmax: SoftmaxConfig) -> WidthReason:
    if given is not None:
        return WidthReason.GIVEN
    return WidthReason.ONLY if softmax.probability_bits == 8 else WidthReason.MEASURED


def _digits(value: float) -> float:
    return float(f"{value:.4g}") + 0.0  # of no gain 0, not -0
