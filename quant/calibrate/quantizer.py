"""The PT2E quantizer: which values of an exported graph become integer tensors, and how to observe them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx

from vitreous.quant._torchao import QuantizationAnnotation, QuantizationSpec, Quantizer, prepare_pt2e
from vitreous.quant.calibrate.observers import RangeObserver
from vitreous.quant.calibrate.reference import evaluate
from vitreous.quant.errors import QuantError
from vitreous.quant.importer import float_ir as ir
from vitreous.quant.importer.importer import import_graph, operator_name
from vitreous.quant.scheme import QuantScheme


@dataclass(frozen=True)
class Point:
    """What to observe at a node: 8 or 16 bits, symmetric or not, the tokens ``start, stop`` or (None) all."""

    bits: int
    symmetric: bool
    rows: tuple[int, int] | None = None

    def with_rows_of(self, other: Point) -> Point:
        """The same for the rows of both."""
        if self.rows is None or other.rows is None:
            return replace(self, rows=None)
        (start, stop), (first, last) = self.rows, other.rows
        return replace(self, rows=(min(start, first), max(stop, last)))


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
        points: dict[fx.Node, Point] = {}
        for source in self.encoder.sources:
            point = self._point(source)
            if point is None or source.observe is None:
                continue
            known = points.setdefault(source.observe, point)
            points[source.observe] = known.with_rows_of(point)
            if points[source.observe] != point.with_rows_of(known):
                raise QuantError(
                    f"{self.encoder.name(source)}: one value of the model would need two integer formats"
                )
        for node, point in points.items():
            annotation = QuantizationAnnotation(output_qspec=self._spec(point))
            annotation._annotated = True
            node.meta["quantization_annotation"] = annotation
        return model

    def validate(self, model: fx.GraphModule) -> None:
        """Nothing beyond what ``annotate`` has refused."""

    def _point(self, source: ir.Source) -> Point | None:
        if isinstance(source, ir.Image):
            return Point(8, self.scheme.symmetric_input)
        if isinstance(source, ir.Activation):
            return Point(8, self.scheme.symmetric_activations)
        if isinstance(source, ir.Norm):
            return Point(8, True, _rows(source.input))
        if isinstance(source, ir.Attention):
            return Point(8, True)
        if isinstance(source, ir.STREAM):
            return None if isinstance(source, ir.Select) else Point(16, True)
        if isinstance(source, ir.HeadMean | ir.HeadSum):
            return Point(16, True)
        return self._linear_point(source) if isinstance(source, ir.Linear) else None

    def _linear_point(self, source: ir.Linear) -> Point | None:
        assert self.encoder is not None
        for user in self.encoder.sources:
            if isinstance(user, ir.Attention) and source in user.inputs:
                return Point(8, True)
            if isinstance(user, ir.Add) and user.branch is source:
                return Point(16, True)
            if isinstance(user, ir.Activation | ir.Start | ir.Restart) and source in user.inputs:
                return None
        return Point(16, True)

    def _spec(self, point: Point) -> QuantizationSpec:
        dtype = torch.int8 if point.bits == 8 else torch.int16
        info = torch.iinfo(dtype)
        observer = RangeObserver.with_args(
            method=self.scheme.observer if point.bits == 8 else "minmax",
            percentile=self.scheme.percentile,
            symmetric=point.symmetric,
            row=None if point.rows is None else slice(*point.rows),
        )
        scheme = torch.per_tensor_symmetric if point.symmetric else torch.per_tensor_affine
        return QuantizationSpec(dtype, observer, info.min, info.max, scheme)


def _rows(source: ir.Source) -> tuple[int, int] | None:
    """The rows of the stream that are selected; None for all."""
    return (source.index, source.index + source.tokens) if isinstance(source, ir.Select) else None


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


def _check_import(encoder: ir.Encoder, image: Tensor, given: Tensor) -> None:
    """Compare the recognized encoder with the model on one image, so that a mistake in importing cannot pass."""
    expected = given[:1].double().reshape(-1)
    found = evaluate(encoder, image)[encoder.name(encoder.logits)].reshape(-1)
    error, size = float((found - expected).abs().max()), float(expected.abs().max())
    if not error <= 1e-3 * size + 1e-5:
        raise QuantError(
            f"The recognized encoder gives other logits than the model (error {error:.3g} of {size:.3g}): "
            "the model does something that the importer misreads; please report it"
        )


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A recognized encoder and, for the node names that were observed, their observers."""

    encoder: ir.Encoder
    observers: dict[str, RangeObserver]

    def observer(self, source: ir.Source) -> RangeObserver:
        """The observer of a source's values."""
        assert source.observe is not None, self.encoder.name(source)
        return self.observers[source.observe.name]


def calibrate(
    module: fx.GraphModule,
    images: Tensor,
    batch: int,
    scheme: QuantScheme,
    progress: Callable[[int, int], None] | None = None,
) -> Calibrated:
    """Observe every annotated value over all ``images [n, C, H, W]``, ``batch`` at a time.

    ``progress(done, total)`` is called after each batch. The graph's batch is fixed, so a last incomplete batch is
    filled up with the first images; that repeats values but adds none.
    """
    quantizer = VitreousQuantizer(scheme, torch.Size((batch, *images.shape[1:])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = prepare_pt2e(module, quantizer)
    assert quantizer.encoder is not None
    with torch.no_grad():
        for start in range(0, len(images), batch):
            chunk = images[start : start + batch]
            while len(chunk) < batch:
                chunk = torch.cat([chunk, images[: batch - len(chunk)]])
            logits = prepared(chunk)
            if start == 0:
                _check_import(quantizer.encoder, images[:1], logits)
            if progress is not None:
                progress(min(start + batch, len(images)), len(images))
    observers: dict[str, RangeObserver] = {}
    for node in prepared.graph.nodes:
        if node.op == "call_module" and isinstance(
            found := prepared.get_submodule(node.target), RangeObserver
        ):
            observers[node.args[0].name] = found
    return Calibrated(quantizer.encoder, observers)
