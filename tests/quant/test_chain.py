"""A float model all the way: quantized, compiled, run by the functional machine; equal to its integer graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.quant.border import assert_border
from tests.support.quant.zoo import FUNCTION, Shape, Vit, images
from tests.support.tree import EXAMPLES
from vitreous.compiler import compile
from vitreous.golden.interpreter import run, run_batch
from vitreous.golden.machine import Machine
from vitreous.models import LoadedModel, load
from vitreous.quant import QuantError, QuantScheme, quantize
from vitreous.quant.pipeline import lower, observe
from vitreous.spec.config import AcceleratorConfig, ActivationConfig, ArrayConfig, load_accelerator
from vitreous.spec.graph import Op
from vitreous.spec.images import quantize_images, real_values
from vitreous.spec.isa import Opcode
from vitreous.spec.variants import FUNCTIONS, ActivationFunction

torch.set_num_threads(1)

SILU64 = EXAMPLES / "silu64.toml"


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load("rms-silu-vit")


@pytest.mark.slow
@pytest.mark.alike(1)
@pytest.mark.parametrize("bits", [None, pytest.param(8, marks=pytest.mark.slow), 16])
def test_rms_norm_and_silu_ride_the_same_interfaces(model: LoadedModel, bits: int | None) -> None:
    config = AcceleratorConfig.from_toml(SILU64)
    config = replace(config, softmax=replace(config.softmax, probability_bits=bits or 8))
    graph = quantize(
        model.module,
        model.calibration,
        name=model.name,
        scheme=QuantScheme(probability_bits=bits),
        softmax=config.softmax,
        activation=config.activation,
        norm=config.norm,
    )
    kinds = [node.op for node in graph]
    assert kinds.count(Op.RMSNORM) == 5
    assert kinds.count(Op.LAYERNORM) == 0
    assert {node.attributes["function"] for node in graph if node.op is Op.ACTIVATION} == {"silu"}
    program = compile(graph, config, observe=True)
    assert {i["centred"] for i in program.instructions if i.opcode is Opcode.NORM} == {0}
    for image in quantize_images(graph, model.test_images[:2].numpy()):
        wanted = run(graph, image, keep=True)
        found = Machine(config).run(program, image, order="late").tensors
        assert len(found) > 15
        for name, tensor in found.items():
            np.testing.assert_array_equal(tensor, wanted[name], err_msg=name)


def test_it_is_close_to_the_float_model(model: LoadedModel) -> None:
    config, scheme = AcceleratorConfig.from_toml(SILU64), QuantScheme(observer="minmax")
    pixels = model.calibration[:4]
    calibrated = observe(model.module, pixels, scheme)
    graph = lower(calibrated, name="v", scheme=scheme, activation=config.activation, norm=config.norm)
    assert_border(graph, calibrated.encoder, pixels, 24.0)


def test_an_accelerator_with_gelu_refuses_it(model: LoadedModel) -> None:
    sentence = "the model's silu needs activation.function = silu, but the accelerator's is gelu"
    with pytest.raises(QuantError, match=sentence):
        quantize(
            model.module, model.calibration[:1], name="v", activation=load_accelerator("edge64").activation
        )


FORMS = {
    "tanh-GELU, mean of the patches": Shape(activation="tanh", head="patch mean", registers=1),
    "quick GELU, mean after the norm": Shape(activation="quick", head="mean after norm", class_token=False),
    "mean of the patches after the norm": Shape(head="patch mean after norm", registers=5),
    "class token beside the mean of the patches": Shape(head="token and patch mean", registers=2, depth=2),
    "mean of two heads": Shape(head="two tokens", registers=1, classes=9),
    "a norm before the first layer": Shape(start_norm=True, depth=2),
    "rms norm before the first layer": Shape(start_norm=True, norm="rms", head="mean after norm"),
}


@pytest.mark.alike(3)
@pytest.mark.parametrize("lanes", [4, 8])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_start_and_head_runs(form: str, lanes: int) -> None:
    """Quantized, compiled and executed, a tensor at a time as its integer graph says, in the latest order that tokens
    permit; the logits are those of the float model."""
    shape = FORMS[form]
    model, pixels = Vit(shape), images(shape, 4)
    function = FUNCTION.get(shape.activation, ActivationFunction.GELU)
    config = AcceleratorConfig(
        array=ArrayConfig(lanes=lanes, depth=2),
        activation=ActivationConfig(function=function, range=FUNCTIONS[function].usual_range),
    )
    graph = quantize(
        model, pixels, name="form", scheme=QuantScheme(observer="minmax"), activation=config.activation
    )
    program = compile(graph, config, observe=True)
    integers = quantize_images(graph, pixels.numpy())
    for image in integers[:2]:
        wanted = run(graph, image, keep=True)
        found = Machine(config).run(program, image, order="late").tensors
        for name, tensor in found.items():
            np.testing.assert_array_equal(tensor, wanted[name], err_msg=name)
    with torch.no_grad():
        expected = model.eval()(pixels).numpy()
    logits = real_values(graph.output, run_batch(graph, integers)).reshape(expected.shape)
    assert np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.99
