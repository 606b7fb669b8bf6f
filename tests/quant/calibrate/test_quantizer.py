"""``VitreousQuantizer`` in torchao's own flow: the same values become observed nodes of a prepared module."""

from __future__ import annotations

import torch
from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

from tests.support.quant.zoo import Shape, Vit, images
from vitreous.quant import QuantScheme, VitreousQuantizer
from vitreous.quant.calibrate.observers import RangeObserver
from vitreous.quant.calibrate.points import points
from vitreous.quant.pipeline import export

torch.set_num_threads(1)


def test_torchao_prepares_a_module_with_our_observers() -> None:
    shape = Shape()
    pixels = images(shape, 4)
    program, batch = export(Vit(shape), pixels)
    scheme = QuantScheme()
    quantizer = VitreousQuantizer(scheme, torch.Size((batch, *pixels.shape[1:])))
    prepared = prepare_pt2e(program.module(check_guards=False), quantizer)
    prepared(pixels[:batch])
    assert quantizer.encoder is not None
    observed = [part for part in prepared.modules() if isinstance(part, RangeObserver)]
    nodes = {
        source.observe.name
        for source in quantizer.encoder.sources
        if source.serial in points(quantizer.encoder, scheme) and source.observe is not None
    }
    assert len(observed) == len(nodes) > 8
    assert all(part.high > part.low for part in observed)
