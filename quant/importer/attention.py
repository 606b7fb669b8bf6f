"""Import of attention: fused or decomposed, heads split and merged in any way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from vitreous.quant.errors import module_path, refuse
from vitreous.quant.importer.float_ir import Attention, HeadMean, HeadSum, Linear, Norm
from vitreous.quant.importer.layers import chosen, read_rows
from vitreous.quant.importer.partial import Pooled, Scores, Softmax, described
from vitreous.quant.importer.view import View, uniform
from vitreous.quant.importer.walk import Walk

_SUPPORTED = (
    "self-attention softmax(scale * q k^T) v over all tokens, q, k and v from linear layers, no mask, no bias"
)

_POOLING = (
    "self-attention, whose queries come from the tokens; for one vector at the end the class token or a mean over "
    "tokens"
)


@dataclass(frozen=True, eq=False)
class Heads:
    """An operand split into heads: its linear layer with channels in the order head, channel, and which (image, head)
    each matrix of the batch is."""

    linear: Linear
    batch: Tensor
    head: Tensor
    heads: int


def scaled_dot_product(
    walk: Walk,
    node: fx.Node,
    query: View,
    key: View,
    value: View,
    mask: Any = None,
    dropout: float = 0.0,
    causal: bool = False,
    *,
    attn_mask: Any = None,
    scale: float | None = None,
    **kwargs: Any,
) -> View:
    """``torch.nn.functional.scaled_dot_product_attention`` and its kernels."""
    # The CPU kernel's operator has no mask among its positional arguments.
    if isinstance(mask, float):
        mask, dropout, causal = None, mask, bool(dropout)
    if not all(isinstance(operand, View) for operand in (query, key, value)):
        raise refuse(
            node, "Attention with constant queries, keys or values, as in attention pooling", _POOLING
        )
    one_token = query.shape[-2] == key.shape[-2] == 1
    for given in (mask, attn_mask):
        if not _masks_nothing(given):
            raise refuse(node, "Attention with a mask or bias that is not the same for all keys", _SUPPORTED)
    if (causal or kwargs.get("is_causal")) and not one_token:
        raise refuse(node, "Attention with a causal mask", _SUPPORTED)
    if dropout or kwargs.get("dropout_p"):
        raise refuse(node, "Attention with dropout in training mode", "a model exported after .eval()")
    if kwargs.get("enable_gqa"):
        raise refuse(node, "Attention with grouped queries", _SUPPORTED)
    gain = 1 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
    if gain <= 0:
        raise refuse(node, "Attention scores whose scale is not above 0", _SUPPORTED)
    # Without the scores' element numbers, which would be heads times tokens times tokens.
    q, k = _pair(walk, node, query, key)
    return _attended(walk, node, q, k, _heads(walk, node, value, "values"), gain, query.shape[:-1])


def _masks_nothing(mask: Any) -> bool:
    """Whether a mask changes no probability: True for all keys, or the same finite number added to all of a row's."""
    if mask is None:
        return True
    if not isinstance(mask, Tensor):
        return False
    if mask.dtype == torch.bool:
        return bool(mask.all())
    return bool(torch.isfinite(mask).all()) and torch.equal(mask, mask[..., :1].expand_as(mask))


def product(walk: Walk, node: fx.Node, left: View, right: View) -> View:
    """A product of two computed tensors: queries with keys, or probabilities with values."""
    if isinstance(left.source, Softmax):
        return _context(walk, node, left, right)
    return _scores(walk, node, left, _transposed(right))


def softmax(walk: Walk, node: fx.Node, view: View) -> View:
    """Softmax over the last dimension."""
    return _softmax(walk, node, view)


def _transposed(view: View) -> View:
    def turned(part: Tensor | None) -> Tensor | None:
        return None if part is None else part.mT.contiguous()

    return View(view.source, view.index.mT.contiguous(), turned(view.gain), turned(view.offset), view.node)


def _heads(walk: Walk, node: fx.Node, view: View, role: str) -> Heads:
    """Read ``[..., T, d]`` as heads."""
    source, batch = view.source, walk.batch
    tokens, size = view.shape[-2:]
    if not isinstance(source, Linear):
        kind = "a normalization of their own" if isinstance(source, Norm) else described(source)
        pooling = isinstance(source, Pooled | HeadMean | HeadSum)
        raise refuse(node, f"The {role} of attention come from {kind}", _POOLING if pooling else _SUPPORTED)
    index = view.index.reshape(-1, tokens, size)
    image, token, channel = (
        index // (source.tokens * source.width),
        index // source.width % source.tokens,
        index % source.width,
    )
    whole_tokens = tokens == source.tokens and torch.equal(
        token, torch.arange(tokens)[None, :, None].expand_as(token)
    )
    even = torch.equal(channel, channel[:, :1].expand_as(channel)) and torch.equal(
        image, image[:, :1, :1].expand_as(image)
    )
    if bool((index < 0).any()) or not whole_tokens or not even or len(index) % batch:
        raise refuse(node, f"The {role} of attention are not all tokens split into heads", _SUPPORTED)
    order = torch.argsort(image[:, 0, 0], stable=True)
    count = len(index) // batch

    def by_head(values: Tensor) -> Tensor:
        """[batch * heads, d] to [heads * d], the same for each image."""
        table = values[order].reshape(batch, -1)
        if not torch.equal(table, table[:1].expand_as(table)):
            raise refuse(node, f"The {role} of attention differ between the images of a batch", _SUPPORTED)
        return table[0].clone()

    head = torch.empty(len(index), dtype=torch.int64)
    head[order] = torch.arange(len(index)) % count
    gain = by_head(_of_tokens(node, view.gain, index, 1.0, role))
    offset = by_head(_of_tokens(node, view.offset, index, 0.0, role))
    linear = chosen(view, by_head(channel[:, 0]), gain, offset, role[0])
    return Heads(linear, image[:, 0, 0], head, count)


