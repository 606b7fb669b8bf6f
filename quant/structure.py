"""The shapes of a model without its numbers: an integer graph with weights of zero, from one export and no calibration.

What a compiler needs to know of sizes is in it, so a model that is too large is refused, and an accelerator for it
found, before anything is quantized.
"""

from __future__ import annotations

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from vitreous.quant.calibrate.scales import Scales
from vitreous.quant.emit.builder import Scale
from vitreous.quant.emit.lowering import Lowering, Units
from vitreous.quant.importer.float_ir import STREAM, Attention, Encoder, Linear, Norm, Start, macs
from vitreous.quant.importer.importer import import_graph, operator_name
from vitreous.quant.importer.weights import nothing
from vitreous.quant.pipeline import export
from vitreous.spec.config import ActivationConfig, NormConfig, SoftmaxConfig
from vitreous.spec.graph import Graph

STREAM_STEP, STEP = 2.0**-10, 2.0**-6
"""Of every 16-bit stream and of everything else: values like those of a trained network, so that each constant has
its place in its field."""


def structure(
    module: nn.Module | ExportedProgram,
    shape: tuple[int, int, int],
    *,
    name: str,
    softmax: SoftmaxConfig,
    activation: ActivationConfig,
    norm: NormConfig,
) -> Graph:
    """The graph that ``quantize`` would make of ``module`` for images ``(C, H, W)``, with the same operations and
    shapes, weights and biases of zero and scales that mean nothing.

    Probabilities have as many bits as ``softmax`` has, and every norm shifts channels, which takes room in P.
    Raises QuantError for what ``quantize`` cannot import either.
    """
    exported, batch = export(module, torch.zeros(1, *shape))
    graph = exported.module(check_guards=False)
    assert isinstance(graph, fx.GraphModule)
    _forget_tables(graph)
    encoder = import_graph(graph, torch.Size((batch, *shape)))
    _forget_numbers(encoder)
    steps = {
        source.serial: Scale(STREAM_STEP if isinstance(source, STREAM) else STEP)
        for source in encoder.sources
    }
    shifts = {source.serial: torch.ones(source.width, dtype=torch.int64) for source in encoder.each(Norm)}
    scales = Scales(steps, shifts)
    widths = {encoder.name(part): softmax.probability_bits for part in encoder.each(Attention)}
    units = Units(softmax=softmax, activation=activation, norm=norm)
    lowering = Lowering(encoder, scales, units, widths)
    lowering.run()
    return Graph(name=name, nodes=tuple(lowering.nodes), tensors=lowering.tensors, macs=macs(encoder))


def _forget_tables(graph: fx.GraphModule) -> None:
    """One zero in the place of every parameter that is nothing but a linear layer's weights: before they are copied."""
    for node in graph.graph.nodes:
        if node.op == "get_attr" and all(
            operator_name(user) == "linear" and user.args[1] is node for user in node.users
        ):
            *path, name = str(node.target).split(".")
            owner: nn.Module = graph.get_submodule(".".join(path))
            if isinstance(known := getattr(owner, name), nn.Parameter):
                setattr(owner, name, nn.Parameter(nothing(known.shape), requires_grad=False))


def _forget_numbers(encoder: Encoder) -> None:
    """Zeros that take no memory in the place of weights, biases and constants."""
    for source in encoder.sources:
        if isinstance(source, Linear):
            source.weight, source.bias = nothing(source.weight.shape), nothing(source.bias.shape)
        elif isinstance(source, Start):
            source.constant = nothing(source.constant.shape)
