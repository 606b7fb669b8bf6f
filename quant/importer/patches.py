"""Import of the patch embedding: a convolution, or a linear layer over patches that were cut out in any way."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional

from vitreous.quant.errors import module_path, refuse
from vitreous.quant.importer.float_ir import Image, Linear, Patches
from vitreous.quant.importer.layers import read_same
from vitreous.quant.importer.view import View, whole
from vitreous.quant.importer.walk import Walk


def convolution(
    walk: Walk,
    node: fx.Node,
    image: View,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> View:
    """The patch embedding."""
    supported = "a patch embedding: convolution of the image with square kernel = stride, without padding"
    patch = int(weight.shape[-1])
    plain = _all(stride, patch) and _all(dilation, 1) and groups == 1 and weight.shape[-2] == patch
    if not plain or not (padding == "valid" or _all(padding, 0)):
        what = f"kernel {list(weight.shape[-2:])}, stride {stride}, padding {padding}, groups {groups}"
        raise refuse(node, f"A convolution with {what}", supported)
    source, read = image.source, image.index
    if not isinstance(source, Image) or not torch.equal(read, whole(source, walk.batch).reshape(walk.shape)):
        raise refuse(node, "A convolution of something other than the whole image", supported)
    channels, height, width = source.shape
    if height % patch or width % patch:
        raise refuse(
            node,
            f"A {height}x{width} image with patches of {patch}",
            "image sides that are multiples of the patch",
        )
    gain, offset = (
        _per_channel(node, image.gain, 1.0, channels),
        _per_channel(node, image.offset, 0.0, channels),
    )
    outputs = int(weight.shape[0])
    kernel = weight.double()
    constant = torch.zeros(outputs, dtype=torch.float64) if bias is None else bias.double()
    weights = (kernel * gain[:, None, None]).reshape(outputs, -1)
    made = _embedding(node, source, patch, weights, constant + (kernel.sum((2, 3)) @ offset))
    grid = (height // patch, width // patch)
    index = whole(made, walk.batch).transpose(1, 2).reshape(walk.batch, outputs, *grid)
    return View(made, index.contiguous())


def _embedding(node: fx.Node, image: Image, patch: int, weight: Tensor, bias: Tensor) -> Linear:
    """The linear layer over all patches."""
    channels, height, width = image.shape
    count = (height // patch) * (width // patch)
    layer = module_path(node)
    cut = Patches(tokens=count, width=channels * patch * patch, layer=layer, image=image, patch=patch)
    return Linear(tokens=count, width=len(weight), layer=layer, input=cut, weight=weight, bias=bias)


def raw_convolution(
    walk: Walk,
    node: fx.Node,
    image: View,
    weight: Tensor,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    *rest: Any,
) -> View:
    """``aten.convolution``: the same with a flag for transposed ones."""
    transposed, _, groups = rest
    if transposed:
        raise refuse(node, "A transposed convolution", "the convolution of a patch embedding")
    return convolution(walk, node, image, weight, bias, stride, padding, dilation, groups)


def _all(value: Any, expected: int) -> bool:
    return all(item == expected for item in (value if isinstance(value, list | tuple) else (value,)))


def _per_channel(node: fx.Node, values: Tensor | None, default: float, channels: int) -> Tensor:
    if values is None:
        return torch.full((channels,), default, dtype=torch.float64)
    first = values[0, :, 0, 0]
    if not torch.equal(values, first[None, :, None, None].expand_as(values)):
        raise refuse(
            node, "The image is scaled differently for different pixels", "a mean and deviation per channel"
        )
    return first.clone()


def linear(walk: Walk, node: fx.Node, view: View, weight: Tensor, bias: Tensor | None) -> View:
    """A linear layer over pixels: ``[B, patches, C*p*p]``, patches in row order, their pixels in any one order."""
    supported = "a linear layer over all square patches of the image, in row order"
    source, taken = view.source, view.shape[-1]
    assert isinstance(source, Image)
    channels, height, width = source.shape
    patch = math.isqrt(taken // channels)
    refused = refuse(node, "A linear layer reads pixels that are not the image's patches", supported)
    if channels * patch * patch != taken or not patch or height % patch or width % patch:
        raise refused
    numbers = torch.arange(source.width, dtype=torch.float64).reshape(1, *source.shape)
    expected = functional.unfold(numbers, patch, stride=patch)[0].T.long()
    image = torch.arange(walk.batch)[:, None, None] * source.width
    if view.index.numel() != walk.batch * expected.numel():
        raise refused
    index, order = (view.index.reshape(walk.batch, -1, taken) - image).sort(-1)
    if not torch.equal(index, expected.expand_as(index)) or not torch.equal(
        order, order[:1, :1].expand_as(order)
    ):
        raise refused
    gain, offset = read_same(node, view)
    table, place = weight.double(), order[0, 0]
    constant = table @ offset + (0 if bias is None else bias.double().reshape(-1))
    made = _embedding(node, source, patch, (table * gain)[:, place], constant)
    return View(made, whole(made, walk.batch).reshape(*view.shape[:-1], made.width))


def unfolded(
    walk: Walk, node: fx.Node, view: View, kernel: Any, dilation: Any, padding: Any, stride: Any
) -> View:
    """``torch.nn.functional.unfold`` without padding: pixels are moved and repeated."""
    if not _all(padding, 0) or not _all(dilation, 1):
        raise refuse(node, "Patches with padding or dilation", "unfold without padding and dilation")

    def moved(part: Tensor) -> Tensor:
        # It has no integers, and float64 holds element numbers exactly.
        return functional.unfold(part.double().contiguous(), kernel, stride=stride)

    gain = None if view.gain is None else moved(view.gain)
    offset = None if view.offset is None else moved(view.offset)
    return View(view.source, moved(view.index).long(), gain, offset)
