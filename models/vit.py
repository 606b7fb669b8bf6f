"""The vision transformer that ships with the project: timm's parameter names and mathematics, torch only.

For an image ``x`` of shape ``[B, C, H, W]`` with patch ``P`` (``N = (H/P)(W/P)`` patches, ``D`` channels):

    t = conv(x, stride P) as [B, N, D]; t = [cls; t] + pos_embed
    for each block:  t = t + proj(attention(qkv(LN(t))));  t = t + fc2(gelu(fc1(LN(t))))
    with a class token:     logits = head(LN(t)[:, 0])
    without a class token:  logits = head(LN(mean over patches of t))

With ``R`` registers ``t = [cls; registers; t + pos_embed]``: only patches have positions. With layer scale each branch
is multiplied by a gain for each channel before it is added: ``t + ls1 * proj(...)``, ``t + ls2 * fc2(...)``.

GELU is the exact one (erf), LayerNorm has epsilon 1e-6. Large language models have SiLU and RMSNorm in their places:
``activation`` and ``norm`` of the configuration. Reference: Dosovitskiy et al., "An Image is Worth
16x16 Words" (2021); Touvron et al., "Training data-efficient image transformers" (2021), "Going deeper with image
transformers" (2021) for layer scale; Darcet et al., "Vision transformers need registers" (2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitreous.models.errors import ModelError

LAYER_NORM_EPS = 1e-6
LAYER_SCALE_START = 1e-5
"""Of the gains of layer scale before training, as deep ViTs and DINOv2 have it."""
ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "silu": nn.SiLU, "relu": nn.ReLU}
NORMS: dict[str, type[nn.LayerNorm] | type[nn.RMSNorm]] = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}


@dataclass(frozen=True, kw_only=True)
class ViTConfig:
    """Shape of a vision transformer.

    ``image_size`` is one side or ``(height, width)`` in pixels; ``patch_size`` must divide both. ``mlp_ratio``
    times ``dim`` is the hidden width. Without a class token the patches are averaged before the last LayerNorm.
    ``registers`` is how many constant tokens come after the class token; then only patches have positions (timm's
    ``no_embed_class``). ``layer_scale`` gives each branch a gain for each channel.
    ``activation`` is gelu, silu or relu; ``norm`` is layer or rms.

    Raises ``ModelError`` when a field does not fit.
    """

    image_size: int | tuple[int, int]
    patch_size: int
    in_channels: int = 3
    dim: int
    depth: int
    heads: int
    mlp_ratio: float = 4.0
    num_classes: int
    class_token: bool = True
    registers: int = 0
    layer_scale: bool = False
    qkv_bias: bool = True
    activation: str = "gelu"
    norm: str = "layer"

    def __post_init__(self) -> None:
        counts = ("patch_size", "in_channels", "dim", "depth", "heads", "num_classes")
        for name in counts:
            if getattr(self, name) < 1:
                raise ModelError(f"{name} must be a positive integer, not {getattr(self, name)}")
        if self.registers < 0:
            raise ModelError(f"registers must be 0 or more, not {self.registers}")
        for side in self.image_shape:
            if side < 1 or side % self.patch_size:
                raise ModelError(
                    f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}"
                )
        for name, known in (("activation", ACTIVATIONS), ("norm", NORMS)):
            if getattr(self, name) not in known:
                raise ModelError(f"{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}")
        if self.dim % self.heads:
            raise ModelError(f"dim {self.dim} is not a multiple of heads {self.heads}")
        if self.hidden < 1:
            raise ModelError(f"mlp_ratio {self.mlp_ratio} leaves no hidden channel at dim {self.dim}")

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""
        return self.image_size if isinstance(self.image_size, tuple) else (self.image_size, self.image_size)

    @property
    def patches(self) -> int:
        """Number of patches of one image."""
        height, width = self.image_shape
        return (height // self.patch_size) * (width // self.patch_size)

    @property
    def tokens(self) -> int:
        """Length of the token sequence: the patches and, where there are some, the class token and the registers."""
        return self.prefix + self.patches

    @property
    def prefix(self) -> int:
        """Number of tokens before the first patch: class token and registers."""
        return int(self.class_token) + self.registers

    @property
    def positions(self) -> int:
        """Number of tokens that have a position embedding: the patches alone where there are registers."""
        return self.patches if self.registers else self.tokens

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.dim // self.heads

    @property
    def hidden(self) -> int:
        """Channels between the two linear layers of a block."""
        return int(self.dim * self.mlp_ratio)


class PatchEmbed(nn.Module):
    """``[B, C, H, W]`` to ``[B, N, D]``: a convolution whose stride equals its kernel, patches in row order."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        patch = config.patch_size
        self.proj = nn.Conv2d(config.in_channels, config.dim, kernel_size=patch, stride=patch)

    def forward(self, images: Tensor) -> Tensor:
        """Embed the patches."""
        return cast(Tensor, self.proj(images)).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention, ``softmax(q k^T / sqrt(head_dim)) v``; q, k and v come from one matrix."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.head_dim = config.head_dim
        self.qkv = nn.Linear(config.dim, 3 * config.dim, bias=config.qkv_bias)
        self.proj = nn.Linear(config.dim, config.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[B, T, D]`` to ``[B, T, D]``."""
        batch, count, dim = tokens.shape
        qkv = self.qkv(tokens).reshape(batch, count, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return cast(Tensor, self.proj(mixed.transpose(1, 2).reshape(batch, count, dim)))


class Mlp(nn.Module):
    """``fc2(act(fc1(x)))``: the exact GELU, ``x/2 * (1 + erf(x / sqrt(2)))``, SiLU or ReLU."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.dim, config.hidden)
        self.act = ACTIVATIONS[config.activation]()
        self.fc2 = nn.Linear(config.hidden, config.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[B, T, D]`` to ``[B, T, D]``."""
        return cast(Tensor, self.fc2(self.act(self.fc1(tokens))))


class LayerScale(nn.Module):
    """``x * gamma``: a gain for each channel."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), LAYER_SCALE_START))

    def forward(self, tokens: Tensor) -> Tensor:
        """``[B, T, D]`` to ``[B, T, D]``."""
        return tokens * self.gamma


class Block(nn.Module):
    """One pre-norm encoder layer."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.norm1 = NORMS[config.norm](config.dim, eps=LAYER_NORM_EPS)
        self.attn = Attention(config)
        self.ls1 = LayerScale(config.dim) if config.layer_scale else nn.Identity()
        self.norm2 = NORMS[config.norm](config.dim, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(config)
        self.ls2 = LayerScale(config.dim) if config.layer_scale else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        """``[B, T, D]`` to ``[B, T, D]``."""
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        return cast(Tensor, tokens + self.ls2(self.mlp(self.norm2(tokens))))


class VisionTransformer(nn.Module):
    """A ViT classifier, ``[B, C, H, W]`` to logits ``[B, num_classes]``; formula in the module's docstring.

    Parameters: ``config``. Members: ``config`` and ``input_shape`` ``(C, H, W)``. Parameter names are timm's:
    with a class token the last LayerNorm is ``norm``, without one it is ``fc_norm`` and ``norm`` is empty.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        self.input_shape = (config.in_channels, *config.image_shape)
        self.patch_embed = PatchEmbed(config)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.dim)) if config.class_token else None
        self.reg_token = (
            nn.Parameter(torch.zeros(1, config.registers, config.dim)) if config.registers else None
        )
        self.pos_embed = nn.Parameter(torch.zeros(1, config.positions, config.dim))
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.depth)))
        norm = NORMS[config.norm](config.dim, eps=LAYER_NORM_EPS)
        self.norm = norm if config.class_token else nn.Identity()
        self.fc_norm = nn.Identity() if config.class_token else norm
        self.head = nn.Linear(config.dim, config.num_classes)
        self._initialize()

    def _initialize(self) -> None:
        """The usual ViT start: normal weights of deviation 0.02, zero biases, near-zero class token and registers."""
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for token in (self.cls_token, self.reg_token):
            if token is not None:
                nn.init.normal_(token, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Classify ``images`` ``[B, C, H, W]``; returns logits ``[B, num_classes]``."""
        tokens = self.norm(self.blocks(self._embedded(images)))
        pooled = tokens[:, self.config.prefix :].mean(dim=1) if self.cls_token is None else tokens[:, 0]
        return cast(Tensor, self.head(self.fc_norm(pooled)))

    def _embedded(self, images: Tensor) -> Tensor:
        """The stream before the first block, ``[B, T, D]``: class token, registers, patches."""
        patches = self.patch_embed(images)
        before = [token for token in (self.cls_token, self.reg_token) if token is not None]
        if self.reg_token is not None:
            patches = patches + self.pos_embed
        if before:
            patches = torch.cat(
                [*(token.expand(patches.shape[0], -1, -1) for token in before), patches], dim=1
            )
        return patches if self.reg_token is not None else patches + self.pos_embed
