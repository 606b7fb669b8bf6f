"""Forms in which libraries write vision transformers: each is imported exactly, to the precision of floats."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.quant.zoo import CHOICES, FUNCTION, Shape, Vit, images
from tests.support.tree import ROOT
from vitreous.quant import QuantError, QuantScheme, quantize
from vitreous.quant.calibrate.reference import evaluate
from vitreous.quant.importer.float_ir import Activation, Encoder, Restart
from vitreous.quant.pipeline import batch_size, observe
from vitreous.spec.config import ActivationConfig
from vitreous.spec.variants import FUNCTIONS, ActivationFunction

torch.set_num_threads(1)

FORMS = {
    "patches by reshape and permute": Shape(patches="reshape", image=(3, 8, 12)),
    "patches by unfold": Shape(patches="unfold", image=(2, 8, 8)),
    "registers": Shape(registers=4),
    "mean of the patches": Shape(head="patch mean"),
    "mean after the norm": Shape(head="mean after norm", class_token=False),
    "mean of the patches after the norm, registers": Shape(head="patch mean after norm", registers=3),
    "class token beside the mean of the patches": Shape(head="token and patch mean", norm="rms"),
    "mean of two heads": Shape(head="two tokens", registers=1, layer_scale=True),
    "a norm before the first layer": Shape(start_norm=True, depth=2),
    "a norm before the first layer and a mean": Shape(start_norm=True, head="patch mean", norm="rms"),
}
SAME = {
    **{
        f"mask: {mask}": Shape(attention=mask)
        for mask in ("true mask", "zero mask", "written mask", "rows shifted")
    },
    "masked fill that fills nothing, a number for each query": Shape(attention="masked fill"),
}
WRITTEN = ("gelu tanh", "erf", "tanh", "fast tanh", "quick", "steep silu")


class NormAfter(Vit):
    """A norm whose output is the stream that the next layer is added to."""

    def forward(self, x: Tensor) -> Any:
        x = self.tokens(x)
        for block in self.blocks:
            x = block.norm2(x + block.attn(block.norm1(x)))
            x = x + block.mlp(x)
        return self.head(self.norm(x)[:, 0])


def imported(model: nn.Module, pixels: Tensor) -> Encoder:
    return observe(model, pixels, QuantScheme(observer="minmax")).encoder


def logits(encoder: Encoder, pixels: Tensor) -> Tensor:
    return evaluate(encoder, pixels)[encoder.name(encoder.logits)].squeeze(1)


@pytest.mark.alike(4)
@pytest.mark.parametrize("name", [*FORMS, *SAME])
def test_the_imported_encoder_is_the_model(name: str) -> None:
    """Weights that are moved, split and folded give what the model gives in float64."""
    shape = (FORMS | SAME)[name]
    model, pixels = Vit(shape, seed=3), images(shape, 2)
    encoder = imported(model, pixels)
    with torch.no_grad():
        expected = model.double()(pixels.double())
    torch.testing.assert_close(logits(encoder, pixels), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.alike(3)
@pytest.mark.parametrize("activation", WRITTEN)
def test_an_activation_function_is_recognized_however_it_is_written(activation: str) -> None:
    shape = Shape(activation=activation, depth=2)
    model, pixels = Vit(shape), images(shape, 2)
    encoder = imported(model, pixels)
    assert {source.function for source in encoder.each(Activation)} == {
        FUNCTION.get(activation, ActivationFunction.GELU)
    }
    with torch.no_grad():
        expected = model.double()(pixels.double())
    # gelu_fast rounds sqrt(2 / pi) to ten digits.
    torch.testing.assert_close(logits(encoder, pixels), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.alike(1)
@pytest.mark.parametrize("ending", ["softmax", "log_softmax", "sigmoid", *CHOICES])
def test_what_leaves_the_order_of_the_classes_is_dropped_with_a_note(ending: str) -> None:
    shape = Shape()
    pixels = images(shape, 4)
    plain, ended = (quantize(Vit(Shape(ending=e)), pixels, name="v") for e in ("", ending))
    assert plain.notes["left_out"] == []
    assert ended.notes["left_out"][0] == (
        f"the model's last operation, {ending}, is left out: its results are logits, and the largest logit belongs to "
        "the same class"
    )
    assert len(ended.notes["left_out"]) == (2 if CHOICES.get(ending) else 1)
    for one, two in zip(plain.nodes, ended.nodes, strict=True):
        assert all((one.constants[key] == two.constants[key]).all() for key in one.constants)
        assert one.attributes == two.attributes


def test_of_several_results_the_one_called_logits_is_taken() -> None:
    shape = Shape(ending="dict")
    graph = quantize(Vit(shape), images(shape, 2), name="v")
    assert graph.notes["left_out"] == ["of the model's 2 results only the logits are computed"]
    assert graph.output.shape == (1, shape.classes)


def test_a_norm_may_start_the_stream_again() -> None:
    model, pixels = NormAfter(Shape(depth=2)), images(Shape(), 2)
    encoder = imported(model, pixels)
    assert len(list(encoder.each(Restart))) == 2
    with torch.no_grad():
        expected = model.double()(pixels.double())
    torch.testing.assert_close(logits(encoder, pixels), expected, rtol=1e-6, atol=1e-6)


def test_a_norm_that_two_things_read_starts_one_stream() -> None:
    shape = Shape(start_norm=True, depth=3)
    assert len(list(imported(Vit(shape), images(shape, 1)).each(Restart))) == 1


class Two(Vit):
    """Two things that have no integer form, in both blocks."""

    def forward(self, x: Tensor) -> Any:
        x = self.tokens(x)
        for block in self.blocks:
            x = x + block.attn(torch.nn.functional.normalize(block.norm1(x), dim=1))
            x = x + block.mlp[2](torch.tan(block.mlp[0](block.norm2(x))))
        return self.head(self.norm(x)[:, 0])


def test_all_places_are_refused_at_once() -> None:
    shape = Shape(depth=2)
    with pytest.raises(QuantError) as caught:
        quantize(Two(shape), images(shape, 1), name="v")
    first, *places = str(caught.value).splitlines()
    assert first == f"The model has {len(places)} things that cannot be quantized:"
    assert any(
        place.startswith(f"{number}. Operator 'tan' is not supported (operator aten.tan.default in ")
        for number, place in enumerate(places, 1)
    )
    assert len(places) == 2


def test_the_batch_is_smaller_where_images_are_larger() -> None:
    assert batch_size(torch.empty(16, 3, 224, 224)) == 8
    assert batch_size(torch.empty(9, 1, 28, 28)) == 3
    assert batch_size(torch.empty(8, 3, 518, 518)) == 1


MEMORY = """
import resource, torch
from tests.support.quant.zoo import Shape, Vit, images
from vitreous.quant import QuantScheme
from vitreous.quant.importer.importer import import_graph
torch.set_num_threads(1)
shape = Shape(image=(1, 128, 128), patch=4, dim=64, heads=8, hidden=256, depth=8, attention="ATTENTION")
pixels = images(shape, 1)
program = torch.export.export(Vit(shape).eval(), (pixels,)).run_decompositions({}).module(check_guards=False)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import_graph(program, pixels.shape)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(("attention", "most"), [("sdpa", 96), ("explicit", 512)])
@pytest.mark.slow
def test_element_numbers_do_not_pile_up(attention: str, most: int) -> None:
    """1,025 tokens, 8 layers: the scores of one layer alone are 64 MiB of element numbers, those of a hidden tensor 2.

    Written out, a layer's scores are numbered, but only until they are read.
    """
    command = [sys.executable, "-c", MEMORY.replace("ATTENTION", attention)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert 0 <= int(done.stdout) / 1024 < most


@pytest.mark.parametrize("function", ["gelu_tanh", "quick_gelu"])
def test_a_function_that_the_accelerator_lacks_is_refused_by_name(function: str) -> None:
    activation = next(name for name, wanted in FUNCTION.items() if wanted == function)
    shape = Shape(activation=activation)
    sentence = (
        rf"the model's {function} needs activation.function = {function}, but the accelerator's is gelu"
    )
    with pytest.raises(QuantError, match=sentence):
        quantize(Vit(shape), images(shape, 1), name="v")
    config = ActivationConfig(
        function=ActivationFunction(function), range=FUNCTIONS[ActivationFunction(function)].usual_range
    )
    assert quantize(Vit(shape), images(shape, 1), name="v", activation=config).nodes
