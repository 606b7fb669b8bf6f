"""Changes of a vision transformer's weights that leave its float function as it is, by a seed.

None of them may cost the integer network anything. Each works in place on a ``VisionTransformer``; float64 inside, so
that only the storage of the weights in float32 rounds.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vitreous.models.vit import Block, VisionTransformer

Change = Callable[[VisionTransformer, torch.Generator], None]


def spread(count: int, factor: float, random: torch.Generator) -> Tensor:
    """Log-uniform numbers in ``1 / factor .. factor``."""
    return factor ** (2 * torch.rand(count, generator=random, dtype=torch.float64) - 1)


def constant_keys(model: VisionTransformer, random: torch.Generator) -> None:
    """A constant added to all keys; softmax ignores what it adds to a row of scores."""
    for block, dim in _blocks(model):
        bias = _bias(block.attn.qkv)
        bias[dim : 2 * dim] += 20 * torch.randn(dim, generator=random)


def queries_against_keys(model: VisionTransformer, random: torch.Generator) -> None:
    """Channels of q and of k scaled inversely, by up to 16."""
    for block, dim in _blocks(model):
        factor = spread(dim, 16, random)
        _scale_rows(block.attn.qkv, slice(0, dim), factor)
        _scale_rows(block.attn.qkv, slice(dim, 2 * dim), 1 / factor)


def gains_against_weights(model: VisionTransformer, random: torch.Generator) -> None:
    """Gains and offsets of norms against the columns of the next layer's weights, by up to 16."""
    for norm, layer in _norms(model):
        _gain(norm, layer, spread(len(norm.weight), 16, random))


def loud_norm_outputs(model: VisionTransformer, random: torch.Generator) -> None:
    """Channels of norms' outputs, 2 % of them, made eight times as large; the next layer divides by as much."""
    for norm, layer in _norms(model):
        factor = torch.ones(len(norm.weight), dtype=torch.float64)
        chosen = torch.randperm(len(factor), generator=random)[: max(1, round(0.02 * len(factor)))]
        factor[chosen] = 8.0
        _gain(norm, layer, factor)


def values_against_proj(model: VisionTransformer, random: torch.Generator) -> None:
    """Channels of v against the columns of the projection, by up to 16, and a constant in v against its bias."""
    for block, dim in _blocks(model):
        factor = spread(dim, 16, random)
        offset = torch.randn(dim, generator=random, dtype=torch.float64)
        v, proj = slice(2 * dim, 3 * dim), block.attn.proj
        proj.bias -= (proj.weight.double() @ offset).float()
        bias = _bias(block.attn.qkv)
        bias[v] += offset.float()
        _scale_rows(block.attn.qkv, v, factor)
        proj.weight.copy_(proj.weight.double() / factor)


def hidden_units(model: VisionTransformer, random: torch.Generator) -> None:
    """Hidden units of ReLU against the columns of fc2, by up to 16. Raises ValueError for another activation."""
    for block, _ in _blocks(model):
        if not isinstance(block.mlp.act, nn.ReLU):
            raise ValueError("only ReLU lets a positive factor through")
        factor = spread(len(block.mlp.fc1.bias), 16, random)
        _scale_rows(block.mlp.fc1, slice(None), factor)
        block.mlp.fc2.weight.copy_(block.mlp.fc2.weight.double() / factor)


def constant_stream(model: VisionTransformer, random: torch.Generator) -> None:
    """Massive tokens: a constant in all channels of some tokens, and in what branches add; layer norm removes it."""
    tokens = torch.randperm(model.pos_embed.shape[1], generator=random)[:3]
    model.pos_embed[0, tokens] += 300 * torch.randn(3, 1, generator=random)
    for block, _ in _blocks(model):
        block.attn.proj.bias += 30 * float(torch.randn((), generator=random))
        row = block.mlp.fc2.weight.square().mean().sqrt()
        block.mlp.fc2.weight += 5 * row * torch.randn(1, block.mlp.fc2.in_features, generator=random)


