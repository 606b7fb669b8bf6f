"""Small vision transformers written in many ways, with random weights of the size that training gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.transformer import Transformer
from vitreous.spec.variants import ActivationFunction


@dataclass(frozen=True, kw_only=True)
class Shape(Transformer):
    image: tuple[int, int, int] = (1, 8, 8)
    dim: int = 16
    depth: int = 1
    classes: int = 5
    qkv_bias: bool = True
    qkv: str = "fused"  # fused, by head, separate
    attention: str = "sdpa"  # sdpa, explicit, scaled query; with a mask that masks nothing: MASKS
    activation: str = "gelu"  # ACTIVATIONS
    norm: str = "layer"  # layer, rms, decomposed rms, divided rms
    position: bool = True
    layer_scale: bool = False
    dropout: bool = False
    patches: str = "conv"  # conv, reshape, unfold
    registers: int = 0  # constant tokens after the class token
    start_norm: bool = False  # of the embedded patches, as in CLIP
    head: str = ""  # "": the class token, or the mean before the last norm; else HEADS
    ending: str = ""  # softmax, log_softmax, sigmoid, dict; CHOICES

    @property
    def prefix(self) -> int:
        return self.class_token + self.registers


CHOICES = {"argmax": "softmax", "max": "", "topk": "log_softmax"}
"""Endings that give classes, and what is before them."""
HEADS = (
    "patch mean",
    "mean after norm",
    "patch mean after norm",
    "token and patch mean",
    "two tokens",
)
"""Means over patches before and after the last norm; as DINOv2 has it; and the mean of two heads of distilled DeiT."""


def _written_mask(x: Tensor) -> Tensor:
    """As Hugging Face makes it: an attention mask of ones, expanded and inverted."""
    ones = torch.ones(x.shape[0], x.shape[1])
    return (1.0 - ones[:, None, None, :].expand(-1, 1, x.shape[1], -1)) * torch.finfo(torch.float32).min


MASKS = {
    "true mask": lambda x: torch.ones(x.shape[1], x.shape[1], dtype=torch.bool),
    "zero mask": lambda x: torch.zeros(x.shape[0], 1, x.shape[1], x.shape[1]),
    "written mask": _written_mask,
    "rows shifted": lambda x: torch.arange(float(x.shape[1]))[:, None].expand(-1, x.shape[1]),
}


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        if shape.qkv == "separate":
            self.q, self.k, self.v = (nn.Linear(shape.dim, shape.dim, bias=shape.qkv_bias) for _ in range(3))
        else:
            self.qkv = nn.Linear(shape.dim, 3 * shape.dim, bias=shape.qkv_bias)
        self.proj = nn.Linear(shape.dim, shape.dim)
        self.drop = nn.Dropout(0.1 if shape.dropout else 0.0)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, tokens, _ = x.shape
        heads = self.shape.heads
        if self.shape.qkv == "separate":
            q, k, v = (
                part(x).view(batch, tokens, heads, -1).transpose(1, 2) for part in (self.q, self.k, self.v)
            )
        elif self.shape.qkv == "by head":
            q, k, v = self.qkv(x).view(batch, tokens, heads, -1).transpose(1, 2).chunk(3, dim=-1)
        else:
            q, k, v = self.qkv(x).reshape(batch, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(x)
        scale = q.shape[-1] ** -0.5
        if self.shape.attention == "sdpa":
            mixed = F.scaled_dot_product_attention(q, k, v)
        elif self.shape.attention in MASKS:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=MASKS[self.shape.attention](x))
        elif self.shape.attention == "masked fill":
            scores = (q @ k.mT * scale).masked_fill(torch.ones(x.shape[1], x.shape[1]) == 0, -1e9)
            mixed = (scores + MASKS["rows shifted"](x)).softmax(-1) @ v
        elif self.shape.attention == "explicit":
            mixed = self.drop((q @ k.transpose(-2, -1) * scale).softmax(dim=-1)) @ v
        else:
            mixed = torch.softmax((q * scale) @ k.mT, -1) @ v
        return self.drop(self.proj(mixed.transpose(1, 2).flatten(2)))


class DecomposedSiLU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class Written(nn.Module):
    """An activation function as libraries write it out."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        root = (2 / torch.pi) ** 0.5
        if self.name == "erf":
            return x * 0.5 * (1.0 + torch.erf(x / 2**0.5))
        if self.name == "tanh":
            return 0.5 * x * (1.0 + torch.tanh(root * (x + 0.044715 * torch.pow(x, 3.0))))
        if self.name == "fast tanh":
            return 0.5 * x * (1.0 + torch.tanh(x * 0.7978845608 * (1.0 + 0.044715 * x * x)))
        return x * torch.sigmoid((1.702 if self.name == "quick" else 2.5) * x)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "gelu tanh": lambda: nn.GELU(approximate="tanh"),
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "decomposed silu": DecomposedSiLU,
    **{name: partial(Written, name) for name in ("erf", "tanh", "fast tanh", "quick", "steep silu")},
}
FUNCTION = {
    "gelu tanh": ActivationFunction.GELU_TANH,
    "tanh": ActivationFunction.GELU_TANH,
    "fast tanh": ActivationFunction.GELU_TANH,
    "quick": ActivationFunction.QUICK_GELU,
    "silu": ActivationFunction.SILU,
    "decomposed silu": ActivationFunction.SILU,
    "steep silu": ActivationFunction.SILU,
}
"""What the accelerator's activation.function must be, where it is not gelu."""


