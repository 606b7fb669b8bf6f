"""The width of probabilities: what is measured, which width follows, and what the graph remembers."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.quant.zoo import Shape, Vit, images
from vitreous.golden.interpreter import run
from vitreous.quant import QuantError, QuantScheme, quantize
from vitreous.quant.calibrate import precision as widths
from vitreous.quant.calibrate.formats import Format
from vitreous.quant.calibrate.precision import (
    LARGEST_MASS,
    LARGEST_ROUNDING,
    Measured,
    Tally,
    real_probabilities,
)
from vitreous.quant.calibrate.reference import evaluate
from vitreous.quant.pipeline import observe
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.graph import Graph, Op, save
from vitreous.spec.images import quantize_images

torch.set_num_threads(1)

TALL = Shape(image=(1, 24, 24), patch=2, dim=8, hidden=8, depth=2)  # 145 keys


def sharpened(gain: float) -> Vit:
    """A model whose second attention looks at everything (scores of almost 0), its first one at few keys."""
    model = Vit(TALL)
    with torch.no_grad():
        model.blocks[0].attn.qkv.weight[:8] *= gain
        model.blocks[0].attn.qkv.bias[:8] *= gain
        model.blocks[1].attn.qkv.weight[:8] *= 0.02
        model.blocks[1].attn.qkv.bias[:8] *= 0.02
    return model


WIDE = SoftmaxConfig(probability_bits=16)


def taken(graph: Graph) -> list[int]:
    return [node.integer("probability_bits") for node in graph if node.op is Op.SOFTMAX]


@pytest.mark.alike(2)
@pytest.mark.parametrize("variant", ["base2", "online", "ibert"])
@pytest.mark.parametrize("bits", [8, 16])
def test_probabilities_are_those_that_the_context_is_made_of(variant: str, bits: int) -> None:
    """The graph's own probabilities and row scales, applied to its values, are the real probabilities times them."""
    softmax = SoftmaxConfig(variant=variant, probability_bits=bits)
    shape = Shape(heads=1)
    pixels = images(shape, 1)
    scheme = QuantScheme(probability_bits=bits)
    graph = quantize(Vit(shape), pixels, name="v", softmax=softmax, scheme=scheme)
    node = next(node for node in graph if node.op is Op.SOFTMAX)
    values = run(graph, quantize_images(graph, pixels.numpy())[0], keep=True)
    t = torch.from_numpy(values[node.inputs[0]])
    p, m, s = (values[name].astype(np.float64) for name in node.outputs)
    v = values[next(n for n in graph if n.op is Op.CONTEXT).inputs[1]].astype(np.float64)
    # The row scale brings sum p v to the output's steps; undoing the constant leaves the probability.
    entries = {entry.name: entry for entry in graph.tensors.values()}
    context = next(n for n in graph if n.op is Op.REQUANTIZE_ROWS)
    factor = (
        entries[next(n for n in graph if n.op is Op.CONTEXT).inputs[1]].scale
        / entries[context.outputs[0]].scale
    )
    planes = 1 / 16 if bits == 16 else 1  # accumulators of two passes are p v / 16
    by_hand = (p[0] @ v) * planes * (m / 2**s)[0][:, None] / factor
    found = real_probabilities(t, softmax)[0].numpy() @ v
    # The multiplier's own rounding (2**-15) and the row scale's (2**-13).
    np.testing.assert_allclose(found, by_hand, rtol=2**-12, atol=2**-12 * np.abs(v).max())
    exact = torch.softmax(t.double() * math.log(2) / 2**softmax.fraction_bits, -1)[0].numpy() @ v
    assert np.abs(found - exact).max() < (2.0 if bits == 8 else 0.2)


def test_a_tally_by_hand() -> None:
    tally = Tally()
    tally.add(
        *(
            torch.tensor(x).double()
            for x in ([[0.5, 0.4], [1.0, 0.0]], [[0.5, 0.5], [0.97, 0.03]], [[0.6, 0.4]])
        )
    )
    tally.add(*(torch.tensor(x).double() for x in ([[0.3, 0.5]], [[0.3, 0.7]], [[0.25, 0.75]])))
    assert tally.error == pytest.approx(0.4), "against the network"
    assert tally.rounding == pytest.approx(0.2)
    assert tally.worst == pytest.approx(0.2)
    assert tally.mass == pytest.approx(math.sqrt((0.1**2 + 0.2**2) / 3))
    assert tally.as_dict() == {"error": 0.4, "rounding": 0.2, "mass": 0.1291, "worst": 0.2}


def measured(narrow: tuple[float, float], wide: tuple[float, float] | None) -> Measured:
    def tally(error: float, mass: float) -> Tally:
        return Tally(rounding=error, worst=mass, rows=4, squares=4 * mass * mass)

    tallies = {8: tally(*narrow)} | ({} if wide is None else {16: tally(*wide)})
    return Measured(name="a", layer="l", keys=9, tallies=tallies)


