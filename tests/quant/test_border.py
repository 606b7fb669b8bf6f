"""Float model ≈ integer graph, for every tensor of many small models; and the proof that this can fail."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.quant.border import assert_border, noise_ratios
from tests.support.quant.zoo import FUNCTION, Shape, Vit, images
from vitreous.golden.interpreter import run, run_batch
from vitreous.models import load, synthetic
from vitreous.models.macs import macs
from vitreous.models.vit import VisionTransformer, ViTConfig
from vitreous.quant import QuantError, QuantScheme, quantize
from vitreous.quant.calibrate.calibration import Calibrated
from vitreous.quant.emit import builder, lowering
from vitreous.quant.pipeline import lower, observe
from vitreous.spec import graph as spec_graph
from vitreous.spec.config import ActivationConfig, NormConfig, SoftmaxConfig
from vitreous.spec.images import quantize_images, real_values
from vitreous.spec.variants import FUNCTIONS, ActivationFunction

torch.set_num_threads(1)

LEAST = 25.0  # dB; see docs/decisions/002-quantizer.md for what is reached
MINMAX = QuantScheme(observer="minmax")

SHAPES = {
    "plain": Shape(),
    "no class token": Shape(class_token=False),
    "one head": Shape(heads=1),
    "as many heads as channels": Shape(dim=6, heads=6),
    "no qkv bias": Shape(qkv_bias=False),
    "odd sizes": Shape(dim=15, heads=3, hidden=7, classes=3),
    "relu": Shape(activation="relu"),
    "patch 3, colour": Shape(patch=3, image=(3, 9, 6)),
    "patch 1": Shape(patch=1, image=(2, 3, 3)),
    "rectangular": Shape(image=(2, 4, 20), dim=20, heads=5),
    "separate q, k, v, explicit softmax": Shape(qkv="separate", attention="explicit"),
    "separate without bias": Shape(qkv="separate", qkv_bias=False, attention="scaled query", heads=4),
    "qkv by head": Shape(qkv="by head", attention="scaled query", dropout=True),
    "no position embedding": Shape(position=False, class_token=False, activation="relu"),
    "layer scale, two layers": Shape(depth=2, layer_scale=True),
    "one token": Shape(image=(1, 4, 4), class_token=False),
    "one patch and class token": Shape(image=(1, 5, 5), patch=5, dim=10),
    "one class, wide": Shape(classes=1, dim=33, heads=11, hidden=5),
    "one hidden channel": Shape(hidden=1, image=(1, 6, 6), patch=2),
    "rms norm, silu": Shape(norm="rms", activation="silu"),
    "rms norm and silu decomposed": Shape(
        norm="decomposed rms", activation="decomposed silu", class_token=False, layer_scale=True
    ),
    "tanh-GELU": Shape(activation="gelu tanh"),
    "quick GELU": Shape(activation="quick"),
    "registers": Shape(registers=2),
    "mean of the patches": Shape(head="patch mean", registers=1),
    "mean after the norm": Shape(head="mean after norm", class_token=False, classes=20),
    "mean of the patches after the norm": Shape(head="patch mean after norm", registers=1),
    "class token beside the mean of the patches": Shape(head="token and patch mean", registers=1),
    "mean of two heads": Shape(head="two tokens", registers=1),
    "a norm before the first layer": Shape(start_norm=True, depth=2),
    "patches by reshape": Shape(patches="reshape", image=(3, 8, 12)),
    "many tokens": Shape(image=(1, 18, 16), patch=2, dim=8, class_token=False),
}


# An export takes most of a second, so that `make quick` gets those that differ most.
QUICK = {
    "plain",
    "no class token",
    "odd sizes",
    "rms norm, silu",
    "separate without bias",
}


@pytest.mark.alike(3)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SHAPES]
)
def test_border(name: str) -> None:
    """Min-max on the very images, so that nothing saturates and every error is rounding."""
    shape = SHAPES[name]
    pixels = images(shape, 4)
    calibrated = observe(Vit(shape, seed=len(name)), pixels, MINMAX)
    function = FUNCTION.get(shape.activation, ActivationFunction.GELU)
    activation = ActivationConfig(function=function, range=FUNCTIONS[function].usual_range)
    graph = lower(calibrated, name=name, scheme=MINMAX, activation=activation)
    assert_border(graph, calibrated.encoder, pixels, LEAST)


@pytest.fixture(scope="module")
def plain() -> tuple[Calibrated, Tensor]:
    shape = Shape(depth=2, patch=2, dim=24, hidden=40)
    pixels = images(shape, 8)
    return observe(Vit(shape), pixels, MINMAX), pixels


SOFTMAX, GELU, NORM = SoftmaxConfig, ActivationConfig, NormConfig
UNITS: dict[str, dict[str, Any]] = {
    **{
        f"{variant} {bits} bits, {fraction} fraction bits": {
            "softmax": SOFTMAX(variant=variant, fraction_bits=fraction, probability_bits=bits)
        }
        for variant, fraction in (("base2", 6), ("base2", 9), ("online", 7), ("ibert", 8))
        for bits in (8, 16)
    },
    "exact softmax": {"softmax": SOFTMAX(variant="exact")},
    "coarse delta": {"activation": GELU(step_bits=4, range=6.0, fraction_bits=12)},
    "delta without interpolation": {"activation": GELU(step_bits=7, interpolate=False)},
    "table": {"activation": GELU(variant="table", step_bits=7)},
    "poly": {"activation": GELU(variant="poly")},
    "shift": {"activation": GELU(variant="shift", fraction_bits=22)},
    "exact gelu": {"activation": GELU(variant="exact")},
    "two pass norm": {"norm": NORM(variant="two_pass")},
    "exact norm": {"norm": NORM(variant="exact")},
    "all exact": {
        "softmax": SOFTMAX(variant="exact"),
        "activation": GELU(variant="exact"),
        "norm": NORM(variant="exact"),
    },
}


@pytest.mark.parametrize("name", UNITS)
def test_every_unit(plain: tuple[Calibrated, Tensor], name: str) -> None:
    calibrated, pixels = plain
    graph = lower(calibrated, name=name, scheme=MINMAX, **UNITS[name])
    for node in graph:
        part = {"softmax": "softmax", "gelu": "gelu", "layernorm": "norm"}.get(node.op)
        if part in UNITS[name]:
            wanted = dataclasses.asdict(UNITS[name][part])
            assert {key: node.attributes[key] for key in wanted} == wanted
    assert_border(graph, calibrated.encoder, pixels[:3], LEAST)


def test_itas_softmax_is_coarse_but_right(plain: tuple[Calibrated, Tensor]) -> None:
    """8 levels of a power of 2 for each probability: far from the float model, but not wrong."""
    calibrated, pixels = plain
    for bits in (8, 16):
        softmax = SoftmaxConfig(variant="ita", probability_bits=bits)
        graph = lower(calibrated, name="ita", scheme=MINMAX, softmax=softmax)
        assert_border(graph, calibrated.encoder, pixels[:3], 6.0)


@pytest.mark.parametrize("variant", ["one_pass", "two_pass", "exact"])
def test_rms_norms_of_every_variant(variant: str) -> None:
    shape = Shape(norm="rms", activation="silu", dim=24)
    pixels = images(shape, 4)
    calibrated = observe(Vit(shape), pixels, MINMAX)
    for activation in ("delta", "table", "shift", "exact"):
        silu = ActivationConfig(function="silu", variant=activation, step_bits=6, range=8.0)
        graph = lower(
            calibrated, name="rms", scheme=MINMAX, activation=silu, norm=NormConfig(variant=variant)
        )
        assert_border(graph, calibrated.encoder, pixels, LEAST)


def test_rows_longer_than_the_softmax_is_safe_for_are_refused() -> None:
    shape = Shape(image=(1, 64, 64), dim=4, heads=1, hidden=4, class_token=False)
    calibrated = observe(Vit(shape), images(shape, 1), MINMAX)
    sentence = r"blocks.0.attn.attention: rows of 256 keys; softmax.variant = ita is safe up to 255 keys"
    with pytest.raises(QuantError, match=sentence):
        lower(calibrated, name="long", scheme=MINMAX, softmax=SoftmaxConfig(variant="ita"))


def _longer_shift(real: float) -> tuple[int, int]:
    multiplier, shift = lowering.quantize_multiplier(real)
    return multiplier, shift + 1


_WEIGHT = lowering.Lowering._weight


def _cut_off(self: lowering.Lowering, *arguments: Any) -> tuple[Tensor, Tensor]:
    steps, integers = _WEIGHT(self, *arguments)
    return steps, integers.clamp(-63, 63)


FAULTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "a shift too long": (builder, "quantize_multiplier", _longer_shift),
    "softmax's gain forgotten": (lowering.math, "log2", lambda x: 1.0),  # type: ignore[attr-defined]
    "weights cut off": (lowering.Lowering, "_weight", _cut_off),
    "GELU's input format wrong": (lowering, "ACTIVATION_INPUT", lowering.ACTIVATION_INPUT.__class__(16, 11)),
    "a bias limit so small that it clips weights": (lowering, "_LARGEST_BIAS", 2**6),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_quantizer_fails(
    plain: tuple[Calibrated, Tensor], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrated, pixels = plain
    place, name, replacement = FAULTS[fault]
    monkeypatch.setattr(place, name, replacement)
    graph = lower(calibrated, name="broken", scheme=MINMAX)
    monkeypatch.undo()
    with pytest.raises(AssertionError, match="quant: .* dB from the float model"):
        assert_border(graph, calibrated.encoder, pixels[:2], LEAST)


@pytest.mark.slow
def test_observers_on_other_images() -> None:
    shape = Shape(depth=2, dim=32, heads=4, hidden=64, patch=2)
    model, other = Vit(shape), images(shape, 4, seed=9)
    for observer in ("minmax", "percentile", "mse"):
        graph = quantize(model, images(shape, 24), name="v", scheme=QuantScheme(observer=observer))
        found = real_values(graph.output, run_batch(graph, quantize_images(graph, other.numpy())))
        with torch.no_grad():
            expected = model.eval()(other).numpy()
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.995, observer


@pytest.mark.parametrize(
    "scheme",
    [
        QuantScheme(symmetric_input=False, observer="minmax"),
        QuantScheme(symmetric_activations=True, observer="minmax"),
    ],
)
def test_zero_points(scheme: QuantScheme) -> None:
    shape = Shape(image=(1, 12, 8), activation="relu" if scheme.symmetric_activations else "gelu")
    pixels = images(shape, 8)
    calibrated = observe(Vit(shape), pixels, scheme)
    graph = lower(calibrated, name="z", scheme=scheme)
    assert (graph.input.zero_point == 0) == scheme.symmetric_input
    assert_border(graph, calibrated.encoder, pixels[:4], 22)


@pytest.mark.slow
def test_determinism_and_storage(tmp_path: Any) -> None:
    """Two runs give the same files, byte for byte; what is read back computes the same."""
    shape = Shape()
    kwargs = {"name": "twice", "preprocessing": {"mean": [0.5], "std": [0.25]}}
    seen: list[tuple[str, int, int]] = []
    first = quantize(Vit(shape), images(shape, 6), **kwargs, progress=lambda *step: seen.append(step))
    second = quantize(Vit(shape), images(shape, 6), **kwargs)
    paths = [spec_graph.save(graph, tmp_path / f"{n}.safetensors") for n, graph in enumerate((first, second))]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    texts = [json.loads(path.with_suffix(".json").read_text()) for path in paths]
    assert {**texts[0], "digest": 0} == {**texts[1], "digest": 0}
    loaded = spec_graph.load(paths[0])
    assert loaded.notes["calibration_images"] == 6
    assert loaded.notes["scheme"] == QuantScheme().as_dict()
    assert loaded.preprocessing == {"mean": [0.5], "std": [0.25]}
    image = quantize_images(first, images(shape, 1).numpy())[0]
    np.testing.assert_array_equal(run(loaded, image)["output"], run(first, image)["output"])
    assert seen[0] == ("export", 0, 1)
    assert ("calibrate", 6, 6) in seen
    assert ("attention", 6, 6) in seen
    assert seen[-1] == ("quality", 3, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"class_token": False},
        pytest.param({"registers": 3, "layer_scale": True}, marks=pytest.mark.slow),
        pytest.param({"registers": 3, "class_token": False}, marks=pytest.mark.slow),
    ],
)
def test_the_projects_own_vit(changes: dict[str, Any]) -> None:
    """Layer paths are the user's modules, and multiply-accumulates are those that models counts."""
    config = ViTConfig(image_size=(8, 12), patch_size=4, dim=12, depth=1, heads=2, num_classes=3, **changes)
    model = VisionTransformer(config)
    synthetic.randomize(model, 1)
    graph = quantize(model, torch.randn(2, 3, 8, 12), name="own")
    assert graph.macs == macs(config)
    assert {
        "patch_embed.proj",
        "blocks.0.attn.qkv",
        "blocks.0.attn",
        "blocks.0.mlp.fc1",
        "blocks.0",
        "head",
    } <= {node.layer for node in graph}


