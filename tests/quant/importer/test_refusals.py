"""What the importer refuses, with the exact sentence: what is wrong, where, and what would be accepted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.quant.zoo import Attention, Block, Shape, Vit, images
from vitreous.quant import QuantError, QuantScheme, quantize
from vitreous.quant.pipeline import observe
from vitreous.spec.config import ActivationConfig

torch.set_num_threads(1)


def changed(**parts: Callable[..., Any]) -> Vit:
    """The plain model with methods of its first block, or its own ``forward``, replaced."""
    model = Vit(Shape(dim=8, hidden=8))
    places = {"attn": model.blocks[0].attn, "block": model.blocks[0], "model": model}
    for name, forward in parts.items():
        place: Any = places[name]
        place.forward = forward.__get__(place)
    return model


def masked(self: Attention, x: Tensor) -> Tensor:
    q, k, v = self.split(x)
    mask = torch.ones(x.shape[1], x.shape[1]).tril().bool()
    return self.proj(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2))


def causal(self: Attention, x: Tensor) -> Tensor:
    q, k, v = self.split(x)
    return self.proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))


def biased_scores(self: Attention, x: Tensor) -> Tensor:
    q, k, v = self.split(x)
    scores = q @ k.mT + torch.arange(float(x.shape[1]))
    return self.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


def softmax_of_queries(self: Attention, x: Tensor) -> Tensor:
    q, k, v = self.split(x)
    return self.proj(((q @ k.mT).softmax(-2) @ v).transpose(1, 2).flatten(2))


def normed_queries(self: Attention, x: Tensor) -> Tensor:
    q, k, v = self.split(x)
    q = F.layer_norm(q, q.shape[-1:])
    return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def cropped_keys(self: Attention, x: Tensor) -> Tensor:
    q, k, v = self.split(x)
    mixed = F.scaled_dot_product_attention(q, k[:, :, 1:], v[:, :, 1:])
    return self.proj(mixed.transpose(1, 2).flatten(2))


def post_norm(self: Block, x: Tensor) -> Tensor:
    return self.norm2(self.norm1(x + self.attn(x)) + x)


def gated(self: Block, x: Tensor) -> Tensor:
    y = self.norm1(x)
    return x + self.mlp(self.mlp[0](y)[..., :8] * y)


def linear_twice(self: Block, x: Tensor) -> Tensor:
    return x + self.mlp[2](self.mlp[0](self.norm1(x)))


def hyperbolic(self: Block, x: Tensor) -> Tensor:
    return x + self.mlp[2](torch.tanh(self.mlp[0](self.norm1(x))))


def tangent(self: Block, x: Tensor) -> Tensor:
    return x + self.mlp[2](torch.tan(self.mlp[0](self.norm1(x))))


def gated_by_another(self: Block, x: Tensor) -> Tensor:
    y = self.mlp[0](self.norm1(x))
    return x + self.mlp[2](torch.sigmoid(y) * y.flip(-1))


def sigmoid_alone(self: Block, x: Tensor) -> Tensor:
    return x + self.mlp[2](torch.sigmoid(self.mlp[0](self.norm1(x))))


def divided_by_another(self: Block, x: Tensor) -> Tensor:
    y = x + self.attn(self.norm1(x))
    return y + self.mlp(y * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6))


def rms_of_tokens(self: Block, x: Tensor) -> Tensor:
    return x + self.mlp(x * torch.rsqrt((x * x).mean(1, keepdim=True) + 1e-6))


def rms_of_a_part(self: Block, x: Tensor) -> Tensor:
    x = x + self.attn(self.norm1(x))
    half = x.shape[-1] // 2
    return x + self.mlp(F.rms_norm(x[..., :half], [half]).repeat(1, 1, 2))


def cubed(self: Block, x: Tensor) -> Tensor:
    return x + self.mlp(x**3)


def scaled_stream(self: Block, x: Tensor) -> Tensor:
    x = x + self.attn(self.norm1(x))
    return 0.5 * x + self.mlp(self.norm2(x))


def scaled_start(self: Block, x: Tensor) -> Tensor:
    return 0.5 * x + self.mlp(self.norm1(x))


def mean_of_half(self: Vit, x: Tensor) -> Tensor:
    return self.head(self.norm(self.tokens(x))[:, 1:3].mean(1))


def three_heads(self: Vit, x: Tensor) -> Tensor:
    x = self.norm(self.tokens(x))
    return self.head(x[:, 0]) + self.head(x[:, 1]) + self.head(x[:, 2])


def all_tokens(self: Vit, x: Tensor) -> Tensor:
    return self.head(self.norm(self.tokens(x)))


def features(self: Vit, x: Tensor) -> Tensor:
    return self.norm(self.tokens(x))[:, 0]


def two_results(self: Vit, x: Tensor) -> tuple[Tensor, Tensor]:
    y = self.head(self.norm(self.tokens(x))[:, 0])
    return y, y * 2


def reversed_patches(self: Vit, x: Tensor) -> Tensor:
    x = torch.cat((self.cls.expand(x.shape[0], -1, -1), self.embed(x).flatten(2).mT.flip(1)), 1)
    return self.head(self.norm(x)[:, 0])


def overlapping(self: Vit, x: Tensor) -> Tensor:
    x = F.conv2d(x, self.embed.weight, self.embed.bias, stride=2).flatten(2).mT
    return self.head(self.norm(x.mean(1)))


def pooled_by_attention(self: Vit, x: Tensor) -> Tensor:
    tokens = self.norm(self.embed(x).flatten(2).mT)
    pooled = F.scaled_dot_product_attention(self.pos[:, :1].expand(len(x), -1, -1), tokens, tokens)
    return self.head(pooled[:, 0])


def projected_stream(self: Vit, x: Tensor) -> Tensor:
    return self.head(self.embed(x).flatten(2).mT.mean(1))


REFUSED: dict[str, tuple[dict[str, Callable[..., Any]], str]] = {
    "mask": (
        {"attn": masked},
        "Attention with a mask or bias that is not .*'blocks.0.attn'.*supported: self-attention",
    ),
    "causal": ({"attn": causal}, "Attention with a causal mask .*'blocks.0.attn'"),
    "bias": ({"attn": biased_scores}, "Attention with a mask or bias added to the scores .*'blocks.0.attn'"),
    "softmax of queries": ({"attn": softmax_of_queries}, "Softmax over dimension -2 .*'blocks.0.attn'"),
    "query norm": (
        {"attn": normed_queries},
        "A layer norm reads a linear layer's output .*'blocks.0.attn'.*queries, keys and branches go as linear layers",
    ),
    "attention pooling": (
        {"model": pooled_by_attention},
        "Attention with constant queries, keys or values, as in attention pooling .*the class token or a mean",
    ),
    "a linear layer on the stream": (
        {"model": projected_stream},
        "A linear layer reads the residual stream without a layer norm .*'head'.*supported: linear layers after a",
    ),
    "cropped keys": ({"attn": cropped_keys}, "keys of attention are not all tokens .*'blocks.0.attn'"),
    "post-norm": (
        {"block": post_norm},
        r"reads the residual stream without a layer norm .*'blocks.0.attn.qkv'",
    ),
    "gate": ({"block": gated}, "Two computed tensors are multiplied elementwise .*'blocks.0'"),
    "two starts": ({"block": scaled_start}, "start the residual stream twice, in different ways .*'blocks.0"),
    "two linears": ({"block": linear_twice}, "another linear layer's output directly .*'blocks.0.mlp.2'"),
    "tanh": (
        {"block": hyperbolic},
        "A linear layer reads the tanh of another one's output .*'blocks.0.mlp.2'.*supported: linear layers after",
    ),
    "tangent": (
        {"block": tangent},
        r"Operator 'tan' is not supported \(.*aten.tan.default in module 'blocks.0'\).*gelu",
    ),
    "mean of half of the patches": (
        {"model": mean_of_half},
        "A mean over some of the tokens .*all but the first ones",
    ),
    "three heads": ({"model": three_heads}, "A sum of 3 heads .*supported: a head of the first token"),
    "gate of another": (
        {"block": gated_by_another},
        "Two computed tensors are multiplied elementwise .*'blocks.0'",
    ),
    "sigmoid alone": (
        {"block": sigmoid_alone},
        "A linear layer reads the sigmoid of another one's output .*0.mlp.2",
    ),
    "rms of another": (
        {"block": divided_by_another},
        "A tensor is divided by the root mean square of another one .*supported: RMS norms",
    ),
    "rms of tokens": (
        {"block": rms_of_tokens},
        "A mean of squares over other dimensions, or of scaled squares .*'blocks.0'",
    ),
    "rms of a part": ({"block": rms_of_a_part}, r"An RMS norm over the shape \[4\] .*over all channels"),
    "cube": ({"block": cubed}, "A power of 3 .*'blocks.0'"),
    "scaled stream": ({"block": scaled_stream}, "multiplied with the residual stream .*'blocks.0'"),
    "all tokens": ({"model": all_tokens}, r"The model's output has shape \[5, 5\] for each image"),
    "no head": (
        {"model": features},
        "The model's output is a norm's output; supported: a linear layer's logits",
    ),
    "two results": ({"model": two_results}, "The model returns 2 values; supported: one tensor of logits"),
    "reversed": (
        {"model": reversed_patches},
        "patches are reordered .*supported: class and other constant tokens",
    ),
    "overlapping": (
        {"model": overlapping},
        r"with kernel \[4, 4\], stride \[2, 2\].*supported: a patch emb",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    parts, sentence = REFUSED[name]
    with pytest.raises(QuantError, match=sentence):
        quantize(changed(**parts), images(Shape(), 1), name="v")


@pytest.mark.parametrize(("model", "unit"), [("gelu", "silu"), ("silu", "gelu"), ("decomposed silu", "gelu")])
def test_another_function_than_the_accelerators_is_refused(model: str, unit: str) -> None:
    wanted = model.removeprefix("decomposed ")
    sentence = rf"blocks\.0\..*{wanted}: the model's {wanted} needs activation\.function = {wanted}, but .* is {unit}"
    with pytest.raises(QuantError, match=sentence):
        quantize(
            Vit(Shape(activation=model)),
            images(Shape(), 1),
            name="v",
            activation=ActivationConfig(function=unit),
        )


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


def test_refused_programs() -> None:
    pixels = images(Shape(), 2)
    with pytest.raises(QuantError, match="takes 2 inputs; supported: one batch of images"):
        quantize(torch.export.export(TwoInputs(), (pixels, pixels)), pixels, name="v")
    program = torch.export.export(Vit(Shape()).eval(), (pixels,))
    sentence = re.escape("Calibration images are [1, 8, 4], the exported program takes [1, 8, 8]")
    with pytest.raises(QuantError, match=sentence):
        quantize(program, pixels[..., :4], name="v")
    training = torch.export.export(Vit(Shape(dropout=True)).train(), (pixels,))
    with pytest.raises(QuantError, match="Dropout is in training mode .*'drop'.*exported after .eval()"):
        quantize(training, pixels, name="v")
    with pytest.raises(QuantError, match="torch.export cannot export Vit with images \\[1, 8, 4\\]"):
        quantize(Vit(Shape()), pixels[..., :4], name="v")
    with pytest.raises(QuantError, match="A 8x10 image with patches of 4 .*'embed'.*multiples of the patch"):
        quantize(Vit(Shape()), torch.randn(1, 1, 8, 10), name="v")


def test_torch_says_nothing_beside_a_refusal(capfd: pytest.CaptureFixture[str]) -> None:
    class Branch(Vit):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x if x.sum() > 0 else -x)

    with pytest.raises(QuantError, match="torch.export cannot export Branch with images"):
        quantize(Branch(Shape()), images(Shape(), 2), name="v")
    assert capfd.readouterr() == ("", "")


def test_refused_calibration() -> None:
    model = Vit(Shape())
    with pytest.raises(QuantError, match=r"tensor \[n, C, H, W\] with n of at least 1, not \[8, 8\]"):
        quantize(model, torch.zeros(8, 8), name="v")
    with pytest.raises(QuantError, match="float32, not torch.uint8"):
        quantize(model, torch.zeros(1, 1, 8, 8, dtype=torch.uint8), name="v")
    with pytest.raises(QuantError, match="Calibration images must be finite"):
        quantize(model, torch.full((1, 1, 8, 8), float("nan")), name="v")
    with torch.no_grad():
        model.head.weight[0, 0] = float("inf")
    with pytest.raises(QuantError, match="The model's head.weight holds values that are not finite"):
        quantize(model, images(Shape(), 1), name="v")


def test_an_import_that_computes_something_else_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from vitreous.quant.importer import attention

    original = attention._attended

    def with_another_gain(walk: Any, node: Any, q: Any, k: Any, v: Any, gain: float, shape: Any) -> Any:
        return original(walk, node, q, k, v, 1.5 * gain, shape)

    monkeypatch.setattr(attention, "_attended", with_another_gain)
    with pytest.raises(QuantError, match="gives other logits than the model"):
        observe(Vit(Shape()), images(Shape(), 1), QuantScheme())
