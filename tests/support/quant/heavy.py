"""Seeded vision transformers with the heavy tails of large trained ones, and images for calibration and for a test.

What a large trained network has and a small one lacks, each built by re-scaled weights of ``VisionTransformer``:

- a few channels of the stream, and so of every norm's output, at 20 to 60 times the median; the norms' gains undo it
  for the next layer, as training does, so that the small channels carry the network;
- a token whose stream is massive in one channel;
- a few hidden units at 20 to 60 times the median;
- heads whose scores reach 100 octaves, sure of themselves, and a key bias that takes them to ``SCORES``;
- layer scale of 0.02 to 1, folded into the layers that it follows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitreous.models import synthetic
from vitreous.models.vit import Block, VisionTransformer, ViTConfig

SIDES = {17: 16, 65: 32, 257: 64, 1370: 148}
"""Pixels of a square image by the number of tokens that it gives."""
SCORES, SURE, UNSURE = 400.0, 100.0, 6.0
"""Octaves of the largest scores: with the key bias; of sure heads in the first block (a quarter later); of others."""
ATTENTION, MLP = 1.2, 0.3
"""Of the stream's deviation: those of what the two branches add to it, over all channels."""
CHAOS = 0.06
"""Relative change of an image's logits at most, of 1 % of noise."""
MASSIVE = 40.0
"""The massive value of the stream, where small channels have a deviation of 0.5."""


@dataclass(frozen=True, kw_only=True)
class Heavy:
    """A network's seed and number of tokens, one of ``SIDES``."""

    seed: int = 0
    tokens: int = 65

    @property
    def config(self) -> ViTConfig:
        """The shape as the project's own model takes it."""
        side = SIDES[self.tokens]
        return ViTConfig(
            image_size=side, patch_size=4, dim=64, depth=3, heads=4, mlp_ratio=2.0, num_classes=32
        )


def network(what: Heavy) -> VisionTransformer:
    """The network of ``what``, in evaluation mode; equal seeds give equal weights.

    A trained network is no chaos: weights are drawn again until noise of 1 % of every channel of the stream, before
    each block, changes the logits of no image by more than ``CHAOS``.
    """
    for attempt in range(100):
        model = _drawn(what, 100 * what.seed + attempt)
        if _chaos(model, images(what, 16 if what.tokens < 1000 else 4, stream=2)) < CHAOS:
            return model
    raise ValueError(f"no network of {what} is steady")


