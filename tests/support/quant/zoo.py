"""Small vision transformers written in many ways, with random weights of the size that training gives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Shape:
    image: tuple[int, int, int] = (1, 8, 8)
    patch: int = 4
    dim: int = 16
    heads: int = 2
    hidden: int = 24
    depth: int = 1
    classes: int = 5
    class_token: bool = True
    qkv_bias: bool = True
    qkv: str = "fused"  # fused, by head, separate
    attention: str = "sdpa"  # sdpa, explicit, scaled query
    activation: str = "gelu"  # gelu, relu, silu, decomposed silu
    norm: str = "layer"  # layer, rms, decomposed rms, divided rms
    position: bool = True
    layer_scale: bool = False
    dropout: bool = False


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
        elif self.shape.attention == "explicit":
            mixed = self.drop((q @ k.transpose(-2, -1) * scale).softmax(dim=-1)) @ v
        else:
            mixed = torch.softmax((q * scale) @ k.mT, -1) @ v
        return self.drop(self.proj(mixed.transpose(1, 2).flatten(2)))


class DecomposedSiLU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU, "silu": nn.SiLU, "decomposed silu": DecomposedSiLU}


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
        tokens = (height // shape.patch) * (width // shape.patch) + shape.class_token
        self.embed = nn.Conv2d(channels, shape.dim, shape.patch, stride=shape.patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, shape.dim)) if shape.class_token else None
        self.pos = nn.Parameter(torch.zeros(1, tokens, shape.dim)) if shape.position else None
        self.drop = nn.Dropout(0.1 if shape.dropout else 0.0)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = normalization(shape)
        self.head = nn.Linear(shape.dim, shape.classes)
        self.pre_logits = nn.Identity()
        randomize(self, seed)

    def tokens(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).mT
        if self.cls is not None:
            x = torch.cat((self.cls.expand(x.shape[0], -1, -1), x), 1)
        return self.drop(x if self.pos is None else x + self.pos)

    def forward(self, x: Tensor) -> Tensor:
        x = self.tokens(x)
        for block in self.blocks:
            x = block(x)
        if self.shape.class_token:
            return self.head(self.pre_logits(self.norm(x)[:, 0]))
        return self.head(self.norm(x.mean(1)))


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
