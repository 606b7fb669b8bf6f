"""What probabilities of 8 and 16 bits lose in each attention, and that they are those that contexts are made of."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.quant.zoo import Shape, Vit, images
from vitreous.golden.interpreter import run, run_batch
from vitreous.quant import QuantScheme, quantize
from vitreous.quant.calibrate.formats import Format
from vitreous.quant.calibrate.precision import Tally, measure, real_probabilities
from vitreous.quant.calibrate.reference import evaluate
from vitreous.quant.pipeline import lower, observe
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.graph import Op
from vitreous.spec.images import quantize_images, real_values

torch.set_num_threads(1)

SHAPE = Shape(image=(1, 24, 24), patch=2, dim=8, hidden=8, depth=2)  # 145 keys
WIDE = SoftmaxConfig(probability_bits=16)


@pytest.mark.alike(2)
@pytest.mark.parametrize("variant", ["base2", "online", "ibert"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    "shape", [Shape(heads=1), replace(SHAPE, heads=1, depth=1)], ids=["17 keys", "145 keys"]
)
def test_probabilities_are_those_that_the_context_is_made_of(variant: str, bits: int, shape: Shape) -> None:
    """The graph's own contexts, by their rows' scales, are the real probabilities times the values."""
    softmax = SoftmaxConfig(variant=variant, probability_bits=bits)
    pixels = images(shape, 1)
    scheme = QuantScheme(probability_bits=bits)
    graph = quantize(Vit(shape), pixels, name="v", softmax=softmax, scheme=scheme)
    node = next(node for node in graph if node.op is Op.SOFTMAX)
    values = run(graph, quantize_images(graph, pixels.numpy())[0], keep=True)
    t = torch.from_numpy(values[node.inputs[0]])
    context = next(n for n in graph if n.op is Op.CONTEXT)
    requantize = next(n for n in graph if n.op is Op.REQUANTIZE_ROWS)
    v, acc = (values[name].astype(np.float64) for name in (context.inputs[1], context.outputs[0]))
    m, s = (values[name].astype(np.float64) for name in node.outputs[1:3])
    # The row scale brings accumulators to the output's steps; undoing the constant leaves the probability.
    entries = {entry.name: entry for entry in graph.tensors.values()}
    factor = entries[context.inputs[1]].scale / entries[requantize.outputs[0]].scale
    by_hand = acc * (m / 2**s)[0][:, None] / factor
    block = node.integer("key_block")
    assert values[node.outputs[3]].shape[-1] == (2 if variant == "base2" and len(v) == 145 else 1)
    found = real_probabilities(t, softmax, key_block=block)[0].numpy() @ v
    # The multiplier's own rounding (2**-15), the row scale's (2**-13), and that of contexts to four bits.
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


def test_errors_are_against_the_float_network() -> None:
    """What q and k lose is in the error, and not in what softmax alone adds; both against attention by hand."""
    pixels = images(SHAPE, 6)
    calibrated = observe(Vit(SHAPE), pixels, QuantScheme(observer="minmax"))
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
        real = real_probabilities(t, WIDE, key_block=softmaxes[0].integer("key_block"))
        network = torch.softmax(exact["blocks.0.attn.attention.scores"][number] * math.log(2), -1)
        largest = max(largest, float((real - network).abs().max()))
    assert first["error"] == pytest.approx(largest, rel=1e-3)


def test_the_outputs_are_those_of_both_networks() -> None:
    pixels = images(SHAPE, 3)
    scheme = QuantScheme(observer="minmax")
    calibrated = observe(Vit(SHAPE), pixels, scheme)
    graph = lower(calibrated, name="v", scheme=scheme, softmax=WIDE)
    with torch.no_grad():
        found = measure(graph, WIDE, calibrated.exact, pixels)
        network = Vit(SHAPE)(pixels).double()
    integers = run_batch(graph, quantize_images(graph, pixels.numpy()))
    np.testing.assert_array_equal(found.graph, real_values(graph.output, integers))
    torch.testing.assert_close(found.network, network, rtol=1e-4, atol=1e-4)
    assert [part.layer for part in found.attentions] == ["blocks.0.attn", "blocks.1.attn"]
    assert all(set(part.tallies) == {8, 16} for part in found.attentions)