def _chaos(model: VisionTransformer, pixels: Tensor) -> float:
    """The largest relative change of an image's logits under 1 % of noise on the stream before each block."""
    random = torch.Generator().manual_seed(1)

    def disturb(block: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        (x,) = inputs
        noise = torch.randn(x.shape, generator=random)
        return (x + 0.01 * noise * x.square().mean((0, 1)).sqrt(),)

    with torch.no_grad():
        exact = model(pixels)
        hooks = [block.register_forward_pre_hook(disturb) for block in model.blocks]
        found = model(pixels)
    for hook in hooks:
        hook.remove()
    return float(((found - exact).norm(dim=1) / exact.norm(dim=1)).max())


def _drawn(what: Heavy, seed: int) -> VisionTransformer:
    model = VisionTransformer(what.config).eval()
    synthetic.randomize(model, seed)
    random = torch.Generator().manual_seed(1000 + seed)
    loud = torch.randperm(what.config.dim, generator=random)[:3]
    factors = 20 + 40 * torch.rand(len(loud), generator=random)
    pixels = images(what, 4)
    with torch.no_grad():
        model.head.bias.zero_()
        _massive_token(model, what, random)
        _loud_channels(model, loud, factors)
        assert model.cls_token is not None
        x = torch.cat([model.cls_token.expand(len(pixels), -1, -1), model.patch_embed(pixels)], 1)
        x = x + model.pos_embed
        for number, block in enumerate(model.blocks):
            assert isinstance(block, Block)
            _attention(block, what, block.norm1(x), random, first=number == 0)
            _layer_scale(block.attn.proj, block.attn(block.norm1(x)), ATTENTION * x, random)
            x = x + block.attn(block.norm1(x))
            _hidden_units(block, block.norm2(x), random)
            _layer_scale(block.mlp.fc2, block.mlp(block.norm2(x)), MLP * x, random)
            x = x + block.mlp(block.norm2(x))
    return model


def images(what: Heavy, count: int, *, stream: int = 0) -> Tensor:
    """``count`` normalised images ``[count, 3, H, W]``, other ones for each ``stream``: 0 is for calibration."""
    side = SIDES[what.tokens]
    pixels = synthetic.images(count, (3, side, side), 7_000 + 10 * what.seed + stream)
    return synthetic.normalize(pixels, (0.5,) * 3, (0.5,) * 3)


def _layer_scale(layer: nn.Linear, branch: Tensor, like: Tensor, random: torch.Generator) -> None:
    """A gain of 0.02 to 1 for each channel, such that the ``branch`` is as large as ``like``."""
    gain = 10 ** (-1.7 * torch.rand(len(layer.bias), generator=random))
    size = (branch * gain).square().mean((0, 1)).sqrt() / like.square().mean((0, 1)).sqrt()
    gain /= size.square().mean().sqrt()
    layer.weight.mul_(gain[:, None])
    layer.bias.mul_(gain)


def _attention(block: Block, what: Heavy, x: Tensor, random: torch.Generator, *, first: bool) -> None:
    """Three of four heads look for their own place, sure of it; the rest prefer some tokens. Then a key bias."""
    dim, heads = what.config.dim, what.config.heads
    size = dim // heads
    weight, bias = block.attn.qkv.weight, block.attn.qkv.bias
    octaves = size**-0.5 * math.log2(math.e)
    for head in range(heads):
        q, k = slice(head * size, (head + 1) * size), slice(dim + head * size, dim + (head + 1) * size)
        sure = head % 4 != 3
        if sure:
            weight[q] = _places(x, size)
            weight[k], bias[q] = weight[q], 0.0
        bias[k] = 0.0
        scores = functional.linear(x, weight[q], bias[q]) @ functional.linear(x, weight[k]).mT * octaves
        factor = ((SURE if first else SURE / 4) if sure else UNSURE) / float(scores.abs().max())
        weight[q] *= factor**0.5
        bias[q] *= factor**0.5
        weight[k] *= factor**0.5
        direction = torch.randn(size, generator=random)
        shift = functional.linear(x, weight[q], bias[q]) @ direction * octaves
        bias[k] = direction * (SCORES - SURE) / float(shift.abs().max())


def _places(x: Tensor, size: int) -> Tensor:
    """The ``size`` directions in which tokens differ most by place, in units of how they differ by image."""
    place = x.double().mean(0)
    own = (x - place).flatten(0, 1)
    width = x.shape[-1]
    place = place - place.mean(0)
    noise = own.mT @ own / len(own)
    noise += 0.5 * noise.diagonal().mean() * torch.eye(width)
    values, vectors = torch.linalg.eigh(noise)
    root = vectors / values.sqrt()
    _, vectors = torch.linalg.eigh(root.mT @ (place.mT @ place) @ root)
    return (root @ vectors[:, -size:]).mT.float()


def _hidden_units(block: Block, x: Tensor, random: torch.Generator) -> None:
    """Hidden units of about one size, then three at 20 to 60 times that."""
    first = block.mlp.fc1
    first.bias.mul_(0.3)
    before = functional.linear(x, first.weight, first.bias)
    reach = before.abs().amax((0, 1))
    target = torch.full_like(reach, 2.0)
    usual = functional.gelu(before * (target / reach)).amax((0, 1)).median()
    units = torch.randperm(len(first.bias), generator=random)[:3]
    factors = 10 + 15 * torch.rand(len(units), generator=random)  # twice that on other images
    target[units] = usual * factors
    first.weight.mul_((target / reach)[:, None])
    first.bias.mul_(target / reach)
    block.mlp.fc2.weight[:, units] /= factors**0.25


def _massive_token(model: VisionTransformer, what: Heavy, random: torch.Generator) -> None:
    """A token whose position embedding is massive in one channel that the norms do not read."""
    token = 1 + int(torch.randint(what.tokens - 1, (1,), generator=random))
    channel = int(torch.randint(what.config.dim, (1,), generator=random))
    model.pos_embed[0, token, channel] = MASSIVE


def _loud_channels(model: VisionTransformer, loud: Tensor, factors: Tensor) -> None:
    """Channels of the stream, louder by ``factors``; the gains of every norm are smaller by as much."""
    model.pos_embed[..., loud] *= factors
    assert model.cls_token is not None
    model.cls_token[..., loud] *= factors
    model.patch_embed.proj.weight[loud] *= factors[:, None, None, None]
    model.patch_embed.proj.bias[loud] *= factors
    for block in model.blocks:
        assert isinstance(block, Block)
        for layer in (block.attn.proj, block.mlp.fc2):
            layer.weight[loud] *= factors[:, None]
            layer.bias[loud] *= factors
    norms = [norm for block in model.blocks for norm in (block.norm1, block.norm2)] + [model.norm]
    for norm in norms:
        norm.weight.mul_(factors.mean() / 3)
        norm.weight[loud] /= factors