@pytest.mark.slow
def test_the_shipped_vit_loses_less_than_a_point() -> None:
    loaded = load("fashion-vit")
    assert loaded.test_labels is not None
    graph = quantize(loaded.module, loaded.calibration, name="fashion-vit")
    calibrated = observe(loaded.module, loaded.calibration[:16], MINMAX)
    assert_border(
        lower(calibrated, name="b", scheme=MINMAX), calibrated.encoder, loaded.calibration[:2], LEAST
    )
    integers = run_batch(graph, quantize_images(graph, loaded.test_images.numpy())).argmax(1)
    with torch.no_grad():
        floats = loaded.module(loaded.test_images).argmax(1).numpy()
    labels = loaded.test_labels.numpy()
    assert len(labels) == 512
    assert (integers == labels).mean() >= (floats == labels).mean() - 0.01
    exact = SoftmaxConfig(variant="exact")
    truth = run_batch(
        quantize(loaded.module, loaded.calibration, name="fashion-vit", softmax=exact),
        quantize_images(graph, loaded.test_images.numpy()),
    ).argmax(1)
    # Each calibration chooses its formats for itself, which is worth two of the images.
    assert (integers == labels).mean() >= (truth == labels).mean() - 2 / 512
    assert (integers == truth).mean() > 0.98
    assert (integers == floats).mean() > 0.97


@pytest.mark.slow
def test_deit_tiny() -> None:
    loaded = load("deit-tiny")
    calibrated = observe(loaded.module, loaded.calibration[:8], QuantScheme())
    graph = lower(calibrated, name="deit-tiny", scheme=QuantScheme())
    assert graph.macs == 1_253_683_200
    assert noise_ratios(graph, calibrated.encoder, loaded.test_images[:1])["head"] > 20
