"""The inputs on which nonlinear units are measured: a fixed list, from fixed seeds, the same for every table and sweep.

An activation's distribution is a weight for each of the 65 536 values of Q6.10, so its mean error is exact and no
sample. Scores are natural logarithms, float64 rows; ``real`` ones come from the shipped model.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.spec.digest import code_digest
from vitreous.spec.numbers import ACTIVATION_INPUT, INT16
from vitreous.spec.storage import write_bytes

Values = NDArray[np.float64]

SEED = 20261122
LOGIT_DEVIATIONS = (0.5, 1.0, 2.0, 4.0)
KEYS = (1, 2, 16, 64, 129, 197, 512, 1024, 4096)
"""Lengths of rows; a unit is measured on those that it allows."""
_VALUES_PER_CASE = 1 << 15
_ROWS_LEAST = 32
NORM_CHANNELS = (64, 192, 768, 4096)
NORM_DEVIATIONS = (16, 256, 4096)
SHIPPED_MODEL = "fashion-vit"
SHIPPED_IMAGES = 16
"""Calibration images of the shipped model from which real activations and scores are taken: the first ones."""

ACTIVATIONS = {
    "uniform": "every value of [-8, 8) alike",
    "normal": "normal, mean 0, standard deviation 1",
    "wide": "normal, mean 0, standard deviation 3",
    "real": f"inputs of all activations of {SHIPPED_MODEL} on {SHIPPED_IMAGES} calibration images",
}


@dataclass(frozen=True)
class Rows:
    """Scores before softmax, natural logarithms, float64 [rows, keys], with what they are in words."""

    name: str
    what: str
    logits: Values


@dataclass(frozen=True)
class Shipped:
    """Of the shipped model's integer graph: a histogram of activation inputs by Q6.10 value from -32768 on, and all
    attention rows as float64 [rows, keys].
    """

    activations: NDArray[np.int64]
    scores: Values


def activation_codes() -> NDArray[np.int16]:
    """Every Q6.10 value in ascending order; ``code / 1024`` is the real number."""
    return np.arange(ACTIVATION_INPUT.minimum, ACTIVATION_INPUT.maximum + 1, dtype=np.int16)


def activation_weights(name: str, shipped: Shipped | None = None) -> Values:
    """The share of each Q6.10 value, in ascending order; they sum to 1. ``real`` needs ``shipped``."""
    if name == "real" and shipped is not None:
        return np.asarray(shipped.activations / shipped.activations.sum())
    if name not in ("uniform", "normal", "wide"):
        raise ValueError(f"No distribution of activations is called {name!r}")
    return _made_weights(name)


@cache
def _made_weights(name: str) -> Values:
    x = activation_codes().astype(np.float64) / (1 << ACTIVATION_INPUT.fraction)
    deviation = {"normal": 1.0, "wide": 3.0}.get(name)
    weights = (
        (abs(x + 2.0**-11) < 8).astype(np.float64)
        if deviation is None
        else np.exp(-0.5 * (x / deviation) ** 2)
    )
    return np.asarray(weights / weights.sum())


def _rows(keys: int) -> int:
    return max(_ROWS_LEAST, _VALUES_PER_CASE // keys)


def score_rows(max_keys: int = 4096, shipped: Shipped | None = None) -> Iterator[Rows]:
    """Every stated distribution of scores with rows of at most ``max_keys``: flat ones, normal ones, real ones."""
    for keys in (k for k in KEYS if k <= max_keys):
        yield Rows(f"flat-{keys}", f"{keys} equal scores", np.zeros((1, keys)))
    for deviation in LOGIT_DEVIATIONS:
        for keys in (k for k in KEYS if 1 < k <= max_keys):
            source = np.random.default_rng((SEED, keys, round(1000 * deviation)))
            logits = source.normal(0.0, deviation, (_rows(keys), keys))
            yield Rows(
                f"normal-{deviation:g}-{keys}",
                f"normal, standard deviation {deviation:g}, {keys} keys",
                logits,
            )
    if shipped is not None and shipped.scores.shape[1] <= max_keys:
        keys = shipped.scores.shape[1]
        what = f"all attention rows of {SHIPPED_MODEL} on {SHIPPED_IMAGES} calibration images, {keys} keys"
        yield Rows("real", what, shipped.scores)


def norm_rows() -> Iterator[tuple[str, NDArray[np.int16]]]:
    """Rows of the residual stream, int16 [rows, channels], each with what it is: normal values, also far from 0."""
    for channels in NORM_CHANNELS:
        for deviation in NORM_DEVIATIONS:
            for offset in (0, 4):
                source = np.random.default_rng((SEED, channels, deviation, offset))
                x = source.normal(offset * deviation, deviation, (max(8, 8192 // channels), channels))
                what = f"{channels} channels, mean {offset * deviation}, standard deviation {deviation}"
                yield what, np.clip(np.rint(x), INT16.minimum, INT16.maximum).astype(np.int16)


def shipped(folder: Path) -> Shipped:
    """Activations and scores of the shipped model, run once by ``golden`` and kept in ``folder``."""
    path = folder / f"shipped-{code_digest('golden', 'quant', 'spec', 'models')[:16]}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as kept:
            return Shipped(kept["activations"], kept["scores"])
    found = _collect()
    file = io.BytesIO()
    np.savez_compressed(file, activations=found.activations, scores=found.scores)
    write_bytes(path, file.getvalue())
    return found


def _collect() -> Shipped:
    from vitreous import models
    from vitreous.flow import steps
    from vitreous.golden import interpreter
    from vitreous.spec.config import AcceleratorConfig
    from vitreous.spec.graph import Op

    model = models.load(SHIPPED_MODEL)
    graph = steps.quantize(model, AcceleratorConfig())
    histogram = np.zeros(1 << ACTIVATION_INPUT.width, dtype=np.int64)
    rows: list[Values] = []
    with steps.one_thread():
        for image in steps.inputs_of(graph, model.calibration[:SHIPPED_IMAGES].numpy()):
            values = interpreter.run(graph, image, keep=True)
            for node in graph:
                if node.op is Op.ACTIVATION:
                    codes = values[node.inputs[0]].astype(np.int64).ravel() - ACTIVATION_INPUT.minimum
                    histogram += np.bincount(codes, minlength=len(histogram))
                if node.op is Op.SCORES:
                    # The accumulator, before it is rounded to a score: any format can be measured on it.
                    (scale,) = graph.consumers(node.outputs[0])
                    factor = float(scale.constants["multiplier"][0]) / 2.0 ** float(
                        scale.constants["shift"][0]
                    )
                    step = graph.tensors[scale.outputs[0]].scale
                    acc = values[node.outputs[0]].astype(np.float64)
                    rows.append((acc * factor * step * math.log(2)).reshape(-1, acc.shape[-1]))
    return Shipped(histogram, np.concatenate(rows))
