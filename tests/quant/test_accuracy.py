"""What quantization costs networks that nobody tuned it for; the whole tables are `make accuracy`'s."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.quant.heavy import Heavy, images, network
from tests.support.quant.reparameterized import CHANGES, changed, changes_of
from tests.support.quant.zoo import Shape, Vit
from tests.support.quant.zoo import images as zoo_images
from vitreous.golden.interpreter import run_batch
from vitreous.models import door
from vitreous.models.vit import VisionTransformer, ViTConfig
from vitreous.quant import AccuracyWarning, QuantError, QuantScheme, SaturationWarning, quantize
from vitreous.quant.calibrate.canonical import Canonical, copied, observe_channels
from vitreous.quant.calibrate.formats import Format
from vitreous.quant.calibrate.forward import Forward
from vitreous.quant.importer.float_ir import Norm, Start
from vitreous.quant.pipeline import observe
from vitreous.spec.config import SoftmaxConfig
from vitreous.spec.graph import Graph
from vitreous.spec.images import quantize_images, real_values

torch.set_num_threads(1)


def output_error(graph: Graph, model: nn.Module, pixels: torch.Tensor) -> float:
    with torch.no_grad():
        exact = model.eval()(pixels).double().numpy()
    found = real_values(graph.output, run_batch(graph, quantize_images(graph, pixels.numpy())))
    return float(np.linalg.norm(found.reshape(exact.shape) - exact) / np.linalg.norm(exact))


@pytest.mark.slow
@pytest.mark.parametrize(("tokens", "seed"), [(17, 0), (65, 0)])
def test_a_network_with_heavy_tails(tokens: int, seed: int) -> None:
    what = Heavy(tokens=tokens, seed=seed)
    model, other = network(what), images(what, 8, stream=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SaturationWarning)
        graph = quantize(model, images(what, 32), name="heavy")
    assert output_error(graph, model, other) < 0.1
    assert sum(
        int(node.constants["channel_shifts"].sum()) for node in graph if "channel_shifts" in node.constants
    )
    plain = quantize(model, images(what, 32), name="heavy", scheme=QuantScheme(observer="minmax"))
    assert output_error(graph, model, other) < 0.8 * output_error(plain, model, other)


@pytest.mark.slow
@pytest.mark.parametrize(("tokens", "seed", "most"), [(17, 3, 0.1), (257, 0, 0.07)])
def test_heads_that_are_sure_keep_their_choice(tokens: int, seed: int, most: float) -> None:
    """Networks in which one image's winner changed when its norms had steps twice as large as they need."""
    what = Heavy(tokens=tokens, seed=seed)
    model = network(what)
    graph = quantize(model, images(what, 32), name="heavy")
    assert output_error(graph, model, images(what, 8, stream=1)) < most


def test_a_heavy_tailed_network_has_heavy_tails() -> None:
    what = Heavy(tokens=17)
    model, seen = network(what), {}

    def keep(name: str) -> object:
        return lambda module, inputs, output: seen.update({name: output})

    block = model.blocks[1]
    for number, each in enumerate(model.blocks):
        each.mlp.act.register_forward_hook(keep(f"hidden {number}"))  # type: ignore[union-attr, arg-type]
    block.attn.qkv.register_forward_hook(keep("qkv"))  # type: ignore[union-attr, arg-type]
    block.norm1.register_forward_pre_hook(lambda module, inputs: seen.update(stream=inputs[0]))  # type: ignore[union-attr]
    with torch.no_grad():
        model(images(what, 16))
    reach = {name: value.abs().amax((0, 1)) for name, value in seen.items()}
    ratios = {name: float(value.max() / value.median()) for name, value in reach.items()}
    assert ratios["stream"] > 20
    assert max(ratio for name, ratio in ratios.items() if "hidden" in name) > 20
    q, k, _ = seen["qkv"].unflatten(2, (3, what.config.heads, -1)).permute(2, 0, 3, 1, 4)
    octaves = float((q @ k.mT).abs().max()) / math.sqrt(q.shape[-1]) * math.log2(math.e)
    assert 200 < octaves < 1000


@pytest.mark.parametrize("changes", [*([name] for name in CHANGES if name != "fc1 against fc2"), "all"])
@pytest.mark.slow
def test_a_reparameterized_network_is_the_same(changes: list[str] | str) -> None:
    """In floats exactly, as integers nearly: logits within a few per cent, few classes of 64 images changed."""
    loaded = door.load("fashion-vit")
    model = loaded.module
    assert isinstance(model, VisionTransformer)
    names = list(changes_of(model)) if changes == "all" else list(changes)
    other = changed(model, names)
    pixels = loaded.test_images[:64]
    with torch.no_grad():
        exact, found = model(pixels).numpy(), other(pixels).numpy()
    assert np.abs(found - exact).max() < 1e-3 * np.abs(exact).max()
    graph = quantize(other, loaded.calibration[:24], name="v", scheme=QuantScheme(observer="minmax"))
    assert output_error(graph, model, pixels) < 0.025, "min-max alone, in canonical form"


