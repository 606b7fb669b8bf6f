"""8 or 16 bits: which attentions get 16, by the error of the network's output, and what the graph remembers of it."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.quant.zoo import Shape, Vit, images
from vitreous.golden.interpreter import run_batch
from vitreous.quant import QuantError, QuantScheme, quantize
from vitreous.quant.calibrate import widths
from vitreous.quant.calibrate.search import GAIN
from vitreous.quant.calibrate.widths import Gain, Trials, chosen_images, wide
from vitreous.quant.pipeline import observe
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.graph import Graph, Op, save
from vitreous.spec.images import quantize_images, real_values

torch.set_num_threads(1)

TALL = Shape(image=(1, 18, 18), patch=2, dim=8, hidden=8, depth=2, heads=1, classes=16)  # 82 keys, one block
WIDE = SoftmaxConfig(probability_bits=16)
AUTO = QuantScheme(observer="minmax")


def fine(layer: int) -> Vit:
    """A network whose output is what attention ``layer`` gathers from the floor of its rows.

    All queries look at the class token, whose values are 0, and at each patch with 1/250 of that weight: codes of 7
    bits are 0 or 1 there, while the mean of independent values over 81 patches is small itself.
    """
    model = Vit(TALL)
    with torch.no_grad():
        assert model.pos is not None
        assert model.cls is not None
        embed: Any = model.embed
        model.cls.zero_()
        model.pos.zero_()
        # Channel 0 says which token is the class token; the patches' pixels are in all others, around 0.
        model.pos[0, 0, 0], model.pos[0, 1:, 0] = 6.0, -2.0
        embed.weight[0] = 0
        embed.bias.zero_()
        embed.weight[1:] -= embed.weight[1:].mean(0)
        for block in model.blocks:
            block.norm1.weight.fill_(1)
            block.norm1.bias.zero_()
            for line in (block.attn.proj, block.mlp[2]):
                line.weight.mul_(0.05)
                line.bias.zero_()
        attention: Any = model.blocks[layer].attn
        q, k, v = attention.qkv.weight.split(TALL.dim)
        q.zero_()
        k.zero_()
        attention.qkv.bias.zero_()
        attention.qkv.bias[0] = 1.0
        k[0, 0] = 5.5 * TALL.dim**0.5 / 3.6  # scores of 5.5 between the class token and a patch
        v[:, 0] = 0
        v[:, 1:] -= v[:, 1:].mean(1, keepdim=True)
        mixed = torch.randn(TALL.dim, TALL.dim, generator=torch.Generator().manual_seed(3))
        mixed[0] = 0
        attention.proj.weight.copy_(40 * mixed)
    return model


def taken(graph: Graph) -> list[int]:
    return [node.integer("probability_bits") for node in graph if node.op is Op.SOFTMAX]


def error(graph: Graph, model: Vit, pixels: Tensor) -> float:
    """Relative error of the output."""
    integers = run_batch(graph, quantize_images(graph, pixels.numpy()))
    with torch.no_grad():
        network = model(pixels).double()
    off = torch.from_numpy(real_values(graph.output, integers)) - network
    return float((off.square().sum() / network.square().sum()).sqrt())


@pytest.mark.slow
@pytest.mark.parametrize("layer", [0, 1])
def test_16_bits_in_the_layer_that_gains(layer: int, tmp_path: Path) -> None:
    pixels = images(TALL, 12)
    graph = quantize(fine(layer), pixels, name="v", scheme=AUTO, softmax=WIDE)
    notes = graph.notes["attention"]
    bits = [16 if number == layer else 8 for number in range(2)]
    assert taken(graph) == [part["probability_bits"] for part in notes["layers"]] == bits
    dtypes = [graph.tensors[node.outputs[0]].dtype for node in graph if node.op is Op.SOFTMAX]
    assert dtypes == [{8: "int8", 16: "int16"}[width] for width in bits]
    assert (notes["reason"], notes["images"], notes["margin"]) == ("measured", 8, GAIN)
    gains = [part["gain"] for part in notes["layers"]]
    assert gains[layer]["attentions"] == [notes["layers"][layer]["name"]]
    assert gains[layer]["part"] > 0.5
    assert gains[layer]["interval"][0] > 0
    assert gains[1 - layer]["part"] < GAIN or gains[1 - layer]["interval"][0] <= 0
    assert notes["gain"]["part"] > 0.5
    # The errors, from graphs with given widths.
    looked = pixels[chosen_images(12, graph.macs)]
    for given in (8, 16):
        scheme = QuantScheme(observer="minmax", probability_bits=given)
        other = quantize(fine(layer), pixels, name="v", scheme=scheme, softmax=WIDE)
        assert notes["errors"][str(given)] == pytest.approx(error(other, fine(layer), looked), rel=1e-3)
    assert notes["errors"]["chosen"] == pytest.approx(error(graph, fine(layer), looked), rel=1e-3)
    assert notes["errors"]["chosen"] ** 2 <= (1 - GAIN) * notes["errors"]["8"] ** 2
    text = json.loads(save(graph, tmp_path / "g.safetensors").with_suffix(".json").read_text())
    assert text["notes"]["attention"] == notes
    again = quantize(fine(layer), pixels, name="v", scheme=AUTO, softmax=WIDE)
    assert again.notes == graph.notes
    assert taken(again) == bits


def test_8_bits_where_nothing_gains() -> None:
    shape = Shape(depth=2)
    pixels = images(shape, 8)
    runs: list[tuple[str, int, int]] = []
    graph = quantize(
        Vit(shape), pixels, name="v", scheme=AUTO, softmax=WIDE, progress=lambda *seen: runs.append(seen)
    )
    notes = graph.notes["attention"]
    assert taken(graph) == [8, 8]
    assert [part["gain"] for part in notes["layers"]] == [None, None]
    assert notes["errors"]["chosen"] == notes["errors"]["8"]
    assert notes["errors"]["16"] is not None
    assert notes["gain"]["part"] < GAIN or notes["gain"]["interval"][0] <= 0
    assert [seen for seen in runs if seen[0] == "attention"][-1] == ("attention", 8, 8)
    assert not [seen for seen in runs if seen[0] == "attention by attention"]


def test_long_rows_are_compared_on_fewer_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The errors of the output are of all images all the same."""
    shape = Shape(depth=2)
    pixels = images(shape, 8)
    calibrated = observe(Vit(shape), pixels, AUTO)

    def notes(scheme: QuantScheme = AUTO) -> dict[str, Any]:
        graph = quantize(calibrated, pixels, name="v", scheme=scheme, softmax=WIDE)
        return dict(graph.notes["attention"])

    whole = notes()
    monkeypatch.setattr(widths, "_COMPARED", 1)
    fewer = notes()
    assert {**fewer, "layers": None} == {**whole, "layers": None}
    # The largest of a probability, over one image and over eight.
    errors = [[part["measured"]["8"]["error"] for part in some["layers"]] for some in (fewer, whole)]
    assert errors[0] < errors[1]
    one = notes(QuantScheme(observer="minmax", probability_bits=8))
    assert one["images"] == 1
    assert one["layers"] == fewer["layers"]


