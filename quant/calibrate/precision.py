"""What probabilities of 8 and of 16 bits lose in each attention: information for the report, which decides nothing.

The integer graph runs on calibration images; for every attention the probabilities of both widths, as the accelerator's
softmax gives them for the graph's own integer scores, are compared twice. ``error`` is against the float network's
probabilities for the same image: it holds what q, k and all before them have lost. ``rounding`` is against the float64
softmax of the accumulators, that is of the scores before they were rounded or cut off: what softmax alone adds, and all
that the width can change. What the network's output gains from a width is another question: ``widths``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from vitreous.golden.interpreter import watch
from vitreous.golden.softmax.blocks import octaves_below
from vitreous.golden.softmax.softmax import softmax
from vitreous.quant.calibrate.forward import Forward, Live
from vitreous.quant.importer import float_ir as ir
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.graph import Graph, Node, Op
from vitreous.spec.images import quantize_images, real_values
from vitreous.spec.softmax import limits


@dataclass(kw_only=True)
class Tally:
    """Errors of the probabilities of one width, over any number of rows.

    error : the largest of a probability, against the float network. rounding : against the softmax of the graph's own
    scores. worst : the largest ``|1 - sum|``. mass : its root mean square.
    """

    error: float = 0.0
    rounding: float = 0.0
    worst: float = 0.0
    rows: int = 0
    squares: float = 0.0

    @property
    def mass(self) -> float:
        return math.sqrt(self.squares / self.rows) if self.rows else 0.0

    def add(self, found: Tensor, own: Tensor, network: Tensor) -> None:
        """``[..., rows, keys]``: probabilities, the exact ones of the graph's ``own`` scores, the ``network``'s."""
        lost = 1 - found.sum(-1)
        self.error = max(self.error, float((found - network).abs().max()))
        self.rounding = max(self.rounding, float((found - own).abs().max()))
        self.worst = max(self.worst, float(lost.abs().max()))
        self.rows += lost.numel()
        self.squares += float(lost.square().sum())

    def as_dict(self) -> dict[str, float]:
        """For a graph's notes, to four digits."""
        values = {
            "error": self.error,
            "rounding": self.rounding,
            "mass": self.mass,
            "worst": self.worst,
        }
        return {name: float(f"{value:.4g}") for name, value in values.items()}


@dataclass(kw_only=True)
class Measured:
    """One attention: its name and layer, its rows' length, and the tallies by width."""

    name: str
    layer: str
    keys: int
    tallies: dict[int, Tally] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For a graph's notes."""
        figures = {str(width): tally.as_dict() for width, tally in sorted(self.tallies.items())}
        return {"name": self.name, "layer": self.layer, "keys": self.keys, "measured": figures}


@dataclass(frozen=True, kw_only=True, eq=False)
class Local:
    """What each attention's widths lose, in order, and the outputs ``[n, values]`` of the run that showed it: of the
    integer ``graph``, as real numbers, and of the float ``network``; float64."""

    attentions: list[Measured]
    graph: Tensor
    network: Tensor


def real_probabilities(t: Tensor, config: SoftmaxConfig, *, key_block: int) -> Tensor:
    """What the accelerator multiplies values with, as real numbers: scores ``[..., keys]`` to float64.

    A probability times its row's multiplier and shift, in units of ``m_o / 2**s_o``; 256 of 16 bits are one of 8, and
    those of a block of ``key_block`` keys count by its maximum, whose shift also rounds its context: that is left out.
    """
    multiplier, shift = 1 << 14, 20
    p, m, s, maxima = softmax(t, config, multiplier, shift, key_block=key_block)
    unit = multiplier / 2.0**shift / limits(config).row_factor
    row = m.double() * torch.pow(2.0, -s.double()) / unit
    found = p.double() / (256 if config.probability_bits == 16 else 1) * row[..., None]
    if maxima.shape[-1] > 1:
        found *= torch.pow(2.0, -octaves_below(maxima, t.shape[-1], key_block).double())
    return found


