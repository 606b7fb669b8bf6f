"""What the importer accepts, folds exactly, and refuses, with the exact sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.quant.zoo import Shape, Vit, images, randomize
from vitreous.models import VisionTransformer, ViTConfig, synthetic
from vitreous.quant import quantize
from vitreous.quant.calibrate.reference import evaluate
from vitreous.quant.importer.float_ir import Attention, Encoder, Linear, Norm, Select
from vitreous.quant.importer.importer import import_graph

torch.set_num_threads(1)


def imported(model: nn.Module, pixels: Tensor, *, decomposed: bool = False) -> Encoder:
    program = torch.export.export(model.eval(), (pixels,))
    program = program.run_decompositions() if decomposed else program.run_decompositions({})
    return import_graph(program.module(check_guards=False), pixels.shape)


def assert_same(model: nn.Module, encoder: Encoder, pixels: Tensor) -> None:
    with torch.no_grad():
        expected = model.double()(pixels.double())
    found = evaluate(encoder, pixels)[encoder.name(encoder.logits)].squeeze(1)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(depth=2, layer_scale=True, dropout=True),
        Shape(qkv="by head", attention="explicit", qkv_bias=False, class_token=False),
        Shape(qkv="separate", attention="scaled query", activation="relu", image=(3, 4, 12)),
        Shape(norm="rms", activation="silu"),
        Shape(norm="decomposed rms", activation="decomposed silu", layer_scale=True),
        Shape(norm="divided rms", activation="decomposed silu", class_token=False),
    ],
)
# How an export is decomposed is one thing, how a model is written another: `make quick` takes each by itself.
@pytest.mark.parametrize("decomposed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_folding_is_exact(shape: Shape, decomposed: bool) -> None:
    """Layer norms, scales, biases and embeddings folded away, the encoder is still the model, to float precision."""
    model, pixels = Vit(shape), images(shape, 2)
    assert_same(model, imported(model, pixels, decomposed=decomposed), pixels)


def test_registers_and_layer_scale_of_the_projects_own_vit() -> None:
    """Registers are rows of the stream, and gains of layer scale are folded into the layers before them."""
    sizes: dict[str, Any] = {"image_size": 8, "patch_size": 4, "in_channels": 1, "dim": 12, "depth": 1}
    model = VisionTransformer(ViTConfig(**sizes, heads=2, num_classes=3, registers=3, layer_scale=True))
    synthetic.randomize(model, 1)
    pixels = torch.randn(2, 1, 8, 8)
    encoder = imported(model, pixels)
    assert [source.tokens for source in encoder.each(Attention)] == [1 + 3 + 4]
    weights = {source.layer: source.weight for source in encoder.each(Linear)}
    block = model.blocks[0]
    for name, layer, scale in (
        ("attn.proj", block.attn.proj, block.ls1),
        ("mlp.fc2", block.mlp.fc2, block.ls2),
    ):
        gained = scale.gamma.double()[:, None] * layer.weight.double()
        torch.testing.assert_close(weights[f"blocks.0.{name}"], gained.detach())
    assert_same(model, encoder, pixels)


def test_the_default_eps_of_an_rms_norm_is_that_of_float32() -> None:
    model = Vit(Shape(norm="rms"))
    model.norm.eps = None
    *_, last = imported(model, images(Shape(), 1)).each(Norm)
    assert (last.eps, last.centred) == (torch.finfo(torch.float32).eps, False)


class Reciprocals(Vit):
    """Two more ways to write an RMS norm."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.tokens(x)
        root = x.square().mean(2, keepdim=True).add(1e-3)
        x = x + self.blocks[0].mlp(x * root**-0.5)
        x = x + self.blocks[0].mlp(x * (1 / torch.sqrt(x.pow(2).mean(-1).unsqueeze(-1) + 1e-4)))
        return self.head(self.norm(x)[:, 0])


@pytest.mark.parametrize("decomposed", [False, True])
def test_other_ways_to_write_an_rms_norm(decomposed: bool) -> None:
    model, pixels = Reciprocals(Shape()), images(Shape(), 2)
    encoder = imported(model, pixels, decomposed=decomposed)
    assert [source.eps for source in encoder.each(Norm)] == [1e-3, 1e-4, 1e-5]
    assert_same(model, encoder, pixels)


class Normalizing(Vit):
    """Takes pixels in 0..1, has a norm before its pre-logits and merges heads in another order."""

    def forward(self, x: Tensor) -> Tensor:
        x = (x - torch.tensor([0.1, 0.2])[:, None, None]) / torch.tensor([0.3, 0.4])[:, None, None]
        return super().forward(x)


def test_a_normalization_of_pixels_is_folded() -> None:
    shape = Shape(image=(2, 8, 8))
    model, pixels = Normalizing(shape), images(shape, 3)
    assert_same(model, imported(model, pixels), pixels)


class Torchs(nn.Module):
    """A pre-norm encoder of torch's own layers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 12, 4, 4)
        layer = nn.TransformerEncoderLayer(12, 2, 20, 0.1, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.ModuleList([layer])
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 3)
        randomize(self, 0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x.mean(1)))


def test_torchs_own_encoder_layer() -> None:
    model, pixels = Torchs(), torch.randn(2, 1, 8, 8)
    assert_same(model, imported(model, pixels), pixels)


def test_the_class_token_is_selected_before_the_last_norm() -> None:
    shape = Shape()
    encoder = imported(Vit(shape), images(shape, 2))
    (select,) = encoder.each(Select)
    assert (select.index, select.tokens) == (0, 1)
    assert encoder.logits.tokens == 1
    assert [encoder.name(s) for s in encoder.each(Linear)][:4] == [
        "embed",
        "blocks.0.attn.qkv.q",
        "blocks.0.attn.qkv.k",
        "blocks.0.attn.qkv.v",
    ]


@pytest.mark.slow
def test_an_exported_program_and_its_file_give_the_same(tmp_path: Any) -> None:
    shape = Shape()
    model, pixels = Vit(shape).eval(), images(shape, 4)
    program = torch.export.export(model, (pixels[:2],))
    torch.export.save(program, tmp_path / "vit.pt2")
    first = quantize(program, pixels, name="v")
    second = quantize(torch.export.load(tmp_path / "vit.pt2"), pixels, name="v")
    batch = torch.export.Dim("batch", min=1)
    third = quantize(torch.export.export(model, (pixels,), dynamic_shapes=({0: batch},)), pixels, name="v")
    for other in (second, third):
        for one, two in zip(first.nodes, other.nodes, strict=True):
            assert (one.name, one.attributes, one.layer) == (two.name, two.attributes, two.layer)
            assert all((one.constants[key] == two.constants[key]).all() for key in one.constants)


def test_the_users_module_is_left_as_it_was() -> None:
    shape = Shape(dropout=True)
    model = Vit(shape).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    quantize(model, images(shape, 2), name="v")
    assert all(module.training for module in model.modules())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


# What is refused: a change of the plain model, and what the message must say.


def test_the_module_of_an_exported_program_is_quantized() -> None:
    pixels = images(Shape(), 4)
    module = torch.export.export(Vit(Shape()).eval(), (pixels,)).module()
    assert quantize(module, pixels, name="v").nodes