@pytest.mark.slow
def test_hidden_units_of_relu_are_balanced() -> None:
    sizes = {"image_size": 16, "patch_size": 4, "in_channels": 1, "dim": 16, "depth": 1, "heads": 2}
    config = ViTConfig(**sizes, num_classes=4, activation="relu")  # type: ignore[arg-type]
    torch.manual_seed(3)
    model = VisionTransformer(config).eval()
    for name, parameter in model.named_parameters():
        gain = parameter.dim() == 1 and name.endswith("weight")
        nn.init.normal_(parameter, mean=float(gain), std=0.2 if gain else 0.3)
    pixels = torch.randn(16, 1, 16, 16)
    scheme = QuantScheme(observer="minmax")
    errors = []
    for each in (model, changed(model, ["fc1 against fc2"], seed=1)):
        errors.append(output_error(quantize(each, pixels, name="v", scheme=scheme), model, pixels))
    assert errors[1] == pytest.approx(errors[0], rel=0.1)
    assert errors[1] < 0.03


def test_the_canonical_form_computes_the_same() -> None:
    """Also turned, and with hidden units squeezed: against the module itself."""
    shape = Shape(depth=2, layer_scale=True)
    model, pixels = Vit(shape), zoo_images(shape, 4)
    encoder = observe(model, pixels, QuantScheme(observer="minmax")).exact
    channels = observe_channels(encoder, iter([pixels]))
    with torch.no_grad():
        exact = model.eval()(pixels).double()
    for turn in (False, True):
        made = Canonical(copied(encoder), channels)
        made.centre_and_balance()
        assert made.centre_stream()
        assert not turn or made.rotate_stream()
        found = Forward(made.encoder, torch.float64)(pixels)
        assert float((found - exact).abs().max()) < 1e-5
    assert {id(source) for source in encoder.sources}.isdisjoint(
        id(source) for source in made.encoder.sources
    )


# Numbers beyond the machine's ranges: each was computed wrong without a word once.


def small(*, seed: int = 7) -> VisionTransformer:
    generator = torch.Generator().manual_seed(seed)
    config = ViTConfig(image_size=16, patch_size=8, in_channels=1, num_classes=4, dim=16, depth=1, heads=2)
    made = VisionTransformer(config).eval()
    with torch.no_grad():
        for name, p in made.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            gain = p.dim() == 1 and name.endswith("weight")
            p.copy_(1 + 0.2 * noise if gain else noise / p[0].numel() ** 0.5 if p.dim() > 1 else 0.3 * noise)
    return made


def hidden_beyond(model: VisionTransformer) -> None:
    mlp = model.blocks[0].mlp
    mlp.fc1.weight.mul_(100), mlp.fc1.bias.mul_(100), mlp.fc2.weight.div_(100)  # type: ignore[union-attr, operator]


def scores_beyond(model: VisionTransformer) -> None:
    qkv = model.blocks[0].attn.qkv
    for channel in (0, 8, 16, 24):
        qkv.weight[channel], qkv.bias[channel] = 0, 40  # type: ignore[index]


def keys_beyond(model: VisionTransformer) -> None:
    model.blocks[0].attn.qkv.bias[16:32] += 300  # type: ignore[index, operator]


def values_beyond(model: VisionTransformer) -> None:
    attention = model.blocks[0].attn
    attention.qkv.bias[32:] += 1000  # type: ignore[index, operator]
    attention.proj.bias -= 1000 * attention.proj.weight.sum(1)  # type: ignore[operator, union-attr]


def stream_beyond(model: VisionTransformer) -> None:
    model.pos_embed += 1e4


def branches_beyond(model: VisionTransformer) -> None:
    model.blocks[0].mlp.fc2.bias += 1e3  # type: ignore[operator]
    model.blocks[0].attn.proj.bias -= 3e3  # type: ignore[operator]


def queries_against_keys(model: VisionTransformer) -> None:
    factors, qkv = torch.tensor([100.0, 1.0, 1.0, 1.0] * 4), model.blocks[0].attn.qkv  # type: ignore[union-attr]
    for value in (qkv.weight.T, qkv.bias):  # type: ignore[union-attr, operator]
        value[..., :16].mul_(factors), value[..., 16:32].div_(factors)  # type: ignore[index]