def turned_stream(model: VisionTransformer, random: torch.Generator) -> None:
    """Massive channels: the stream turned by an orthogonal matrix that keeps the mean, so that few channels hold most.

    Norms' gains go into the next layers first. The matrix has the principal directions of the position embedding.
    """
    for norm, layer in _norms(model):
        _gain(norm, layer, 1 / norm.weight.double())
        if isinstance(norm, nn.LayerNorm):
            _bias(layer).add_((layer.weight.double() @ norm.bias.double()).float())
            norm.bias.zero_()
    keep = isinstance(model.blocks[0].norm1, nn.LayerNorm)  # type: ignore[union-attr]
    turn = _principal(model, keep=keep)
    assert model.cls_token is not None
    for value in (model.pos_embed, model.cls_token):
        value.copy_(value.double() @ turn.T)
    embed = model.patch_embed.proj
    embed.weight.copy_((turn @ embed.weight.double().flatten(1)).view_as(embed.weight))
    embed.bias.copy_(turn @ embed.bias.double())
    for block, _ in _blocks(model):
        for writer in (block.attn.proj, block.mlp.fc2):
            writer.weight.copy_(turn @ writer.weight.double())
            writer.bias.copy_(turn @ writer.bias.double())
    for _, layer in _norms(model):
        layer.weight.copy_(layer.weight.double() @ turn.T)


CHANGES: dict[str, Change] = {
    "a constant in all keys": constant_keys,
    "q against k": queries_against_keys,
    "norm gains against weights": gains_against_weights,
    "loud norm outputs": loud_norm_outputs,
    "v against proj": values_against_proj,
    "fc1 against fc2": hidden_units,
    "massive tokens": constant_stream,
    "massive channels": turned_stream,
}


def changes_of(model: VisionTransformer) -> dict[str, Change]:
    """Those that leave this network's function as it is, in an order in which all can be applied."""
    config = model.config
    left = {
        hidden_units: config.activation == "relu",
        constant_stream: config.norm == "layer",
        constant_keys: config.qkv_bias,
        values_against_proj: config.qkv_bias,
    }
    order = ["massive channels", *(name for name in CHANGES if name != "massive channels")]
    return {name: CHANGES[name] for name in order if left.get(CHANGES[name], True)}


def changed(model: VisionTransformer, names: list[str], seed: int = 0) -> VisionTransformer:
    """A copy of ``model`` with the changes applied one after another."""
    made = VisionTransformer(model.config).eval()
    made.load_state_dict(model.state_dict())
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in names:
            CHANGES[name](made, random)
    return made


def _blocks(model: VisionTransformer) -> list[tuple[Block, int]]:
    return [(block, model.config.dim) for block in model.blocks if isinstance(block, Block)]


def _bias(layer: nn.Linear) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def _norms(model: VisionTransformer) -> list[tuple[nn.LayerNorm | nn.RMSNorm, nn.Linear]]:
    found = []
    for block, _ in _blocks(model):
        found += [(block.norm1, block.attn.qkv), (block.norm2, block.mlp.fc1)]
    last = model.norm if model.config.class_token else model.fc_norm
    assert isinstance(last, nn.LayerNorm | nn.RMSNorm)
    return [*found, (last, model.head)]


def _scale_rows(layer: nn.Linear, rows: slice, factor: Tensor) -> None:
    layer.weight[rows] = (layer.weight[rows].double() * factor[:, None]).float()
    if layer.bias is not None:
        layer.bias[rows] = (layer.bias[rows].double() * factor).float()


def _gain(norm: nn.LayerNorm | nn.RMSNorm, layer: nn.Linear, factor: Tensor) -> None:
    norm.weight.copy_(norm.weight.double() * factor)
    if isinstance(norm, nn.LayerNorm):
        norm.bias.copy_(norm.bias.double() * factor)
    layer.weight.copy_(layer.weight.double() / factor)


def _principal(model: VisionTransformer, *, keep: bool) -> Tensor:
    """Orthogonal, float64: rows are the principal directions of what starts the stream; ``keep`` maps ones to ones."""
    width = model.config.dim
    start = torch.cat([model.pos_embed[0].double(), model.patch_embed.proj.weight.double().flatten(1).T])
    ones = torch.full((width, 1), width**-0.5, dtype=torch.float64)
    rest = torch.eye(width, dtype=torch.float64) - (ones @ ones.T if keep else 0)
    _, directions = torch.linalg.eigh(rest @ start.T @ start @ rest)
    turn = directions.flip(1).T
    if not keep:
        return turn
    # The direction of ones has eigenvalue 0, which is the last; a basis that maps it to ones finishes the matrix.
    turn = torch.cat([ones.T, turn[:-1]])
    basis, _ = torch.linalg.qr(torch.cat([ones, torch.eye(width, dtype=torch.float64)[:, :-1]], 1))
    basis = basis * torch.sign(basis[0, 0])
    return basis @ turn
