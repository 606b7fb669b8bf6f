"""The PT2E quantizer: which values of an exported graph become integer tensors, and how to observe them."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, fx

from vitreous.quant._torchao import QuantizationAnnotation, QuantizationSpec, Quantizer
from vitreous.quant.calibrate.check_import import check_import
from vitreous.quant.calibrate.observers import RangeObserver
from vitreous.quant.calibrate.points import Point, points
from vitreous.quant.errors import QuantError
from vitreous.quant.importer import float_ir as ir
from vitreous.quant.importer.importer import import_graph, operator_name
from vitreous.quant.scheme import QuantScheme


class VitreousQuantizer(Quantizer):
    """A torchao ``Quantizer`` for encoders of W8A8 with a 16-bit residual stream.

    ``transform_for_annotation`` splits the affine part off every layer norm, so that the normalized values, which are
    what becomes int8, exist as a node. ``annotate`` imports the graph (``encoder``) and asks for an observer at every
    value that becomes an integer tensor. Weights are not annotated: they are quantized after layer norms and scales
    are folded into them.

    Parameters: ``scheme``; ``shape``, the input's ``(B, C, H, W)``.
    """

    def __init__(self, scheme: QuantScheme, shape: torch.Size) -> None:
        super().__init__()
        self.scheme = scheme
        self.shape = shape
        self.encoder: ir.Encoder | None = None

    def transform_for_annotation(self, model: fx.GraphModule) -> fx.GraphModule:
        """Rewrite ``layer_norm(x, weight, bias)`` as ``layer_norm(x) * weight + bias``, RMS norm alike."""
        for node in list(model.graph.nodes):
            if node.op == "call_function" and operator_name(node) in _NORMS:
                _split_affine(model.graph, node)
        model.recompile()
        return model

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        """Import the graph and mark the nodes to observe."""
        self.encoder = import_graph(model, self.shape)
        _return_logits(model, self.encoder)
        wanted = points(self.encoder, self.scheme)
        observed: dict[fx.Node, Point] = {}
        for source in self.encoder.sources:
            point = wanted.get(source.serial)
            if point is None or source.observe is None:
                continue
            known = observed.setdefault(source.observe, point)
            observed[source.observe] = known.with_rows_of(point)
            if observed[source.observe] != point.with_rows_of(known):
                raise QuantError(
                    f"{self.encoder.name(source)}: one value of the model would need two integer formats"
                )
        for node, point in observed.items():
            annotation = QuantizationAnnotation(output_qspec=self._spec(point))
            annotation._annotated = True
            node.meta["quantization_annotation"] = annotation
        return model

    def validate(self, model: fx.GraphModule) -> None:
        """Nothing beyond what ``annotate`` has refused."""

    def _spec(self, point: Point) -> QuantizationSpec:
        dtype = torch.int8 if point.bits == 8 else torch.int16
        info = torch.iinfo(dtype)
        # torchao's own observers know nothing of the network's output: the tensor's squared error then.
        method = "mse" if self.scheme.observer == "output" else self.scheme.observer
        observer = RangeObserver.with_args(
            method=method if point.bits == 8 else "minmax",
            percentile=self.scheme.percentile,
            symmetric=point.symmetric,
            row=None if point.rows is None else slice(*point.rows),
        )
        scheme = torch.per_tensor_symmetric if point.symmetric else torch.per_tensor_affine
        return QuantizationSpec(dtype, observer, info.min, info.max, scheme)


_AFFINE = ("input", "normalized_shape", "weight", "bias", "eps")
_SCALED = ("input", "normalized_shape", "weight", "eps")
_NORMS = {
    "layer_norm": _AFFINE,
    "native_layer_norm": _AFFINE,
    "rms_norm": _SCALED,
    "_fused_rms_norm": _SCALED,
}
"""Operators that normalize, with the names of their arguments."""


def _split_affine(graph: fx.Graph, node: fx.Node) -> None:
    names = _NORMS[operator_name(node)]
    arguments = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    weight, bias = arguments.get("weight"), arguments.get("bias")
    node.args = tuple(
        None if name in ("weight", "bias") else value for name, value in zip(names, node.args, strict=False)
    )
    node.kwargs = {key: value for key, value in node.kwargs.items() if key not in ("weight", "bias")}
    plain = node
    if operator_name(node) in ("native_layer_norm", "_fused_rms_norm"):
        # Its first result; statistics are not used in evaluation.
        plain = next(user for user in node.users if user.args[1] == 0)
    last = plain
    for target, constant in ((torch.ops.aten.mul.Tensor, weight), (torch.ops.aten.add.Tensor, bias)):
        if constant is None:
            continue
        with graph.inserting_after(last):
            made = graph.call_function(target, (last, constant))
        made.meta = {key: value for key, value in plain.meta.items() if key != "quantization_annotation"}
        for user in list(last.users):
            if user is not made:
                user.replace_input_with(last, made)
        last = made


def _return_logits(model: fx.GraphModule, encoder: ir.Encoder) -> None:
    """Let the graph return the logits alone, whatever the model makes of them and returns beside them."""
    output = next(node for node in model.graph.nodes if node.op == "output")
    output.args = (encoder.output,)
    # Without the exported program's own, which folds the results into the model's structure.
    model.graph.set_codegen(fx.graph.CodeGen())
    model.graph.eliminate_dead_code()
    model.recompile()


def recognize(module: fx.GraphModule, images: Tensor, batch: int, scheme: QuantScheme) -> ir.Encoder:
    """Import an exported graph of ``batch`` images at once; checked against the graph on some of ``images``."""
    quantizer = VitreousQuantizer(scheme, torch.Size((batch, *images.shape[1:])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantizer.annotate(quantizer.transform_for_annotation(module))
    assert quantizer.encoder is not None
    first = images[:batch]
    while len(first) < batch:
        first = torch.cat([first, images[: batch - len(first)]])
    # The module itself would first compare the call with the exported one's, which may name its input.
    with torch.no_grad():
        check_import(quantizer.encoder, images[:1], fx.Interpreter(module).run(first))
    return quantizer.encoder
