"""``python -m benchmarks.contexts``: contexts of seeded rows in one pass against float64: docs/results/contexts.md.

What rounding alone does: scores are taken as the unit gets them, values are real numbers. "One by one" rounds each
probability to the nearest 7-bit number of its row's maximum, as one pass did before the rounding was carried and rows
were cut into blocks of keys.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.golden.softmax.blocks import cut, octaves_below
from vitreous.golden.softmax.softmax import (
    carried_probabilities,
    levels,
    statistics,
    wide_probabilities,
)
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.limits import REMAINDER_BITS
from vitreous.spec.numbers import SCORE
from vitreous.spec.softmax import key_block, key_blocks
from vitreous.spec.storage import write_text
from vitreous.spec.variants import SoftmaxVariant, in_hardware

MARK = "<!-- results -->"
KEYS = (17, 65, 197, 577, 1370, 4096)
ROWS, CHANNELS = 64, 64
Values = NDArray[np.float64]


def _flat(rng: np.random.Generator, keys: int) -> Values:
    return rng.normal(0, 0.1, (ROWS, keys))


def _spike(rng: np.random.Generator, keys: int) -> Values:
    """One key with half of the row's weight, the others alike."""
    t = rng.normal(0, 0.1, (ROWS, keys))
    t[np.arange(ROWS), rng.integers(0, keys, ROWS)] += np.log2(keys)
    return t


def _zipf(rng: np.random.Generator, keys: int) -> Values:
    """Weights of 1/1, 1/2, 1/3 .. in random order."""
    return -np.log2(rng.permuted(np.tile(np.arange(1.0, keys + 1), (ROWS, 1)), axis=1))


def _clusters(rng: np.random.Generator, keys: int) -> Values:
    """Two groups of neighbouring keys above a floor that is 8 octaves below them."""
    at, t = np.arange(keys), np.full((ROWS, keys), -8.0)
    for row in t:
        for center in rng.integers(0, keys, 2):
            np.maximum(row, -(((at - center) / max(2.0, keys / 32)) ** 2), out=row)
    return t + rng.normal(0, 0.1, t.shape)


def _masked(rng: np.random.Generator, keys: int) -> Values:
    """A causal mask: of each row only the first keys count, the others are far below."""
    t = rng.normal(0, 1.4, (ROWS, keys))
    lengths = rng.integers(1, keys + 1, (ROWS, 1))
    return np.where(np.arange(keys) < lengths, t, -100.0)


