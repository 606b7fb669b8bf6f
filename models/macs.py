"""How many multiply-accumulates one image costs: the count behind every utilization figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitreous.models.vit import ViTConfig


def macs(config: ViTConfig) -> int:
    """Multiply-accumulates of one forward pass of one image, matrix products only.

    With ``T`` tokens (class token included), ``N`` patches, ``D`` channels and ``M`` hidden channels:

        N * P*P*C * D  +  depth * (T * D * (3D + D + 2M) + 2 * T*T * D)  +  D * num_classes

    that is the patch embedding, then in each block q/k/v, projection and both MLP layers on all tokens and the
    two products of attention over all heads, then the classifier on one vector. Not counted: biases, LayerNorm,
    softmax, GELU, residual additions, averaging. DeiT-Tiny gives 1,253,683,200.
    """
    tokens, dim = config.tokens, config.dim
    embedding = config.patches * config.patch_size**2 * config.in_channels * dim
    linears = tokens * dim * (4 * dim + 2 * config.hidden)
    attention = 2 * tokens * tokens * dim
    return embedding + config.depth * (linears + attention) + dim * config.num_classes
