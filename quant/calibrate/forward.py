"""The recognized encoder in floats, source by source, from any place on: what calibration and its searches run.

A value lives until its last reader, so that memory holds one layer of the images that run at once, not all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from vitreous.quant.calibrate.reference import attention, compute, constants
from vitreous.quant.importer import float_ir as ir

Edit = Callable[[ir.Source, Tensor], Tensor]
"""What is done to the value ``[n, tokens, width]`` of a source before others read it."""
Watch = Callable[[ir.Attention, Tensor], None]
"""Sees an attention's scores ``[n, heads, T, T]``, logarithms to base 2."""
Weights = Mapping[int, Tensor]
_OWN: Weights = MappingProxyType({})
Live = dict[int, Tensor]
"""Values that a later source reads, by serial."""


class Forward:
    """Runs ``encoder`` with weights and values of ``dtype``. ``edit``, ``watch``: see their types."""

    def __init__(self, encoder: ir.Encoder, dtype: torch.dtype = torch.float32) -> None:
        self.encoder, self.dtype = encoder, dtype
        self._last: dict[int, int] = {}
        for index, source in enumerate(encoder.sources):
            for part in source.inputs:
                self._last[part.serial] = index
        self._constants = {source.serial: constants(source, dtype) for source in encoder.sources}

    def __call__(
        self,
        images: Tensor,
        edit: Edit | None = None,
        watch: Watch | None = None,
        weights: Weights = _OWN,
    ) -> Tensor:
        """Logits ``[n, classes]`` of ``images [n, C, H, W]``; ``weights`` in place of linear layers' own."""
        return self.rest({}, 0, images, edit, watch, weights)

    def rest(
        self,
        live: Live,
        start: int,
        images: Tensor,
        edit: Edit | None = None,
        watch: Watch | None = None,
        weights: Weights = _OWN,
    ) -> Tensor:
        """Logits from source number ``start`` on, of ``live`` (not changed) before it."""
        live = dict(live)
        for index in range(start, len(self.encoder.sources)):
            value = self.step(live, index, images, watch, weights)
            source = self.encoder.sources[index]
            live[source.serial] = value if edit is None else edit(source, value)
        return live[self.encoder.logits.serial].flatten(1)

    def step(
        self, live: Live, index: int, images: Tensor, watch: Watch | None = None, weights: Weights = _OWN
    ) -> Tensor:
        """The value of source number ``index``; removes from ``live`` what nothing after it reads."""
        source = self.encoder.sources[index]
        if isinstance(source, ir.Image):
            return images.to(self.dtype)
        inputs = [live[part.serial] for part in source.inputs]
        if isinstance(source, ir.Attention):
            scores, value = attention(source, inputs)
            if watch is not None:
                watch(source, scores)
        else:
            constants = self._constants[source.serial]
            if source.serial in weights:
                constants = (weights[source.serial], constants[1])
            value = compute(source, inputs, *constants)
        for part in source.inputs:
            if self._last[part.serial] == index:
                live.pop(part.serial, None)
        return value