@pytest.mark.parametrize("bits", [8, 16])
def test_a_width_for_all_layers(bits: int) -> None:
    shape = Shape(depth=2)
    pixels = images(shape, 3)
    scheme = QuantScheme(observer="minmax", probability_bits=bits)
    graph = quantize(Vit(shape), pixels, name="v", scheme=scheme, softmax=WIDE)
    notes = graph.notes["attention"]
    assert taken(graph) == [bits, bits]
    assert (notes["reason"], notes["images"]) == ("given", 3)
    assert (
        notes["errors"]["chosen"]
        == notes["errors"][str(bits)]
        == pytest.approx(error(graph, Vit(shape), pixels), rel=1e-3)
    )
    assert (notes["errors"][str(24 - bits)], notes["gain"]) == (None, None)
    assert all(set(part["measured"]) == {"8", "16"} for part in notes["layers"])


def test_an_accelerator_of_one_plane() -> None:
    narrow = SoftmaxConfig(probability_bits=8)
    pixels = images(Shape(), 2)
    graph = quantize(Vit(Shape()), pixels, name="v", scheme=AUTO, softmax=narrow)
    notes = graph.notes["attention"]
    assert taken(graph) == [8]
    assert notes["reason"] == "only"
    assert (notes["errors"]["16"], notes["errors"]["chosen"]) == (None, notes["errors"]["8"])
    assert set(notes["layers"][0]["measured"]) == {"8"}
    sentence = "probability_bits 16 needs softmax.probability_bits = 16, but the accelerator's is 8"
    with pytest.raises(QuantError, match=sentence):
        quantize(Vit(Shape()), pixels, name="v", softmax=narrow, scheme=QuantScheme(probability_bits=16))


def test_exact_softmax_has_no_width() -> None:
    exact = SoftmaxConfig(variant="exact")
    graph = quantize(Vit(Shape()), images(Shape(), 1), name="v", softmax=exact, scheme=AUTO)
    assert graph.notes["attention"] == {}
    dtypes = {graph.tensors[node.outputs[0]].dtype for node in graph if node.op is Op.SOFTMAX}
    assert dtypes == {"int32"}


def test_few_and_many_images_and_long_networks() -> None:
    assert chosen_images(3, 1000) == [0, 1, 2]
    assert chosen_images(256, 1000) == [0, 32, 64, 96, 128, 160, 192, 224]
    assert len(chosen_images(9, 1000)) == widths.IMAGES
    assert chosen_images(256, 18 * 10**9) == [0, 51, 102, 153, 204]
    assert chosen_images(256, 47 * 10**9) == [0, 64, 128, 192]