@pytest.mark.alike(2)
@pytest.mark.parametrize(
    "change",
    [
        *(hidden_beyond, scores_beyond, keys_beyond, values_beyond, stream_beyond, branches_beyond),
        queries_against_keys,
    ],
)
def test_what_a_function_cannot_see_costs_nothing(change: object) -> None:
    model, pixels = small(), torch.randn(64, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        change(model)  # type: ignore[operator]
    graph = quantize(model, pixels, name="small")
    assert output_error(graph, model, pixels) < 0.06


def test_scores_that_need_more_than_the_format_are_said() -> None:
    """400 octaves that depend on the image: nothing to take off."""
    model, pixels = small(), torch.randn(32, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        model.blocks[0].attn.qkv.weight[:32] *= 12  # type: ignore[index, operator]
    with pytest.warns(
        SaturationWarning, match=r"blocks.0.attn.attention: .*% of the rows of scores saturate.*octaves"
    ):
        graph = quantize(model, pixels, name="small", softmax=SoftmaxConfig(fraction_bits=9))
    (entry,) = [entry for entry in graph.notes["saturation"] if entry["what"] == "rows of scores"]
    assert entry["share"] > 0.001


@pytest.mark.slow
def test_a_bad_network_is_said_to_be_bad() -> None:
    what = Heavy(tokens=17, seed=1)
    model, pixels = network(what), images(what, 8)
    scheme = QuantScheme(observer="percentile", percentile=90)
    with pytest.warns(
        AccuracyWarning, match=r"\d(\.\d+)? away from the float network's .* what loses most: \w"
    ):
        graph = quantize(model, pixels, name="v", scheme=scheme)
    notes = graph.notes
    assert notes["output_error"] > 0.1
    assert notes["output_error"] == pytest.approx(output_error(graph, model, pixels[1::2]), rel=0.01)
    assert notes["compared_images"] == 4
    assert {entry["layer"] for entry in notes["layers"]} >= {"blocks.0.attn.qkv", "blocks.2.mlp.fc2", "head"}
    assert notes["losses"][0]["error"] == max(entry["error"] for entry in notes["losses"])


def test_pixels_beyond_float32_are_refused_for_that() -> None:
    pixels = 1e30 * torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    with pytest.raises(
        QuantError, match=r"start: the residual stream reaches .*, whose square is beyond float32"
    ):
        quantize(small(), pixels, name="small")


@pytest.mark.parametrize(("part", "what"), [("stream", "values of the stream"), ("logits", "logits")])
def test_streams_and_logits_at_the_end_of_int16_are_said(part: str, what: str) -> None:
    """As if calibration had seen a quarter of what comes: the integer graph meets images that reach further."""
    model, pixels = small(), torch.randn(16, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    scheme = QuantScheme(observer="minmax")
    calibrated = observe(model, pixels, scheme)
    encoder = calibrated.encoder
    for source in encoder.sources:
        observer = calibrated.seen.observers.get(source.serial)
        logits = source is encoder.logits
        if observer is not None and observer.dtype == torch.int16 and logits == (part == "logits"):
            observer.low, observer.high = observer.low / 4, observer.high / 4
    for start in encoder.each(Start):
        start.constant = start.constant / (4 if part == "stream" else 1)
    with pytest.warns(
        SaturationWarning, match=rf"\w: .*% of the {what} saturate in calibration; calibrate with"
    ):
        graph = quantize(calibrated, pixels, name="small", scheme=scheme)
    entries = [entry for entry in graph.notes["saturation"] if entry["what"] == what]
    assert max(entry["share"] for entry in entries) > 1e-4
    other = "logits" if part == "stream" else "values of the stream"
    assert other not in {entry["what"] for entry in graph.notes["saturation"]}


@pytest.mark.slow
def test_a_clipped_range_that_costs_the_output_is_said() -> None:
    """1 % cut off is a note where the output gained from it, and a warning where the tensor alone costs 0.05."""
    model, pixels = small(), torch.randn(16, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    calibrated = observe(model, pixels, QuantScheme())
    (norm,) = [s for s in calibrated.encoder.each(Norm) if "norm2" in calibrated.encoder.name(s)]
    name, found = calibrated.encoder.name(norm), calibrated.formats[norm.serial]
    calibrated.formats[norm.serial] = Format(found.low / 4, found.high / 4, True)
    for loss, said in ((0.04, False), (0.06, True)):
        calibrated.losses[name] = loss
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            graph = quantize(calibrated, pixels, name="small")
        sentences = [str(w.message) for w in caught if issubclass(w.category, SaturationWarning)]
        expected = (
            f"of the int8 values, whose rounding alone moves the output by {loss}, saturate in calibration"
        )
        assert [expected in sentence for sentence in sentences] == [True] * said
        entry = next(e for e in graph.notes["saturation"] if e["name"] == name)
        assert entry["share"] > 0.01
