"""``python -m benchmarks.widths``: how often 16 bits for probabilities would be chosen, and how often by accident.

The rule of ``quant.calibrate.widths`` and a simpler one, a gain of 10 % on both halves of the images, choose between
two graphs of a network on many sets of calibration images that share none. The graphs differ in how codes of 8 bits are
rounded: *by accident* rows start with another remainder, which is as good; 16 bits against 8; and 16 bits against codes
of fewer bits, which are worse by a known amount. The gain on all images is the truth that the rules do not see.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor

from vitreous.golden.interpreter import run_batch
from vitreous.golden.softmax import softmax as golden
from vitreous.models import load
from vitreous.quant import QuantScheme
from vitreous.quant.calibrate.forward import Forward
from vitreous.quant.calibrate.search import GAIN
from vitreous.quant.calibrate.widths import Gain
from vitreous.quant.pipeline import lower, observe
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.graph import Graph
from vitreous.spec.images import quantize_images, real_values

REMAINDERS = (64, 160, 256, 352, 448)
"""Of a code's unit, 512, with which a row may start; 256 is the machine's."""
SETS = (4, 8)
"""Images that a choice looks at."""


@contextmanager
def rounded(start: int = 256, fewer: int = 0) -> Iterator[None]:
    """Codes of 8 bits in golden have ``fewer`` bits, and a row's remainder starts with ``start`` of 512."""

    def carried(level: Tensor) -> Tensor:
        whole = (level.cumsum(-1) + (start << fewer)) >> (9 + fewer)
        codes = torch.diff(whole, dim=-1, prepend=torch.zeros_like(whole[..., :1]))
        return (codes << fewer).clamp(max=127).to(torch.int8)

    before = golden.carried_probabilities
    golden.carried_probabilities = carried
    try:
        yield
    finally:
        golden.carried_probabilities = before


@dataclass(frozen=True)
class Pair:
    """Squared errors ``[n]`` of the images' outputs with one graph and with another."""

    before: Tensor
    after: Tensor

    @property
    def truth(self) -> float:
        return 1 - float(self.after.sum() / self.before.sum())

    def sets(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield from zip(self.before.split(size), self.after.split(size), strict=True)


def by_halves(before: Tensor, after: Tensor) -> bool:
    """The rule that is not taken: the squared error of both halves is lower by ``GAIN``."""
    return all(float(after[n::2].sum()) <= (1 - GAIN) * float(before[n::2].sum()) for n in (0, 1))


def by_interval(before: Tensor, after: Tensor) -> bool:
    """The rule of ``quant.calibrate.widths``."""
    return Gain.of(before, after).counts


def squares(graph: Graph, images: Tensor, network: Tensor) -> Tensor:
    """Squared error of each image's output."""
    outputs = run_batch(graph, quantize_images(graph, images.numpy()))
    return (torch.from_numpy(real_values(graph.output, outputs)) - network).square().sum(1)


def pairs(name: str) -> dict[str, list[Pair]]:
    """Of the model ``name``, over its calibration images."""
    model = load(name)
    images, scheme = model.calibration, QuantScheme()
    calibrated = observe(model.quantizable, images, scheme)
    wide = SoftmaxConfig(probability_bits=16)
    with torch.no_grad():
        network = torch.cat([Forward(calibrated.exact)(some).double() for some in images.split(16)])
    narrow, best = (
        lower(calibrated, name=name, scheme=QuantScheme(probability_bits=bits), softmax=wide)
        for bits in (8, 16)
    )
    alike, coarse = [], {}
    for start in REMAINDERS:
        with rounded(start):
            alike.append(squares(narrow, images, network))
    for fewer in (1, 2, 3):
        with rounded(fewer=fewer):
            coarse[f"16 bits against {8 - fewer}"] = squares(narrow, images, network)
    after = squares(best, images, network)
    return {
        "by accident": [Pair(*two) for two in permutations(alike, 2)],
        "16 bits against 8": [Pair(squares(narrow, images, network), after)],
        **{label: [Pair(before, after)] for label, before in coarse.items()},
    }


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(
        "| | gain on all images | "
        + " | ".join(f"{s} images, halves | {s} images, interval" for s in SETS)
        + " |"
    )
    print("| --- | --- " + "| --- | --- " * len(SETS) + "|")
    known = pairs("fashion-vit")
    for label, found in known.items():
        cells = ["0" if len(found) > 1 else f"{found[0].truth:.0%}"]
        for size in SETS:
            tried = [some for pair in found for some in pair.sets(size)]
            cells += [f"{sum(rule(*s) for s in tried) / len(tried):.1%}" for rule in (by_halves, by_interval)]
        print(f"| {label} | {' | '.join(cells)} |")
    alike = [1 - float(y.sum() / x.sum()) for pair in known["by accident"] for x, y in pair.sets(SETS[-1])]
    spread = statistics.stdev(alike)
    print(f"\nGain in the squared error of {SETS[-1]} images by accident: standard deviation {spread:.0%}")


if __name__ == "__main__":
    main()