class Known(Trials):
    """Errors that add up: what is left of each attention with 8 bits, on even and on odd images, over a rest of 1."""

    def __init__(self, parts: Mapping[str, tuple[float, float]], images: int = 8) -> None:
        super().__init__(self._never, list(parts), torch.zeros(images, 1), torch.zeros(images, 1))
        self.parts, self.runs = parts, 0

    @staticmethod
    def _never(bits: Mapping[str, int]) -> Graph:
        raise AssertionError(bits)

    def _squares(self, wide: Collection[str]) -> Tensor:
        if frozenset(wide) not in self._known:
            self.runs += 1
            left = [
                sum(part[half] for name, part in self.parts.items() if name not in wide) for half in (0, 1)
            ]
            roots = [(1 + left[number % 2]) ** 0.5 for number in range(len(self._images))]
            self.know(wide, torch.tensor(roots, dtype=torch.float64)[:, None])
        return self._known[frozenset(wide)]


def test_a_gain_by_hand() -> None:
    """Logarithms of the factors: of 1/2, 1/2, 1/4, 1/4 the mean is that of 1/sqrt(8), the deviation log 2 / sqrt 3."""
    gain = Gain.of(torch.tensor([2.0, 8.0, 4.0, 40.0]).double(), torch.tensor([1.0, 4.0, 1.0, 10.0]).double())
    assert gain.part == pytest.approx(1 - 8**-0.5)
    reach = 3.182 * math.log(2) / 3**0.5 / 2
    assert gain.interval == pytest.approx((1 - math.exp(reach) * 8**-0.5, 1 - math.exp(-reach) * 8**-0.5))
    assert gain.counts
    alone = Gain.of(torch.tensor([2.0]), torch.tensor([1.0]))
    assert (alone.part, alone.interval, alone.counts) == (pytest.approx(0.5), None, False)


def test_two_runs_where_16_bits_everywhere_gain_nothing() -> None:
    """Too little, and much on some images only."""
    for parts in ({"a": (0.05, 0.05), "b": (0.0, 0.0)}, {"a": (-0.4, 3.0), "b": (0.0, 0.0)}):
        trials = Known(parts)
        assert wide(trials, 1) == ([], {})
        assert trials.runs == 2


def test_the_one_that_carries_the_gain() -> None:
    trials = Known({"a": (0.02, 0.01), "b": (0.0, -0.02), "c": (0.5, 0.4), "d": (0.03, 0.03)})
    chosen, alone = wide(trials, 1)
    assert chosen == ["c"]
    assert alone["c",].part == pytest.approx(1 - (1.05 / 1.55 * 1.02 / 1.42) ** 0.5)
    assert alone["b",].part == pytest.approx(1 - (1.55 / 1.55 * 1.44 / 1.42) ** 0.5)


def test_the_next_is_judged_beside_those_before_it() -> None:
    """Alone ``b`` gains 9 % of all, but 20 % of what ``a`` leaves; ``c`` 4 % of what both leave."""
    trials = Known({"c": (0.04, 0.04), "a": (1.6, 1.6), "b": (0.26, 0.26)})
    chosen, alone = wide(trials, 1)
    assert alone["b",].part < GAIN < trials.gain(["a"], ["a", "b"]).part
    assert chosen == ["a", "b"]
    assert trials.runs <= 2 * 3


def test_many_that_gain_a_little_each() -> None:
    names = "abcdefghijkl"
    trials = Known(dict.fromkeys(names, (0.05, 0.05)))
    chosen, alone = wide(trials, 1)
    assert trials.gain((), names).counts
    assert max(gain.part for gain in alone.values()) < GAIN
    assert chosen == []
    assert trials.runs == len(names) + 2


def test_attentions_of_a_large_network_are_tried_together() -> None:
    parts = {"a": (0.0, 0.0), "b": (0.0, 0.0), "c": (0.5, 0.5), "d": (0.0, 0.0), "e": (0.0, 0.0)}
    trials = Known(parts)
    macs = int(widths._SEARCH / (2 * 8 * 3))
    assert trials.together(macs) == [("a", "b"), ("c", "d"), ("e",)]
    chosen, alone = wide(trials, macs)
    assert chosen == ["c", "d"]
    assert alone["c", "d"].part == pytest.approx(1 / 3)
    assert trials.runs == 2 + 3
    assert trials.together(10**15) == [tuple("abcde")]
    assert trials.together(1) == [(name,) for name in "abcde"]


def test_an_output_without_error_gains_nothing() -> None:
    assert not Known({"a": (-1.0, -1.0)}).gain((), ("a",)).counts
    exact = Known({"a": (-1.0, -1.0)})
    assert exact.gain((), ()).part == 0