KINDS: dict[str, Callable[[np.random.Generator, int], Values]] = {
    "flat": _flat,
    "one spike over a flat floor": _spike,
    "Zipf": _zipf,
    "two clusters": _clusters,
    "masked": _masked,
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line: relative errors of contexts by way of rounding, and how far a row's codes are from its levels, in
    units of a probability."""

    kind: str
    keys: int
    values: str
    plain: float
    carried: float
    wide: float
    plain_sum: float
    carried_sum: float

    @property
    def kept(self) -> bool:
        """At most a third of the plain error wherever that exceeds 5 %."""
        return self.plain <= 0.05 or self.carried <= self.plain / 3


def _values(rng: np.random.Generator, keys: int) -> dict[str, Values]:
    """Independent from key to key, and smooth: a random walk of the same variance."""
    independent = rng.normal(size=(keys, CHANNELS))
    walk = rng.normal(size=(keys, CHANNELS)).cumsum(0)
    return {"independent": independent, "smooth": walk / walk.std(0)}


class _Coded(NamedTuple):
    """Of rows whose blocks' maxima are far apart in units of the largest one's: float64 [rows, keys], levels and what
    ``code`` makes of them."""

    level: Tensor
    code: Tensor


def _coded(t: Tensor, config: SoftmaxConfig, code: Callable[[Tensor], Tensor], block: int) -> _Coded:
    parts = [statistics(part, config) for part in cut(t, block)]
    found = [levels(*part, config) for part in parts]
    below = octaves_below(torch.cat([part.maximum for part in parts], -1), t.shape[-1], block)
    weight = torch.pow(2.0, -below.double())
    return _Coded(*(
        torch.cat([values(level).double().flatten(-2) for level in found], -1) * weight
        for values in (torch.clone, code)
    ))  # fmt: skip


def _one_by_one(level: Tensor) -> Tensor:
    return ((level >> (REMAINDER_BITS - 1)) + 1) >> 1


def measure(config: SoftmaxConfig, keys: int, seed: int = 0) -> Iterator[Row]:
    """Every kind of rows with ``keys`` keys, with both kinds of values."""
    for index, (kind, make) in enumerate(KINDS.items()):
        rng = np.random.default_rng((seed, keys, index))
        t = np.rint(make(rng, keys) * (1 << config.fraction_bits)).clip(SCORE.minimum, SCORE.maximum)
        scores, block = torch.from_numpy(t.astype(np.int64)), key_block(config)
        codes = {
            "plain": _coded(scores, config, _one_by_one, 0),
            "carried": _coded(scores, config, carried_probabilities, block),
            "wide": _coded(scores, config, wide_probabilities, block),
        }
        real = torch.from_numpy(2.0 ** (t / (1 << config.fraction_bits)))
        exact = real / real.sum(-1, keepdim=True)
        units = {"plain": 512.0, "carried": 512.0, "wide": 2.0}
        for name, v in _values(rng, keys).items():
            truth = exact @ torch.from_numpy(v)
            errors = {
                way: _relative(code * units[way] / level.sum(-1, keepdim=True) @ torch.from_numpy(v), truth)
                for way, (level, code) in codes.items()
            }
            yield Row(
                kind=kind,
                keys=keys,
                values=name,
                plain_sum=_apart(codes["plain"], 0),
                carried_sum=_apart(codes["carried"], block),
                **errors,
            )


def _relative(found: Tensor, truth: Tensor) -> float:
    return float((found - truth).norm() / truth.norm())


def _apart(found: _Coded, block: int) -> float:
    """The most by which the codes of a block differ from its levels, in units of the row's loudest block."""
    apart = found.code - found.level / (1 << REMAINDER_BITS)
    keys = key_blocks(apart.shape[-1], block)
    return max(float(apart[..., each.start : each.stop].sum(-1).abs().max()) for each in keys)


def page(found: dict[str, list[Row]]) -> str:
    """All variants in Markdown."""
    lines = [
        f"{date.today()}, {platform.machine()}, `python -m benchmarks.contexts --page docs/results/contexts.md`.",
        "",
    ]
    for variant, rows in found.items():
        over = [row for row in rows if not row.kept]
        lines += [
            f"## {variant}",
            "",
            f"{len(rows)} lines, {len(over)} with more than a third of an error above 5 %"
            + (
                f", of which {sum(row.values == 'independent' for row in over)} have independent values."
                if over
                else "."
            ),
            "",
            "| rows | keys | values | one by one | carried | two planes | sum one by one | sum carried |",
            "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
            *(
                f"| {r.kind} | {r.keys:,} | {r.values} | {r.plain:.4f} | {r.carried:.4f} | {r.wide:.5f} "
                f"| {r.plain_sum:.1f} | {r.carried_sum:.2f} |"
                for r in rows
            ),
            "",
        ]
    return "\n".join(lines)


def main() -> None:
    """Measure every variant; replace what is below the mark of the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.contexts", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--page", type=Path, help="replace what is below its mark")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for variant in in_hardware(SoftmaxVariant):
        config = SoftmaxConfig(variant=variant)
        most = 255 if variant is SoftmaxVariant.ITA else max(KEYS)
        found[str(variant)] = [row for keys in KEYS if keys <= most for row in measure(config, keys)]
    text = page(found)
    print(text)
    if options.page:
        head = options.page.read_text(encoding="utf-8").partition(MARK)[0]
        write_text(options.page, f"{head}{MARK}\n{text}")


if __name__ == "__main__":
    main()