@pytest.mark.parametrize(
    ("narrow", "wide", "bits"),
    [
        ((LARGEST_ROUNDING, LARGEST_MASS), (0.0, 0.0), 8),
        ((LARGEST_ROUNDING * 1.01, 0.0), (0.0, 0.0), 16),
        ((0.0, LARGEST_MASS * 1.01), (0.0, 0.0), 16),
        ((0.5, 0.5), None, 8),
        ((0.5, 0.1), (0.5, 0.2), 8),  # ita: two byte planes are not better
    ],
)
def test_the_limits(narrow: tuple[float, float], wide: tuple[float, float] | None, bits: int) -> None:
    assert measured(narrow, wide).needed == bits


def test_each_layer_gets_what_it_needs(tmp_path: Any) -> None:
    pixels = images(TALL, 12)
    graph = quantize(sharpened(6.0), pixels, name="v", scheme=QuantScheme(observer="minmax"), softmax=WIDE)
    notes = graph.notes["attention"]
    assert notes["images"] == widths.IMAGES
    assert notes["limits"] == {"rounding": LARGEST_ROUNDING, "mass": LARGEST_MASS}
    assert [layer["layer"] for layer in notes["layers"]] == ["blocks.0.attn", "blocks.1.attn"]
    assert taken(graph) == [layer["probability_bits"] for layer in notes["layers"]]
    # Flat rows of 145 keys: every probability is 64 / 127 of a step in base 2 at most, all equal, and sums are right.
    assert taken(graph) == [16, 8], notes["layers"]
    first, second = (layer["measured"]["8"] for layer in notes["layers"])
    assert first["mass"] > LARGEST_MASS or first["rounding"] > LARGEST_ROUNDING
    assert second["mass"] <= LARGEST_MASS
    assert notes["layers"][0]["measured"]["16"]["mass"] < 0.001
    text = json.loads(save(graph, tmp_path / "g.safetensors").with_suffix(".json").read_text())
    assert text["notes"]["attention"] == notes
    dtypes = [graph.tensors[node.outputs[0]].dtype for node in graph if node.op is Op.SOFTMAX]
    assert dtypes == ["int16", "int8"]


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 16])
def test_a_width_for_all_layers(bits: int) -> None:
    graph = quantize(
        sharpened(6.0), images(TALL, 2), name="v", scheme=QuantScheme(probability_bits=bits), softmax=WIDE
    )
    assert taken(graph) == [bits, bits]
    assert [layer["needed"] for layer in graph.notes["attention"]["layers"]] == [16, 8]


@pytest.mark.slow
def test_an_accelerator_of_one_plane() -> None:
    narrow = SoftmaxConfig(probability_bits=8)
    graph = quantize(sharpened(6.0), images(TALL, 2), name="v", softmax=narrow)
    assert taken(graph) == [8, 8]
    assert all(set(layer["measured"]) == {"8"} for layer in graph.notes["attention"]["layers"])
    sentence = "probability_bits 16 needs softmax.probability_bits = 16, but the accelerator's is 8"
    with pytest.raises(QuantError, match=sentence):
        quantize(
            Vit(Shape()),
            images(Shape(), 1),
            name="v",
            softmax=narrow,
            scheme=QuantScheme(probability_bits=16),
        )


def test_errors_are_against_the_float_network() -> None:
    """What q and k lose is in the error, and not in what softmax alone adds; both against attention by hand."""
    pixels = images(TALL, 6)
    calibrated = observe(sharpened(6.0), pixels, QuantScheme(observer="minmax"))
    coarse = calibrated.encoder.names
    (name,) = (n for n in coarse.values() if n == "blocks.0.attn.qkv.q")
    serial = next(s for s, n in coarse.items() if n == name)
    found = calibrated.formats[serial]
    calibrated.formats[serial] = Format(20 * found.low, 20 * found.high, found.symmetric)
    graph = quantize(calibrated, pixels, name="v", scheme=QuantScheme(observer="minmax"), softmax=WIDE)
    first = graph.notes["attention"]["layers"][0]["measured"]["16"]
    assert first["error"] > 20 * first["rounding"]
    softmaxes = [node for node in graph if node.op is Op.SOFTMAX]
    exact = evaluate(calibrated.exact, pixels)
    largest = 0.0
    for number, image in enumerate(quantize_images(graph, pixels.numpy())):
        t = torch.from_numpy(run(graph, image, keep=True)[softmaxes[0].inputs[0]])
        real = real_probabilities(t, SoftmaxConfig(probability_bits=16))
        network = torch.softmax(exact["blocks.0.attn.attention.scores"][number] * math.log(2), -1)
        largest = max(largest, float((real - network).abs().max()))
    assert first["error"] == pytest.approx(largest, rel=1e-3)


def test_exact_softmax_has_no_width() -> None:
    graph = quantize(Vit(Shape()), images(Shape(), 1), name="v", softmax=SoftmaxConfig(variant="exact"))
    assert graph.notes["attention"] == {}
    dtypes = {graph.tensors[node.outputs[0]].dtype for node in graph if node.op is Op.SOFTMAX}
    assert dtypes == {"int32"}


def test_few_and_many_images() -> None:
    assert widths.chosen_images(3) == [0, 1, 2]
    assert widths.chosen_images(256) == [0, 32, 64, 96, 128, 160, 192, 224]
    assert len(widths.chosen_images(9)) == widths.IMAGES
