"""``quantize``: from a float module to the integer graph."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from vitreous.quant.allocator import keep_large_blocks
from vitreous.quant.calibrate import quality, widths
from vitreous.quant.calibrate.calibration import Calibrated
from vitreous.quant.calibrate.choose import calibrate
from vitreous.quant.calibrate.quantizer import recognize
from vitreous.quant.calibrate.scales import choose_scales
from vitreous.quant.emit.lowering import Lowering, Units
from vitreous.quant.errors import QuantError
from vitreous.quant.importer.float_ir import Attention, macs
from vitreous.quant.scheme import QuantScheme
from vitreous.spec.config import ActivationConfig, NormConfig, SoftmaxConfig
from vitreous.spec.graph import Graph
from vitreous.spec.variants import SoftmaxVariant

Progress = Callable[[str, int, int], None]
# Larger batches calibrate no faster on a CPU, and memory grows with them: at most 8 images, and 8 of 224 pixels.
_LARGEST_BATCH = 8
_LARGEST_PIXELS = _LARGEST_BATCH * 224 * 224


def quantize(
    module: nn.Module | ExportedProgram | Calibrated,
    calibration: Tensor,
    *,
    name: str,
    scheme: QuantScheme | None = None,
    softmax: SoftmaxConfig | None = None,
    activation: ActivationConfig | None = None,
    norm: NormConfig | None = None,
    preprocessing: Mapping[str, Sequence[float]] | None = None,
    progress: Progress | None = None,
) -> Graph:
    """Quantize a vision transformer to an integer graph.

    Parameters
    ----------
    module : a float ViT, or one that ``torch.export`` has exported, or what ``observe`` made of either with the same
        images and a scheme that differs in ``probability_bits`` at most. It is not changed.
    calibration : float32 ``[n, C, H, W]``, normalised as the module expects.
    name : the graph's name.
    scheme : settings; ``QuantScheme()`` when None.
    softmax, activation, norm : the parts of the accelerator's configuration that fix number formats; the defaults when
        None. A variant may be ``exact``, float64 in ``golden``: the truth for that function, which no accelerator has.
    preprocessing : ``mean`` and ``std`` of the normalisation, kept in the graph.
    progress : called with a stage's name and how much of it is done, ``(stage, done, total)``.

    Equal arguments give equal graphs. Raises QuantError for an operator or a structure that is not supported, a number
    that does not fit its format, and calibration images that do not fit the model.
    """
    scheme = scheme or QuantScheme()
    calibrated = module if isinstance(module, Calibrated) else observe(module, calibration, scheme, progress)
    units = Units(
        softmax=softmax or SoftmaxConfig(),
        activation=activation or ActivationConfig(),
        norm=norm or NormConfig(),
    )
    graph, attention = _with_widths(calibrated, calibration, name, scheme, units, progress)
    notes = {
        "scheme": scheme.as_dict(),
        "observer": scheme.observer,
        "calibration_images": len(calibration),
        "attention": attention,
        "ranges": calibrated.notes,
        "left_out": list(calibrated.encoder.notes),
        **_quality(graph, calibrated, units, progress),
    }
    constants = {key: [float(value) for value in values] for key, values in (preprocessing or {}).items()}
    return replace(graph, preprocessing=constants, notes=notes)


def _quality(graph: Graph, calibrated: Calibrated, units: Units, progress: Progress | None) -> dict[str, Any]:
    def report(done: int, total: int) -> None:
        if progress is not None:
            progress("quality", done, total)

    with torch.no_grad():
        found = quality.measure(graph, calibrated, report)
    return quality.notes(graph, calibrated, found, units.softmax)


def _with_widths(
    calibrated: Calibrated,
    calibration: Tensor,
    name: str,
    scheme: QuantScheme,
    units: Units,
    progress: Progress | None,
) -> tuple[Graph, dict[str, Any]]:
    """The graph with the probability bits that the scheme says or the output gains from, and what was measured."""
    parts: dict[str, Any] = {"softmax": units.softmax, "activation": units.activation, "norm": units.norm}
    _widest(scheme, units.softmax)

    def make(bits: Mapping[str, int] | None) -> Graph:
        return lower(calibrated, name=name, scheme=scheme, bits=bits, **parts)

    if units.softmax.variant is SoftmaxVariant.EXACT or not any(calibrated.encoder.each(Attention)):
        return make(None), {}
    with torch.no_grad():
        return widths.choose(
            make, calibrated.exact, calibration, units.softmax, scheme.probability_bits, progress
        )


def lower(
    calibrated: Calibrated,
    *,
    name: str,
    scheme: QuantScheme,
    softmax: SoftmaxConfig | None = None,
    activation: ActivationConfig | None = None,
    norm: NormConfig | None = None,
    bits: Mapping[str, int] | None = None,
) -> Graph:
    """The last step of ``quantize``: scales, then the integer graph. Same arguments and errors.

    bits : probability bits of each attention by its name; None for ``scheme.probability_bits`` in all of them, or the
        widest that ``softmax`` has.
    """
    scales = choose_scales(calibrated, scheme)
    units = Units(
        softmax=softmax or SoftmaxConfig(),
        activation=activation or ActivationConfig(),
        norm=norm or NormConfig(),
    )
    if bits is None:
        widest = _widest(scheme, units.softmax)
        bits = {calibrated.encoder.name(part): widest for part in calibrated.encoder.each(Attention)}
    lowering = Lowering(calibrated.encoder, scales, units, bits)
    lowering.run()
    return Graph(
        name=name, nodes=tuple(lowering.nodes), tensors=lowering.tensors, macs=macs(calibrated.encoder)
    )


def _widest(scheme: QuantScheme, softmax: SoftmaxConfig) -> int:
    """The widest probabilities that scheme and accelerator allow. Raises QuantError where they contradict."""
    wanted, has = scheme.probability_bits, softmax.probability_bits
    if wanted is not None and wanted > has and softmax.variant is not SoftmaxVariant.EXACT:
        raise QuantError(
            f"probability_bits {wanted} needs softmax.probability_bits = {wanted}, but the accelerator's is {has}"
        )
    return has if wanted is None else wanted


def observe(
    module: nn.Module | ExportedProgram,
    calibration: Tensor,
    scheme: QuantScheme,
    progress: Progress | None = None,
) -> Calibrated:
    """The first two steps of ``quantize``: import the model and calibrate it. Same arguments and errors."""
    _check_images(calibration)
    _check_state(module)
    keep_large_blocks()
    if progress is not None:
        progress("export", 0, 1)
    exported, batch = export(module, calibration)
    graph = exported.module(check_guards=False)
    assert isinstance(graph, fx.GraphModule)
    if progress is not None:
        progress("export", 1, 1)

    encoder = recognize(graph, calibration, batch, scheme)
    with torch.no_grad():
        return calibrate(encoder, calibration, scheme, progress)


def _check_images(calibration: Tensor) -> None:
    if not isinstance(calibration, Tensor) or calibration.dim() != 4 or len(calibration) == 0:
        shape = list(calibration.shape) if isinstance(calibration, Tensor) else type(calibration).__name__
        raise QuantError(
            f"Calibration images must be a tensor [n, C, H, W] with n of at least 1, not {shape}"
        )
    if calibration.dtype != torch.float32:
        raise QuantError(f"Calibration images must be float32, not {calibration.dtype}")
    if not bool(torch.isfinite(calibration).all()):
        raise QuantError("Calibration images must be finite")


def _check_state(module: nn.Module | ExportedProgram) -> None:
    state = module.state_dict if isinstance(module, ExportedProgram) else module.state_dict()
    for key, value in state.items():
        if isinstance(value, Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise QuantError(f"The model's {key} holds values that are not finite")


def export(module: nn.Module | ExportedProgram, calibration: Tensor) -> tuple[ExportedProgram, int]:
    """The exported program in functional ATen operators, and its batch size."""
    with _quiet_torch():
        if isinstance(module, ExportedProgram):
            return module.run_decompositions({}), _batch_of(module, calibration)
        batch = batch_size(calibration)
        modes = {part: part.training for part in module.modules()}
        # The module of an exported program has no modes, and its eval() raises.
        if not isinstance(module, fx.GraphModule):
            module.eval()
        try:
            exported = torch.export.export(module, (calibration[:batch],), strict=False)
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            images = f"images {list(calibration.shape[1:])}"
            raise QuantError(
                f"torch.export cannot export {type(module).__name__} with {images}: {reason}"
            ) from error
        finally:
            for part, training in modes.items():
                part.training = training
        return exported.run_decompositions({}), batch


def batch_size(images: Tensor) -> int:
    """How many of ``images [n, C, H, W]`` to export for and to run at once: a divisor of n."""
    most = max(1, min(_LARGEST_BATCH, _LARGEST_PIXELS // (images.shape[2] * images.shape[3])))
    return max(size for size in range(1, most + 1) if len(images) % size == 0)


@contextlib.contextmanager
def _quiet_torch() -> Iterator[None]:
    """Beside the exception that it raises, torch.export logs warnings and prints the graph as far as it came."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _batch_of(program: ExportedProgram, calibration: Tensor) -> int:
    inputs = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
    shapes = [node.meta["val"].shape for node in program.graph.nodes if node.name in inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise QuantError(
            f"The exported program takes {len(shapes)} inputs; supported: one batch of images [B, C, H, W]"
        )
    expected = [size if isinstance(size, int) else None for size in shapes[0]]
    given = list(calibration.shape)
    if any(size is not None and size != got for size, got in zip(expected[1:], given[1:], strict=True)):
        raise QuantError(f"Calibration images are {given[1:]}, the exported program takes {expected[1:]}")
    return expected[0] if expected[0] is not None else min(2, len(calibration))