def _of_tokens(node: fx.Node, values: Tensor | None, index: Tensor, default: float, role: str) -> Tensor:
    """Gains or offsets ``[batch * heads, d]``, equal for all tokens."""
    if values is None:
        return torch.full((index.shape[0], index.shape[2]), default, dtype=torch.float64)
    table = values.reshape(index.shape)
    if not torch.equal(table, table[:, :1].expand_as(table)):
        raise refuse(
            node,
            f"The {role} of attention are scaled or shifted differently for different tokens",
            _SUPPORTED,
        )
    return table[:, 0]


def _pair(walk: Walk, node: fx.Node, query: View, key: View) -> tuple[Heads, Heads]:
    """Queries and keys that belong together."""
    q, k = _heads(walk, node, query, "queries"), _heads(walk, node, key, "keys")
    if query.shape != key.shape or not (torch.equal(q.batch, k.batch) and torch.equal(q.head, k.head)):
        raise refuse(node, "Queries and keys with different heads or tokens", _SUPPORTED)
    return q, k


def _scores(walk: Walk, node: fx.Node, query: View, key: View) -> View:
    q, k = _pair(walk, node, query, key)
    tokens = q.linear.tokens
    made = Scores(
        tokens=q.heads * tokens, width=tokens, layer=module_path(node), q=q.linear, k=k.linear, heads=q.heads
    )
    index = _matrices(q, tokens)
    return View(made, index.reshape(*query.shape[:-1], tokens))


def _matrices(heads: Heads, tokens: int) -> Tensor:
    """Element numbers ``[matrices, tokens, tokens]`` of the scores of each image and head."""
    matrix = (heads.batch * heads.heads + heads.head)[:, None, None] * tokens * tokens
    return matrix + torch.arange(tokens * tokens).reshape(1, tokens, tokens)


def _softmax(walk: Walk, node: fx.Node, view: View) -> View:
    source = view.source
    if not isinstance(source, Scores):
        raise refuse(node, f"Softmax of {described(source)}", _SUPPORTED)
    gain = uniform(view.gain, 1.0)
    if view.offset is not None and not _masks_nothing(view.offset):
        raise refuse(node, "Attention with a mask or bias added to the scores", _SUPPORTED)
    if gain is None or gain <= 0:
        raise refuse(node, "Attention scores with several scales, or none above 0", _SUPPORTED)
    read = read_rows(node, View(source, view.index), "softmax")
    if not torch.equal(read.channel, torch.arange(source.width)):
        raise refuse(node, "Softmax over some of the keys", _SUPPORTED)
    made = Softmax(
        tokens=source.tokens, width=source.width, layer=module_path(node), scores=source, gain=gain
    )
    return View(made, view.index)


def _context(walk: Walk, node: fx.Node, weights: View, value: View) -> View:
    probabilities = weights.source
    assert isinstance(probabilities, Softmax)
    scores = probabilities.scores
    v = _heads(walk, node, value, "values")
    tokens = v.linear.tokens
    plain = weights.gain is None and weights.offset is None
    if v.heads != scores.heads or tokens != scores.width or not plain:
        raise refuse(
            node,
            "Probabilities and values with different heads or tokens, or scaled probabilities",
            _SUPPORTED,
        )
    if not torch.equal(weights.index.reshape(-1, tokens, tokens), _matrices(v, tokens)):
        raise refuse(node, "Values with other heads than queries", _SUPPORTED)
    q = Heads(scores.q, v.batch, v.head, scores.heads)
    k = Heads(scores.k, v.batch, v.head, scores.heads)
    return _attended(walk, node, q, k, v, probabilities.gain, weights.shape[:-1])


def _attended(
    walk: Walk, node: fx.Node, q: Heads, k: Heads, v: Heads, gain: float, shape: torch.Size
) -> View:
    """``softmax(gain * q k^T) v``; ``shape`` is the context's without its channels."""
    tokens, width = v.linear.tokens, v.linear.width
    same = torch.equal(q.batch, v.batch) and torch.equal(q.head, v.head) and tokens == q.linear.tokens
    if not same or width != q.linear.width:
        raise refuse(node, "Values with other heads or another head size than queries", _SUPPORTED)
    made = Attention(
        tokens=tokens,
        width=width,
        layer=module_path(node),
        q=q.linear,
        k=k.linear,
        v=v.linear,
        heads=q.heads,
        gain=gain,
    )
    size = width // q.heads
    token = (v.batch[:, None] * tokens + torch.arange(tokens))[:, :, None] * width
    index = token + (v.head[:, None] * size + torch.arange(size))[:, None, :]
    return View(made, index.reshape(*shape, size))