class DecomposedRms(nn.Module):
    """As large language models write it, or with a division."""

    def __init__(self, dim: int, eps: float, *, divided: bool) -> None:
        super().__init__()
        self.weight, self.eps, self.divided = nn.Parameter(torch.ones(dim)), eps, divided

    def forward(self, x: Tensor) -> Tensor:
        if self.divided:
            return x / torch.sqrt((x * x).mean(dim=-1, keepdim=True) + self.eps) * self.weight
        wide = x.to(torch.float32)
        return self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)).to(x.dtype)


def normalization(shape: Shape, eps: float = 1e-5) -> nn.Module:
    if shape.norm == "layer":
        return nn.LayerNorm(shape.dim, eps=eps)
    if shape.norm == "rms":
        return nn.RMSNorm(shape.dim, eps=eps)
    return DecomposedRms(shape.dim, eps, divided=shape.norm == "divided rms")


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm1, self.norm2 = normalization(shape), normalization(shape, 1e-6)
        self.attn = Attention(shape)
        act = ACTIVATIONS[shape.activation]()
        self.mlp = nn.Sequential(nn.Linear(shape.dim, shape.hidden), act, nn.Linear(shape.hidden, shape.dim))
        self.scale = nn.Parameter(torch.ones(shape.dim)) if shape.layer_scale else None

    def forward(self, x: Tensor) -> Tensor:
        branch = self.attn(self.norm1(x))
        x = x + (branch if self.scale is None else branch * self.scale)
        return self.mlp(self.norm2(x)) + x


class Vit(nn.Module):
    def __init__(self, shape: Shape, seed: int = 0) -> None:
        super().__init__()
        channels, height, width = shape.image
        self.shape = shape
        tokens = (height // shape.patch) * (width // shape.patch) + shape.prefix
        self.embed: nn.Module = nn.Conv2d(channels, shape.dim, shape.patch, stride=shape.patch)
        if shape.patches != "conv":
            self.embed = nn.Linear(channels * shape.patch**2, shape.dim)
        self.cls = nn.Parameter(torch.zeros(1, shape.prefix, shape.dim)) if shape.prefix else None
        self.pos = nn.Parameter(torch.zeros(1, tokens, shape.dim)) if shape.position else None
        self.drop = nn.Dropout(0.1 if shape.dropout else 0.0)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = normalization(shape)
        wide = shape.head == "token and patch mean"
        self.head = nn.Linear((1 + wide) * shape.dim, shape.classes)
        self.second = nn.Linear(shape.dim, shape.classes) if shape.head == "two tokens" else None
        self.start = normalization(shape) if shape.start_norm else nn.Identity()
        self.pre_logits = nn.Identity()
        randomize(self, seed)

    def tokens(self, x: Tensor) -> Tensor:
        x = self.embedded(x)
        if self.cls is not None:
            x = torch.cat((self.cls.expand(x.shape[0], -1, -1), x), 1)
        return self.start(self.drop(x if self.pos is None else x + self.pos))

    def embedded(self, x: Tensor) -> Tensor:
        size = self.shape.patch
        if self.shape.patches == "conv":
            return self.embed(x).flatten(2).mT
        if self.shape.patches == "unfold":
            return self.embed(F.unfold(x, size, stride=size).mT)
        # Pixels in the order row, column, channel.
        batch, channels, height, width = x.shape
        x = x.reshape(batch, channels, height // size, size, width // size, size)
        return self.embed(x.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, size * size * channels))

    def forward(self, x: Tensor) -> Any:
        x = self.tokens(x)
        for block in self.blocks:
            x = block(x)
        return self.ended(self.classified(x))

    def classified(self, x: Tensor) -> Tensor:
        prefix = self.shape.prefix
        match self.shape.head:
            case "patch mean":
                return self.head(self.norm(x[:, prefix:].mean(1)))
            case "mean after norm":
                return self.head(self.norm(x).mean(dim=1))
            case "patch mean after norm":
                return self.head(self.norm(x)[:, prefix:].mean(dim=1))
            case "token and patch mean":
                x = self.norm(x)
                return self.head(torch.cat([x[:, 0], x[:, prefix:].mean(dim=1)], dim=1))
            case "two tokens":
                assert self.second is not None
                x = self.norm(x)
                return (self.head(x[:, 0]) + self.second(x[:, 1])) / 2
        if self.shape.class_token:
            return self.head(self.pre_logits(self.norm(x)[:, 0]))
        return self.head(self.norm(x.mean(1)))

    def ended(self, logits: Tensor) -> Any:
        match self.shape.ending:
            case "softmax":
                return logits.softmax(-1)
            case "log_softmax":
                return F.log_softmax(logits, dim=1)
            case "sigmoid":
                return logits.sigmoid()
            case "argmax":
                return logits.softmax(-1).argmax(-1)
            case "max":
                return logits.max(dim=1).indices
            case "topk":
                return logits.log_softmax(-1).topk(2).indices
            case "dict":
                return {"logits": logits, "probabilities": logits.softmax(-1)}
        return logits


def randomize(model: nn.Module, seed: int) -> None:
    """Weights of variance 1 / inputs, layer norms around 1, and every bias far from zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                noise = torch.randn(parameter.shape, generator=generator)
                if isinstance(module, nn.LayerNorm | nn.RMSNorm | DecomposedRms) and name == "weight":
                    parameter.copy_(1 + 0.3 * noise)
                elif parameter.dim() >= 2 and name == "weight":
                    parameter.copy_(noise / parameter[0].numel() ** 0.5)
                else:
                    parameter.copy_(0.3 * noise)


def images(shape: Shape, count: int, seed: int = 1) -> Tensor:
    """Pixels of normal distribution, with an offset that makes a zero point matter."""
    return torch.randn(count, *shape.image, generator=torch.Generator().manual_seed(seed)) + 0.4