class Network:
    """The float network on one image ``[1, C, H, W]``: attention by attention in their order, then its output.

    It runs no further than it is asked, so that one layer's scores are in memory, not all of them.
    """

    def __init__(self, forward: Forward, image: Tensor) -> None:
        self._forward, self._image = forward, image
        self._live: Live = {}
        self._at = 0

    def probabilities(self, name: str) -> Tensor:
        """Of the attention ``name``, which comes after those asked for before: float64 ``[heads, rows, keys]``."""
        encoder = self._forward.encoder
        found: dict[str, Tensor] = {}

        def keep(source: ir.Attention, scores: Tensor) -> None:
            found.clear()
            found[encoder.name(source)] = scores[0]

        while name not in found:
            value = self._forward.step(self._live, self._at, self._image, keep)
            self._live[encoder.sources[self._at].serial] = value
            self._at += 1
        return torch.softmax(found[name].double() * math.log(2), -1)

    def output(self) -> Tensor:
        """After all probabilities that are asked for: float64 ``[values]``."""
        return self._forward.rest(self._live, self._at, self._image)[0].double()


def measure(
    graph: Graph,
    config: SoftmaxConfig,
    encoder: ir.Encoder,
    images: Tensor,
    progress: Callable[[int, int], None] | None = None,
) -> Local:
    """Every softmax of ``graph`` on ``images [n, C, H, W]``, with each width that ``config`` has.

    encoder : the float network that ``graph`` stands for.
    """
    widths = [bits for bits in (8, 16) if bits <= config.probability_bits]
    nodes = [node for node in graph if node.op is Op.SOFTMAX]
    found = [_empty(graph, node, widths) for node in nodes]
    by_scores: dict[str, list[Measured]] = {}
    for node, measured in zip(nodes, found, strict=True):
        by_scores.setdefault(node.inputs[0], []).append(measured)
    blocks = {node.inputs[0]: node.integer("key_block") for node in nodes}
    before = {graph.producer(name).inputs[0]: graph.producer(name) for name in by_scores}
    forward = Forward(encoder)
    outputs: list[Tensor] = []
    networks: list[Tensor] = []
    for number, image in enumerate(quantize_images(graph, images.numpy())):
        exact: dict[str, Tensor] = {}
        truth = Network(forward, images[number : number + 1])

        def see(name: str, value: Tensor, exact: dict[str, Tensor] = exact, truth: Network = truth) -> None:
            if name in before:
                exact[before[name].outputs[0]] = torch.softmax(_natural(before[name], value, config), -1)
            for measured in by_scores.get(name, ()):
                network = truth.probabilities(measured.name)
                for bits in widths:
                    wanted = replace(config, probability_bits=bits)
                    real = real_probabilities(value, wanted, key_block=blocks[name])
                    measured.tallies[bits].add(real, exact[name], network)
            exact.pop(name, None)
            if name == graph.output.name:
                outputs.append(torch.from_numpy(real_values(graph.output, value.numpy())).flatten())

        watch(graph, image, see)
        networks.append(truth.output())
        if progress is not None:
            progress(number + 1, len(images))
    return Local(attentions=found, graph=torch.stack(outputs), network=torch.stack(networks))


def _natural(requantize: Node, accumulators: Tensor, config: SoftmaxConfig) -> Tensor:
    """Natural logarithms that scores' accumulators stand for, float64, before they are rounded and saturated."""
    factor = float(requantize.constants["multiplier"][0]) / 2.0 ** float(requantize.constants["shift"][0])
    return accumulators.double() * (factor / 2**config.fraction_bits * math.log(2))


def _empty(graph: Graph, node: Node, widths: list[int]) -> Measured:
    return Measured(
        name=node.name.removesuffix(".softmax"),
        layer=node.layer,
        keys=graph.tensors[node.inputs[0]].shape[-1],
        tallies={bits: Tally() for bits in widths},
    )
